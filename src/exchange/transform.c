/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange/transform.h"

static bool has_no_transform(const struct fields *fields)
{
    if (fields_find(fields, FIELD_CACHE_CONTROL) == NULL)
        return false;
    for (uint32_t i = 0; i < fields->count; i++)
        if (fields->items[i].id == FIELD_CACHE_CONTROL &&
            slice_list_has(fields->items[i].value, SLICE("no-transform")))
            return true;
    return false;
}

bool transform_is_forbidden(const struct exchange *x)
{
    int status = x->response.status;
    return status < 200 || status == 204 || status == 205 || status == 206 || status == 304 ||
           x->request.head.method == METHOD_CONNECT || x->tunnel.server != NULL ||
           has_no_transform(&x->response.fields) || has_no_transform(&x->request.head.fields);
}

int64_t transform_length(const struct exchange *x)
{
    const struct response *response = &x->response;
    if (x->request.head.method != METHOD_HEAD || response->is_ours)
        return response->body->length;
    return response->has_length ? (int64_t)response->length : -1;
}

static void weaken(struct exchange *x)
{
    const struct field *tag = fields_find(&x->response.fields, FIELD_ETAG);
    if (tag != NULL && slice_starts(tag->value, SLICE("\"")))
        fields_set_checked(&x->response.fields, FIELD_ETAG,
                           arena_format(&x->arena, "W/%.*s", SLICE_ARG(tag->value)));
}

void transform_response(struct exchange *x, struct body *body)
{
    struct response *response = &x->response;
    struct fields *fields = &response->fields;
    fields_remove(fields, FIELD_CONTENT_LENGTH);
    fields_remove_named(fields, SLICE("Content-MD5"));
    fields_remove_named(fields, SLICE("Content-Digest"));
    fields_remove_named(fields, SLICE("Repr-Digest"));
    fields_remove_named(fields, SLICE("Digest"));
    fields_remove_named(fields, SLICE("Accept-Ranges"));
    weaken(x);
    response->has_length = false;
    if (body == NULL) {
        body = arena_alloc(&x->arena, sizeof *body);
        *body = *body_none();
    }
    body->length = -1;
    response->body = body;
}

bool transform_not_modified(struct exchange *x)
{
    const struct field *tag = fields_find(&x->response.fields, FIELD_ETAG);
    if (x->response.status != 304 || tag == NULL || !slice_starts(tag->value, SLICE("\"")))
        return false;
    struct slice had = fields_joined(&x->request.head.fields, SLICE("If-None-Match"), &x->arena);
    struct slice weak = arena_format(&x->arena, "W/%.*s", SLICE_ARG(tag->value));
    bool is_weak = slice_find_slice(had, weak) < had.size;
    if (is_weak)
        fields_set_checked(&x->response.fields, FIELD_ETAG, weak);
    return is_weak;
}

void transform_vary(struct exchange *x, struct slice name)
{
    struct fields *fields = &x->response.fields;
    struct slice vary = fields_joined(fields, SLICE("Vary"), &x->arena);
    if (slice_list_has(vary, name) || slice_list_has(vary, SLICE("*")))
        return;
    fields_set_checked(
        fields, FIELD_VARY,
        vary.size == 0 ? name
                       : arena_format(&x->arena, "%.*s, %.*s", SLICE_ARG(vary), SLICE_ARG(name)));
}
