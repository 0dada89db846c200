/* SPDX-License-Identifier: Apache-2.0 */
/* server_timing: tells browsers how long what took (the field Server-Timing). */
#include "base/buffer.h"
#include "exchange/exchange.h"
#include "fiber/thread.h"

struct server_timing_config {
    char unused; /* it has nothing to say but that it is there */
};

static const struct key key_server_timing = {
    .name = "server_timing",
    .contexts = IN_SITE | IN_ROUTE | IN_DEFAULTS,
    .flags = KEY_STEP | KEY_ONE | KEY_OFF,
    .config_size = sizeof(struct server_timing_config),
    .doc = "Adds Server-Timing to responses: milliseconds to connect to the server, to its first "
           "byte, and in all until the head of the response leaves. It tells clients about the "
           "inside; browsers show it.",
    .example = "server_timing",
    .since = "0.1",
};

static void add(struct buffer *out, const char *name, int64_t ns)
{
    buffer_format(out, "%s%s;dur=%lld.%03lld", out->size == 0 ? "" : ", ", name,
                  (long long)(ns / 1000000), (long long)(ns / 1000 % 1000));
}

static void on_response(struct exchange *x, const void *config)
{
    (void)config;
    struct buffer out = buffer_in(&x->arena, 96);
    if (x->upstream.connect > 0)
        add(&out, "connect", x->upstream.connect);
    if (x->upstream.first_byte > 0)
        add(&out, "upstream", x->upstream.first_byte);
    add(&out, "total", loop_now() - x->started);
    fields_add_named(&x->response.fields, SLICE("Server-Timing"), buffer_slice(&out));
}

const struct step step_server_timing = {
    .key = &key_server_timing,
    .on_response = on_response,
};
