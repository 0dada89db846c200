/* SPDX-License-Identifier: Apache-2.0 */
/* proxy_status: how much of RFC 9209 clients are told. Without it: the error's name, of responses
 * that weir makes itself. */
#include "base/buffer.h"
#include "exchange/exchange.h"

enum { HOW_MUCH_OFF, HOW_MUCH_ERRORS, HOW_MUCH_FULL };
static const char *const HOW_MUCH[] = {"off", "errors", "full", NULL};

struct proxy_status_config {
    int how_much;
};

static const struct option ARGUMENTS[] = {
    {.name = "how_much",
     .type = OPTION_ENUM,
     .flags = OPTION_REQUIRED,
     .words = HOW_MUCH,
     .offset = offsetof(struct proxy_status_config, how_much),
     .doc = "off: nothing; errors: the error's name, as without this line; full: also which server "
            "was asked, what it answered, and why it failed, of every response: for internal "
            "networks."},
    {0},
};

static const struct key key_proxy_status = {
    .name = "proxy_status",
    .contexts = IN_SITE | IN_ROUTE | IN_DEFAULTS,
    .flags = KEY_STEP | KEY_ONE,
    .arguments = ARGUMENTS,
    .config_size = sizeof(struct proxy_status_config),
    .doc = "How much the field Proxy-Status (RFC 9209) tells clients.",
    .example = "proxy_status full",
    .since = "0.1",
};

/* A string of a structured field (RFC 8941 §3.3.3): printable ASCII. */
static void add_text(struct buffer *out, const char *name, struct slice text)
{
    if (text.size == 0)
        return;
    buffer_format(out, "; %s=\"", name);
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (c == '"' || c == '\\')
            buffer_append_byte(out, '\\');
        buffer_append_byte(out, c >= ' ' && c <= '~' ? c : '?');
    }
    buffer_append_byte(out, '"');
}

static void tell_all(struct exchange *x)
{
    struct fields *fields = &x->response.fields;
    const struct field *said = fields_find(fields, FIELD_PROXY_STATUS);
    bool is_passed_on = said != NULL && !x->response.is_ours; /* a proxy behind us has said it */
    struct buffer out = buffer_in(&x->arena, 128);
    if (is_passed_on) {
        buffer_append(&out, said->value);
        buffer_append(&out, SLICE(", "));
    }
    buffer_append(&out, SLICE("weir"));
    if (x->blame.error != NULL && x->blame.error[0] != '\0')
        buffer_format(&out, "; error=%s", x->blame.error);
    add_text(&out, "next-hop", x->upstream.server);
    if (x->upstream.status > 0)
        buffer_format(&out, "; received-status=%d", x->upstream.status);
    add_text(&out, "details", slice_from_cstring(x->blame.why));
    fields_set(fields, FIELD_PROXY_STATUS, buffer_slice(&out));
}

static void on_response(struct exchange *x, const void *config)
{
    const struct proxy_status_config *c = config;
    if (c->how_much == HOW_MUCH_FULL)
        tell_all(x);
    else if (c->how_much == HOW_MUCH_OFF && x->response.is_ours)
        fields_remove(&x->response.fields, FIELD_PROXY_STATUS);
}

const struct step step_proxy_status = {
    .key = &key_proxy_status,
    .on_response = on_response,
};
