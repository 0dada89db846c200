/* SPDX-License-Identifier: Apache-2.0 */
/* How a fetch asks: for what is good for everybody, whoever has begun it. */
#include "http/cache_unkeyed.h"
#include "http/cache_vary.h"
#include "steps/cache_fetch.h"

static void ask_for_part(struct cache_fetch *fetch, struct exchange *apart)
{
    fields_add(&apart->request.head.fields, FIELD_RANGE,
               arena_format(&apart->arena, "bytes=%llu-%llu", (unsigned long long)fetch->part.first,
                            (unsigned long long)fetch->part.last));
}

/* The whole is asked for, as everybody may have it; what is stored is asked about. */
void cache_fetch_shape(struct cache_fetch *fetch, struct exchange *apart)
{
    static const enum field_id NEVER[] = {FIELD_RANGE,
                                          FIELD_IF_RANGE,
                                          FIELD_IF_MATCH,
                                          FIELD_IF_NONE_MATCH,
                                          FIELD_IF_UNMODIFIED_SINCE,
                                          FIELD_IF_MODIFIED_SINCE};
    struct fields *fields = &apart->request.head.fields;
    struct slice proto = arena_copy(&apart->arena, cache_told(apart, FIELD_X_FORWARDED_PROTO));
    struct slice host = arena_copy(&apart->arena, cache_told(apart, FIELD_X_FORWARDED_HOST));
    cache_strip_unkeyed(fields);
    if (proto.size > 0) /* a trusted proxy has said so, and the key has it */
        fields_add(fields, FIELD_X_FORWARDED_PROTO, proto);
    if (host.size > 0)
        fields_add(fields, FIELD_X_FORWARDED_HOST, host);
    for (size_t i = 0; i < sizeof NEVER / sizeof *NEVER; i++)
        fields_remove(fields, NEVER[i]);
    /* What steps behind this one add is for all; what the client said is not. */
    if (!apart->client_trusted)
        cache_strip_unkeyed(fields);
    if (fields_find(fields, FIELD_ACCEPT_ENCODING) != NULL)
        fields_set(fields, FIELD_ACCEPT_ENCODING, encodings_text(encodings_accepted(fields)));
    if (apart->request.head.method == METHOD_HEAD) { /* the whole answers it too */
        apart->request.head.method = METHOD_GET;
        apart->request.head.method_text = SLICE("GET");
    }
    if (fetch->is_sliced)
        ask_for_part(fetch, apart);
    if (fetch->stale == NULL)
        return;
    const struct validators *known = &fetch->stale->validators;
    if (known->etag.size > 0)
        fields_add(fields, FIELD_IF_NONE_MATCH, known->etag);
    if (known->last_modified.size > 0)
        fields_add(fields, FIELD_IF_MODIFIED_SINCE, known->last_modified);
}

void cache_fetch_give_body(struct exchange *apart, struct slice body)
{
    if (body.size == 0)
        return;
    struct body_text *text = arena_alloc(&apart->arena, sizeof *text);
    body_text_init(text, arena_copy(&apart->arena, body));
    apart->request.body = &text->body;
    apart->request.head.framing = FRAMING_LENGTH;
    apart->request.head.length = body.size;
}
