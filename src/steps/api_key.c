/* SPDX-License-Identifier: Apache-2.0 */
/* api_key file:PATH: programs that show a key. The key leaves the request before anything is
 * logged or sent on. */
#include "base/buffer.h"
#include "base/check.h"
#include "net/api_keys.h"
#include "steps/auth.h"

struct api_key_config {
    struct slice file;
    struct slice header;
    struct slice query;
    struct slice user_header;
    bool passes;
    struct held *held;
};

static const struct option ARGUMENTS[] = {
    {.name = "keys",
     .type = OPTION_SECRET,
     .flags = OPTION_REQUIRED,
     .offset = offsetof(struct api_key_config, file),
     .doc = "file:PATH of lines NAME:SHA256, as weir passwd --api-key writes them. It is read "
            "again when it changes."},
    {0},
};

static const struct option OPTIONS[] = {
    {.name = "header",
     .type = OPTION_FIELD,
     .standard = "X-API-Key",
     .offset = offsetof(struct api_key_config, header),
     .doc = "The field with the key; of Authorization what stands behind Bearer."},
    {.name = "query",
     .type = OPTION_NAME,
     .offset = offsetof(struct api_key_config, query),
     .doc = "A parameter of the query where it may stand too; neither servers nor the log see it."},
    {.name = "user_header",
     .type = OPTION_FIELD,
     .offset = offsetof(struct api_key_config, user_header),
     .doc = "A field that tells servers the key's name; clients cannot set it on any site."},
    {.name = "pass",
     .type = OPTION_BOOL,
     .standard = "off",
     .offset = offsetof(struct api_key_config, passes),
     .doc = "on: servers see the field with the key too."},
    {0},
};

static const struct key key_api_key = {
    .name = "api_key",
    .contexts = IN_SITE | IN_ROUTE | IN_DEFAULTS,
    .flags = KEY_STEP | KEY_ONE | KEY_OFF,
    .arguments = ARGUMENTS,
    .options = OPTIONS,
    .config_size = sizeof(struct api_key_config),
    .doc = "Lets those in who show a key of a list; others are answered 401.",
    .example = "api_key file:/etc/weir/api_keys header=X-API-Key",
    .since = "0.1",
};

static void *read_keys(struct slice text, char why[HELD_WHY_MAX])
{
    return api_keys_read(text, why);
}

static void release_keys(void *keys)
{
    api_keys_free(keys);
}

static const struct held_kind KEYS = {"API keys", API_KEYS_SIZE_MAX, read_keys, release_keys,
                                      false};

static enum status prepare(void *config, struct prepare *p)
{
    struct api_key_config *c = config;
    if (c->user_header.size > 0)
        TRY(auth_guard_field(p, "user_header", c->user_header));
    p->hide_secret(p, c->header, false);
    if (c->query.size > 0)
        p->hide_secret(p, c->query, true);
    c->held = auth_hold_secret(p, "keys", c->file, &KEYS);
    return c->held != NULL || p->without_files ? OK : ERR_CONFIG;
}

/* Takes the parameter off a query; false: it is not there, or there twice. */
static bool take_parameter(struct exchange *x, struct slice name, struct slice *value,
                           struct slice *left)
{
    struct slice rest = x->request.head.query;
    struct buffer out = buffer_in(&x->arena, rest.size + 16);
    int found = 0;
    while (rest.size > 0) {
        struct slice one = slice_first(rest, slice_find(rest, '&'));
        rest = slice_from(rest, one.size + 1);
        size_t equals = slice_find(one, '=');
        if (slice_equal(slice_first(one, equals), name)) {
            found++;
            *value = slice_from(one, equals + 1);
            continue;
        }
        buffer_append(&out, out.size > 0 ? SLICE("&") : SLICE(""));
        buffer_append(&out, one);
    }
    *left = buffer_slice(&out);
    return found == 1;
}

/* The query is without the key from here on, also where the key is a wrong one. */
static void set_query(struct exchange *x, struct slice query)
{
    struct request_head *head = &x->request.head;
    size_t end = slice_find(x->request.target, '?');
    head->query = query;
    head->has_query = query.size > 0;
    x->request.target =
        arena_format(&x->arena, "%.*s%s%.*s", SLICE_ARG(slice_first(x->request.target, end)),
                     query.size > 0 ? "?" : "", SLICE_ARG(query));
    end = slice_find(head->target, '?');
    head->target = arena_format(&x->arena, "%.*s%s%.*s", SLICE_ARG(slice_first(head->target, end)),
                                query.size > 0 ? "?" : "", SLICE_ARG(query));
}

static struct slice shown_key(struct exchange *x, const struct api_key_config *c)
{
    struct slice key = SLICE("");
    struct slice left;
    struct fields *fields = &x->request.head.fields;
    if (c->query.size > 0 && x->request.head.has_query) {
        bool is_one = take_parameter(x, c->query, &key, &left);
        if (left.size < x->request.head.query.size)
            set_query(x, left);
        if (!is_one)
            key = SLICE("");
    }
    if (slice_equal_nocase(c->header, SLICE("Authorization")))
        (void)auth_credentials(x, SLICE("Bearer"), &key);
    else if (fields_find_named(fields, c->header) != NULL)
        key = fields_joined(fields, c->header, &x->arena); /* of two: no key */
    if (!c->passes)
        fields_remove_named(fields, c->header);
    return key;
}

static enum verdict on_request(struct exchange *x, const void *config)
{
    const struct api_key_config *c = config;
    const void *keys = NULL;
    uint64_t version;
    struct slice key = shown_key(x, c);
    if (key.size == 0)
        return auth_refuse(x, &key_api_key, REFUSAL_CREDENTIALS, "no key was sent",
                           SLICE("Bearer"));
    struct held_object *taken = held_take(c->held, &keys, &version);
    check(taken != NULL); /* a file is read before there is a snapshot */
    struct slice name = arena_copy(&x->arena, api_keys_find(keys, key));
    held_drop(c->held, taken);
    if (name.size == 0)
        return auth_refuse(x, &key_api_key, REFUSAL_CREDENTIALS, "the key is unknown",
                           SLICE("Bearer"));
    auth_set_user(x, name, c->user_header);
    return NEXT;
}

const struct step step_api_key = {
    .key = &key_api_key,
    .prepare = prepare,
    .on_request = on_request,
};
