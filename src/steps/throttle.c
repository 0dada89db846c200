/* SPDX-License-Identifier: Apache-2.0 */
/* throttle RATE: how fast a response goes out. Each exchange has the rate for itself; what its
 * server sends faster waits in the server, as with a slow client. */
#include "base/clock.h"
#include "base/list.h"
#include "exchange/exchange.h"
#include "fiber/fiber.h"
#include "fiber/thread.h"

enum {
    PIECE_MS = 50,   /* of the rate at a time: smooth, and few wakes */
    PIECE_MIN = 256, /* bytes */
    RATE_MIN = 1024,
};

struct throttle_config {
    int64_t rate; /* bytes a second */
    int64_t after;
};

static const struct option ARGUMENTS[] = {
    {.name = "rate",
     .type = OPTION_SPEED,
     .flags = OPTION_REQUIRED,
     .min = RATE_MIN,
     .max = INT64_C(1) << 40,
     .offset = offsetof(struct throttle_config, rate),
     .doc = "How fast one response goes out: 5MiB/s; at least 1KiB/s."},
    {0},
};

static const struct option OPTIONS[] = {
    {.name = "after",
     .type = OPTION_SIZE,
     .standard = "0B",
     .min = 0,
     .max = INT64_C(1) << 50,
     .offset = offsetof(struct throttle_config, after),
     .doc = "So much of the response goes out first, as fast as it can."},
    {0},
};

static const struct key key_throttle = {
    .name = "throttle",
    .contexts = IN_SITE | IN_ROUTE | IN_DEFAULTS,
    .flags = KEY_STEP | KEY_OFF,
    .arguments = ARGUMENTS,
    .options = OPTIONS,
    .config_size = sizeof(struct throttle_config),
    .doc = "Limits how fast the body of a response goes out. Tunnels are not slowed.",
    .example = "throttle 5MiB/s after=1MiB",
    .since = "0.1",
};

struct slowed {
    struct body body;
    struct body *inner;
    const struct throttle_config *config;
    struct slice left; /* of the inner body's chunk */
    int64_t free;      /* bytes that may still go out at once */
    int64_t due;       /* when the next piece may go out */
    size_t piece;
};

static enum status read_slowed(struct body *body, struct slice *chunk, int64_t deadline)
{
    struct slowed *s = LIST_ENTRY(body, struct slowed, body);
    *chunk = SLICE("");
    if (s->left.size == 0)
        TRY(s->inner->read(s->inner, &s->left, deadline));
    if (s->left.size == 0)
        return OK;
    if (s->free > 0) {
        *chunk = slice_first(s->left, (size_t)s->free);
        s->free -= (int64_t)chunk->size;
        s->left = slice_from(s->left, chunk->size);
        return OK;
    }
    int64_t now = loop_now();
    if (s->due > now) {
        TRY(fiber_sleep(s->due < deadline ? s->due : deadline));
        if (s->due > deadline)
            return ERR_TIMEOUT;
        now = loop_now();
    }
    *chunk = slice_first(s->left, s->piece);
    s->left = slice_from(s->left, chunk->size);
    /* A pause of the server's is not caught up with. */
    int64_t from = s->due > now - MILLISECONDS(PIECE_MS) ? s->due : now;
    s->due =
        from + (int64_t)((unsigned __int128)chunk->size * SECONDS(1) / (uint64_t)s->config->rate);
    return OK;
}

static bool is_slowed_ready(struct body *body)
{
    const struct slowed *s = LIST_ENTRY(body, struct slowed, body);
    bool may_go = s->free > 0 || s->due <= loop_now();
    return may_go && (s->left.size > 0 || s->inner->is_ready(s->inner));
}

static void on_response(struct exchange *x, const void *config)
{
    const struct throttle_config *c = config;
    struct body *inner = x->response.body;
    if (inner->length == 0 || x->tunnel.server != NULL)
        return;
    struct slowed *s = arena_zero(&x->arena, sizeof *s);
    int64_t piece = c->rate / (SECONDS(1) / MILLISECONDS(PIECE_MS));
    *s = (struct slowed){
        .body = {.read = read_slowed,
                 .is_ready = is_slowed_ready,
                 .length = inner->length,
                 .trailers = inner->trailers},
        .inner = inner,
        .config = c,
        .free = c->after,
        .due = loop_now(),
        .piece = (size_t)(piece < PIECE_MIN ? PIECE_MIN : piece),
    };
    x->response.body = &s->body;
}

const struct step step_throttle = {
    .key = &key_throttle,
    .on_response = on_response,
};
