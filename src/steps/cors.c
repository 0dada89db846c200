/* SPDX-License-Identifier: Apache-2.0 */
/* cors ORIGIN…: which pages of other origins may ask (the CORS protocol of the Fetch standard).
 * Preflights are answered here; what a server says of its own about it is taken off. */
#include "base/buffer.h"
#include "base/clock.h"
#include "steps/auth.h"

struct cors_config {
    struct slice_list origins;
    struct slice_list methods;
    struct slice_list headers;
    struct slice_list expose;
    int64_t max_age;
    bool with_credentials;
    bool is_any;
    struct slice methods_text, headers_text, expose_text, age_text;
};

static const struct option ARGUMENTS[] = {
    {.name = "origins",
     .type = OPTION_STRING,
     .flags = OPTION_REQUIRED | OPTION_MANY,
     .offset = offsetof(struct cors_config, origins),
     .doc = "https://app.example.com, https://*.example.com for all names below it, null, or * for "
            "everyone."},
    {0},
};

static const struct option OPTIONS[] = {
    {.name = "methods",
     .type = OPTION_METHOD,
     .flags = OPTION_MANY,
     .standard = "GET,HEAD,POST",
     .offset = offsetof(struct cors_config, methods),
     .doc = "Methods that may be asked with."},
    {.name = "headers",
     .type = OPTION_FIELD,
     .flags = OPTION_MANY,
     .standard = "Accept,Content-Type",
     .offset = offsetof(struct cors_config, headers),
     .doc = "Fields that requests may carry."},
    {.name = "expose",
     .type = OPTION_FIELD,
     .flags = OPTION_MANY,
     .offset = offsetof(struct cors_config, expose),
     .doc = "Fields of responses that scripts may read."},
    {.name = "credentials",
     .type = OPTION_BOOL,
     .standard = "off",
     .offset = offsetof(struct cors_config, with_credentials),
     .doc = "on: browsers send cookies and passwords along; not together with the origin *."},
    {.name = "max_age",
     .type = OPTION_DURATION,
     .standard = "10m",
     .max = SECONDS(86400),
     .offset = offsetof(struct cors_config, max_age),
     .doc = "How long browsers remember the answer to a preflight."},
    {0},
};

static const struct key key_cors = {
    .name = "cors",
    .contexts = IN_SITE | IN_ROUTE | IN_DEFAULTS,
    .flags = KEY_STEP | KEY_ONE | KEY_OFF,
    .arguments = ARGUMENTS,
    .options = OPTIONS,
    .config_size = sizeof(struct cors_config),
    .doc = "Says which pages of other origins may use this one, and answers preflights. It stands "
           "before steps that ask who somebody is: preflights come without passwords.",
    .example = "cors https://app.example.com methods=GET,PUT credentials=on",
    .since = "0.1",
};

static struct slice scheme_of(struct slice origin)
{
    size_t end = slice_find_slice(origin, SLICE("://"));
    return end == origin.size ? SLICE("") : slice_first(origin, end + 3);
}

/* Letters in lower case, digits, dots, hyphens, a port: as browsers write them. */
static bool is_authority(struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && strchr(".-:[]", c) == NULL)
            return false;
    }
    return text.size > 0;
}

static bool check_origin(struct prepare *p, struct cors_config *c, struct slice origin)
{
    struct slice scheme = scheme_of(origin);
    struct slice rest = slice_from(origin, scheme.size);
    c->is_any = c->is_any || slice_equal(origin, SLICE("*"));
    if (slice_equal(origin, SLICE("*")) || slice_equal(origin, SLICE("null")))
        return true;
    if (slice_starts(rest, SLICE("*.")))
        rest = slice_from(rest, 2);
    if (scheme.size > 3 && is_authority(scheme.size > 0 ? rest : SLICE("")))
        return true;
    p->error(p, "origins",
             "\"%.*s\" is no origin; write https://app.example.com, in lower case and without a "
             "path",
             SLICE_ARG(origin));
    return false;
}

static struct slice joined(struct arena *arena, const struct slice_list *list)
{
    struct buffer out = buffer_in(arena, 64);
    for (size_t i = 0; i < list->count; i++) {
        buffer_append(&out, i > 0 ? SLICE(", ") : SLICE(""));
        buffer_append(&out, list->items[i]);
    }
    return buffer_slice(&out);
}

static enum status prepare(void *config, struct prepare *p)
{
    struct cors_config *c = config;
    for (size_t i = 0; i < c->origins.count; i++)
        if (!check_origin(p, c, c->origins.items[i]))
            return ERR_CONFIG;
    if (c->is_any && c->with_credentials) {
        p->error(p, "credentials",
                 "credentials for every origin would let any page act for its visitor; name the "
                 "origins");
        return ERR_CONFIG;
    }
    c->methods_text = joined(p->arena, &c->methods);
    c->headers_text = joined(p->arena, &c->headers);
    c->expose_text = joined(p->arena, &c->expose);
    c->age_text = arena_format(p->arena, "%lld", (long long)(c->max_age / SECONDS(1)));
    return OK;
}

/* Any name below that of the pattern, of the same scheme and port. */
static bool fits_wildcard(struct slice pattern, struct slice origin)
{
    struct slice scheme = scheme_of(pattern);
    struct slice tail = slice_from(pattern, scheme.size + 1); /* ".example.com:8443" */
    if (!slice_starts(origin, scheme) || !slice_ends(origin, tail) ||
        origin.size <= scheme.size + tail.size)
        return false;
    struct slice below = slice_of(origin.data + scheme.size, origin.size - scheme.size - tail.size);
    for (size_t i = 0; i < below.size; i++)
        if (strchr(":[]", below.data[i]) != NULL)
            return false;
    return is_authority(below) && below.data[0] != '.' && below.data[below.size - 1] != '.' &&
           slice_find_slice(below, SLICE("..")) == below.size;
}

static bool is_allowed(const struct cors_config *c, struct slice origin)
{
    if (c->is_any)
        return true;
    for (size_t i = 0; i < c->origins.count; i++) {
        struct slice pattern = c->origins.items[i];
        size_t scheme = scheme_of(pattern).size;
        bool is_wildcard = scheme > 0 && slice_starts(slice_from(pattern, scheme), SLICE("*."));
        if (is_wildcard ? fits_wildcard(pattern, origin) : slice_equal(pattern, origin))
            return true;
    }
    return false;
}

/* The origin that the client comes from; empty: none, or more than one. */
static struct slice origin_of(struct exchange *x)
{
    return fields_joined(&x->request.head.fields, SLICE("Origin"), &x->arena);
}

static bool has(const struct slice_list *list, struct slice word, bool without_case)
{
    for (size_t i = 0; i < list->count; i++)
        if (without_case ? slice_equal_nocase(list->items[i], word)
                         : slice_equal(list->items[i], word))
            return true;
    return false;
}

static bool may_send(const struct cors_config *c, struct slice headers)
{
    struct slice name;
    while (slice_next_element(&headers, &name))
        if (!has(&c->headers, name, true))
            return false;
    return true;
}

static enum verdict on_request(struct exchange *x, const void *config)
{
    const struct cors_config *c = config;
    struct fields *fields = &x->request.head.fields;
    const struct field *method = fields_find_named(fields, SLICE("Access-Control-Request-Method"));
    if (x->request.head.method != METHOD_OPTIONS || method == NULL)
        return NEXT;
    struct slice headers =
        fields_joined(fields, SLICE("Access-Control-Request-Headers"), &x->arena);
    struct slice origin = origin_of(x);
    if (origin.size == 0)
        return NEXT; /* no browser asks so */
    if (!is_allowed(c, origin) || !has(&c->methods, method->value, false) || !may_send(c, headers))
        return auth_refuse(x, &key_cors, REFUSAL_ORIGIN, "the origin may not ask so", SLICE(""));
    response_text(x, 204, SLICE(""), SLICE(""));
    fields = &x->response.fields;
    fields_set_named(fields, SLICE("Access-Control-Allow-Methods"), c->methods_text);
    fields_set_named(fields, SLICE("Access-Control-Allow-Headers"), c->headers_text);
    fields_set_named(fields, SLICE("Access-Control-Max-Age"), c->age_text);
    return ANSWERED;
}

static bool has_vary(const struct fields *fields, struct exchange *x)
{
    struct slice vary = fields_joined(fields, SLICE("Vary"), &x->arena);
    return slice_list_has(vary, SLICE("Origin")) || slice_list_has(vary, SLICE("*"));
}

static void on_response(struct exchange *x, const void *config)
{
    const struct cors_config *c = config;
    struct fields *fields = &x->response.fields;
    struct slice origin = origin_of(x);
    bool is_preflight = x->response.is_ours && x->response.status == 204 &&
                        fields_find_named(fields, SLICE("Access-Control-Max-Age")) != NULL;
    fields_remove_named(fields, SLICE("Access-Control-Allow-Origin"));
    fields_remove_named(fields, SLICE("Access-Control-Allow-Credentials"));
    fields_remove_named(fields, SLICE("Access-Control-Expose-Headers"));
    if (!is_preflight) {
        fields_remove_named(fields, SLICE("Access-Control-Allow-Methods"));
        fields_remove_named(fields, SLICE("Access-Control-Allow-Headers"));
        fields_remove_named(fields, SLICE("Access-Control-Max-Age"));
    }
    if (!c->is_any && !has_vary(fields, x)) /* caches must not show one origin's answer to others */
        fields_add(fields, FIELD_VARY, SLICE("Origin"));
    if (origin.size == 0 || !is_allowed(c, origin))
        return;
    fields_add_named(fields, SLICE("Access-Control-Allow-Origin"), c->is_any ? SLICE("*") : origin);
    if (c->with_credentials)
        fields_add_named(fields, SLICE("Access-Control-Allow-Credentials"), SLICE("true"));
    if (c->expose_text.size > 0 && !is_preflight)
        fields_add_named(fields, SLICE("Access-Control-Expose-Headers"), c->expose_text);
}

const struct step step_cors = {
    .key = &key_cors,
    .prepare = prepare,
    .on_request = on_request,
    .on_response = on_response,
};
