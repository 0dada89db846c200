/* SPDX-License-Identifier: Apache-2.0 */
/* secure_headers: what browsers are told not to do. */
#include "exchange/exchange.h"

enum { FRAME_DENY, FRAME_SAMEORIGIN, FRAME_OFF };
static const char *const FRAMES[] = {"deny", "sameorigin", "off", NULL};

struct secure_headers_config {
    struct slice hsts;
    struct slice referrer;
    struct slice permissions;
    struct slice csp;
    int frame;
    bool nosniff;
    bool replaces;
    bool hides_server;
};

static const struct option OPTIONS[] = {
    {.name = "hsts",
     .type = OPTION_STRING,
     .standard = "max-age=31536000",
     .offset = offsetof(struct secure_headers_config, hsts),
     .doc =
         "Strict-Transport-Security, over TLS alone; off: not sent. hsts of the site's tls comes "
         "first."},
    {.name = "nosniff",
     .type = OPTION_BOOL,
     .standard = "on",
     .offset = offsetof(struct secure_headers_config, nosniff),
     .doc = "X-Content-Type-Options: nosniff."},
    {.name = "frame",
     .type = OPTION_ENUM,
     .standard = "sameorigin",
     .words = FRAMES,
     .offset = offsetof(struct secure_headers_config, frame),
     .doc = "X-Frame-Options: who may show a page inside another; off: not sent."},
    {.name = "referrer",
     .type = OPTION_STRING,
     .standard = "strict-origin-when-cross-origin",
     .offset = offsetof(struct secure_headers_config, referrer),
     .doc = "Referrer-Policy; off: not sent."},
    {.name = "permissions",
     .type = OPTION_STRING,
     .standard = "camera=(), geolocation=(), microphone=()",
     .offset = offsetof(struct secure_headers_config, permissions),
     .doc = "Permissions-Policy; off: not sent."},
    {.name = "csp",
     .type = OPTION_STRING,
     .standard = "off",
     .offset = offsetof(struct secure_headers_config, csp),
     .doc = "Content-Security-Policy; off: not sent."},
    {.name = "replace",
     .type = OPTION_BOOL,
     .standard = "off",
     .offset = offsetof(struct secure_headers_config, replaces),
     .doc = "on: in the place of what the server says; off: where it says nothing."},
    {.name = "hide_server",
     .type = OPTION_FLAG,
     .offset = offsetof(struct secure_headers_config, hides_server),
     .doc =
         "Removes what tells about the server's software: Server, X-Powered-By, X-AspNet-Version, "
         "X-AspNetMvc-Version, X-Generator, X-Runtime."},
    {0},
};

static const struct key key_secure_headers = {
    .name = "secure_headers",
    .contexts = IN_SITE | IN_ROUTE | IN_DEFAULTS,
    .flags = KEY_STEP | KEY_ONE | KEY_OFF,
    .options = OPTIONS,
    .config_size = sizeof(struct secure_headers_config),
    .doc = "Adds the fields that keep browsers from doing harm; each can be changed or left out.",
    .example = "secure_headers frame=deny csp=\"default-src 'self'\" hide_server",
    .since = "0.1",
};

static enum status prepare(void *config, struct prepare *p)
{
    struct secure_headers_config *c = config;
    const struct {
        const char *option;
        struct slice *value;
    } values[] = {{"hsts", &c->hsts},
                  {"referrer", &c->referrer},
                  {"permissions", &c->permissions},
                  {"csp", &c->csp}};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct slice value = *values[i].value;
        for (size_t at = 0; at < value.size; at++)
            if ((unsigned char)value.data[at] < ' ' || value.data[at] == 0x7f) {
                p->error(p, values[i].option, "a control byte cannot stand in a field");
                return ERR_CONFIG;
            }
        if (slice_equal(value, SLICE("off")))
            *values[i].value = SLICE("");
    }
    return OK;
}

static void set(const struct secure_headers_config *c, struct fields *fields, struct slice name,
                struct slice value)
{
    if (value.size > 0 && (c->replaces || fields_find_named(fields, name) == NULL))
        fields_set_named(fields, name, value);
}

static void hide_server(struct fields *fields)
{
    fields_remove(fields, FIELD_SERVER);
    fields_remove_named(fields, SLICE("X-Powered-By"));
    fields_remove_named(fields, SLICE("X-AspNet-Version"));
    fields_remove_named(fields, SLICE("X-AspNetMvc-Version"));
    fields_remove_named(fields, SLICE("X-Generator"));
    fields_remove_named(fields, SLICE("X-Runtime"));
}

static void on_response(struct exchange *x, const void *config)
{
    const struct secure_headers_config *c = config;
    struct fields *fields = &x->response.fields;
    if (c->hides_server)
        hide_server(fields);
    if (x->tls != NULL)
        set(c, fields, SLICE("Strict-Transport-Security"), c->hsts);
    set(c, fields, SLICE("X-Content-Type-Options"), c->nosniff ? SLICE("nosniff") : SLICE(""));
    set(c, fields, SLICE("X-Frame-Options"),
        c->frame == FRAME_DENY         ? SLICE("DENY")
        : c->frame == FRAME_SAMEORIGIN ? SLICE("SAMEORIGIN")
                                       : SLICE(""));
    set(c, fields, SLICE("Referrer-Policy"), c->referrer);
    set(c, fields, SLICE("Permissions-Policy"), c->permissions);
    set(c, fields, SLICE("Content-Security-Policy"), c->csp);
}

const struct step step_secure_headers = {
    .key = &key_secure_headers,
    .prepare = prepare,
    .on_response = on_response,
};
