/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/auth.h"

#include "base/buffer.h"

static const struct slice FILE_PREFIX = {"file:", 5};

static void leave(void *held)
{
    held_leave(held);
}

struct held *auth_keep(struct prepare *p, struct held *held)
{
    p->keep(p, leave, held);
    return held;
}

struct held *auth_hold_file(struct prepare *p, const char *option, struct slice reference,
                            const struct held_kind *kind)
{
    return p->open_file(
        p, option,
        slice_starts(reference, FILE_PREFIX) ? slice_from(reference, FILE_PREFIX.size) : reference,
        kind);
}

struct held *auth_hold_secret(struct prepare *p, const char *option, struct slice reference,
                              const struct held_kind *kind)
{
    char why[HELD_WHY_MAX] = "";
    struct slice text;
    if (slice_starts(reference, FILE_PREFIX))
        return auth_hold_file(p, option, reference, kind);
    if (p->without_files || !p->read_secret(p, option, reference, &text))
        return NULL;
    struct held *held = held_text(kind, text, why);
    if (held != NULL)
        return auth_keep(p, held);
    p->error(p, option, "the secret %s", why); /* never what it is */
    return NULL;
}

enum status auth_guard_field(struct prepare *p, const char *option, struct slice name)
{
    static const struct slice NEVER[] = {
        {"Host", 4},
        {"Connection", 10},
        {"Content-Length", 14},
        {"Transfer-Encoding", 17},
        {"TE", 2},
        {"Trailer", 7},
        {"Upgrade", 7},
        {"Keep-Alive", 10},
        {"Expect", 6},
        {"Proxy-Connection", 16},
        {"Proxy-Authenticate", 18},
        {"Proxy-Authorization", 19},
        {"HTTP2-Settings", 14},
    };
    for (size_t i = 0; i < sizeof NEVER / sizeof *NEVER; i++)
        if (slice_equal_nocase(name, NEVER[i])) {
            p->error(p, option, "%.*s is no field to be set here", SLICE_ARG(name));
            return ERR_CONFIG;
        }
    /* These two say who somebody is to steps themselves. */
    if (!slice_equal_nocase(name, SLICE("Authorization")) &&
        !slice_equal_nocase(name, SLICE("Cookie")))
        p->guard_field(p, name);
    return OK;
}

bool auth_quote(struct prepare *p, const char *option, struct slice text, struct slice *quoted)
{
    struct buffer out = buffer_in(p->arena, text.size + 8);
    buffer_append_byte(&out, '"');
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if ((unsigned char)c < ' ' || c == 0x7f) {
            p->error(p, option, "a control byte cannot stand in a field");
            return false;
        }
        if (c == '"' || c == '\\')
            buffer_append_byte(&out, '\\');
        buffer_append_byte(&out, c);
    }
    buffer_append_byte(&out, '"');
    *quoted = buffer_slice(&out);
    return true;
}

enum verdict auth_refuse(struct exchange *x, const struct key *key, enum refusal refusal,
                         const char *why, struct slice challenge)
{
    x->refused_by = key->name;
    x->challenge = challenge;
    x->detail = why;
    return exchange_refuse(x, refusal);
}

enum verdict auth_fail(struct exchange *x, const struct key *key, enum status status,
                       const char *why)
{
    if (status == ERR_CANCELLED)
        return exchange_blame(x, status, SIDE_CLIENT, 0, "", "client_closed");
    x->refused_by = key->name;
    return exchange_blame(x, status, SIDE_US, 503, "proxy_internal_error", why);
}

void auth_set_user(struct exchange *x, struct slice user, struct slice field)
{
    x->user = user;
    if (field.size == 0)
        return;
    fields_remove_named(&x->request.head.fields, field);
    if (user.size > 0)
        fields_add_named(&x->request.head.fields, field, user);
}

bool auth_credentials(const struct exchange *x, struct slice scheme, struct slice *value)
{
    const struct fields *fields = &x->request.head.fields;
    const struct field *found = NULL;
    if (fields_find(fields, FIELD_AUTHORIZATION) == NULL)
        return false;
    for (uint32_t i = 0; i < fields->count; i++) {
        if (fields->items[i].id != FIELD_AUTHORIZATION)
            continue;
        if (found != NULL)
            return false;
        found = &fields->items[i];
    }
    size_t blank = slice_find(found->value, ' ');
    if (!slice_equal_nocase(slice_first(found->value, blank), scheme))
        return false;
    *value = slice_trim(slice_from(found->value, blank));
    return value->size > 0;
}
