/* SPDX-License-Identifier: Apache-2.0 */
/* cookie_flags secure httponly samesite=lax: cookies that servers set are made harder to steal. */
#include "base/buffer.h"
#include "exchange/exchange.h"

enum { SITE_KEEP, SITE_LAX, SITE_STRICT, SITE_NONE };
static const char *const SAME_SITES[] = {"keep", "lax", "strict", "none", NULL};
static const char *const SITE_WORDS[] = {"", "Lax", "Strict", "None"};

struct cookie_flags_config {
    bool secure;
    bool http_only;
    int same_site;
    struct slice_list except;
};

static const struct option OPTIONS[] = {
    {.name = "secure",
     .type = OPTION_FLAG,
     .offset = offsetof(struct cookie_flags_config, secure),
     .doc = "Adds Secure: browsers send the cookie over TLS alone."},
    {.name = "httponly",
     .type = OPTION_FLAG,
     .offset = offsetof(struct cookie_flags_config, http_only),
     .doc = "Adds HttpOnly: scripts do not see the cookie."},
    {.name = "samesite",
     .type = OPTION_ENUM,
     .standard = "keep",
     .words = SAME_SITES,
     .offset = offsetof(struct cookie_flags_config, same_site),
     .doc = "Sets SameSite in the place of what the server says; none needs secure."},
    {.name = "except",
     .type = OPTION_STRING,
     .flags = OPTION_MANY,
     .offset = offsetof(struct cookie_flags_config, except),
     .doc = "Names of cookies that stay as they are."},
    {0},
};

static const struct key key_cookie_flags = {
    .name = "cookie_flags",
    .contexts = IN_SITE | IN_ROUTE | IN_DEFAULTS,
    .flags = KEY_STEP | KEY_ONE | KEY_OFF,
    .options = OPTIONS,
    .config_size = sizeof(struct cookie_flags_config),
    .doc = "Hardens the cookies that servers set.",
    .example = "cookie_flags secure httponly samesite=lax except=XSRF-TOKEN",
    .since = "0.1",
};

static enum status prepare(void *config, struct prepare *p)
{
    const struct cookie_flags_config *c = config;
    if (!c->secure && !c->http_only && c->same_site == SITE_KEEP) {
        p->error(p, NULL, "says nothing to be changed; write secure, httponly or samesite=lax");
        return ERR_CONFIG;
    }
    if (c->same_site == SITE_NONE && !c->secure) {
        p->error(p, "samesite", "browsers refuse samesite=none without secure");
        return ERR_CONFIG;
    }
    return OK;
}

static struct slice next_attribute(struct slice *rest)
{
    struct slice attribute = slice_first(*rest, slice_find(*rest, ';'));
    *rest = slice_from(*rest, attribute.size + 1);
    return slice_trim(attribute);
}

static bool is_excepted(const struct cookie_flags_config *c, struct slice name)
{
    for (size_t i = 0; i < c->except.count; i++)
        if (slice_equal(c->except.items[i], name))
            return true;
    return false;
}

/* RFC 6265 §5.2: attributes stand behind semicolons, in any case and order. */
static struct slice harden(struct exchange *x, const struct cookie_flags_config *c,
                           struct slice cookie)
{
    struct slice rest = cookie;
    struct slice pair = next_attribute(&rest);
    bool is_secure = false;
    bool is_http_only = false;
    if (is_excepted(c, slice_trim(slice_first(pair, slice_find(pair, '=')))))
        return cookie;
    struct buffer out = buffer_in(&x->arena, cookie.size + 48);
    buffer_append(&out, pair);
    while (rest.size > 0) {
        struct slice attribute = next_attribute(&rest);
        struct slice name = slice_trim(slice_first(attribute, slice_find(attribute, '=')));
        is_secure = is_secure || slice_equal_nocase(name, SLICE("Secure"));
        is_http_only = is_http_only || slice_equal_nocase(name, SLICE("HttpOnly"));
        if (attribute.size == 0 ||
            (c->same_site != SITE_KEEP && slice_equal_nocase(name, SLICE("SameSite"))))
            continue;
        buffer_append(&out, SLICE("; "));
        buffer_append(&out, attribute);
    }
    if (c->secure && !is_secure)
        buffer_append(&out, SLICE("; Secure"));
    if (c->http_only && !is_http_only)
        buffer_append(&out, SLICE("; HttpOnly"));
    if (c->same_site != SITE_KEEP)
        buffer_format(&out, "; SameSite=%s", SITE_WORDS[c->same_site]);
    return buffer_slice(&out);
}

static void on_response(struct exchange *x, const void *config)
{
    const struct cookie_flags_config *c = config;
    struct fields *fields = &x->response.fields;
    if (fields_find(fields, FIELD_SET_COOKIE) == NULL)
        return;
    for (uint32_t i = 0; i < fields->count; i++)
        if (fields->items[i].id == FIELD_SET_COOKIE)
            fields->items[i].value = harden(x, c, fields->items[i].value);
}

const struct step step_cookie_flags = {
    .key = &key_cookie_flags,
    .prepare = prepare,
    .on_response = on_response,
};
