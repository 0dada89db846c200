/* SPDX-License-Identifier: Apache-2.0 */
/* mirror UPSTREAM: sends a copy of requests to servers whose answers nobody sees. The copy leaves
 * when the client's own answer is there, as the request was then: rewritten, with what servers are
 * told about the client. It never makes the client wait, and when too much is under way there is
 * none. */
#include "base/clock.h"
#include "base/random.h"
#include "exchange/exchange.h"
#include "fiber/thread.h"
#include "upstream/call.h"

#include <stdlib.h>

enum {
    KEPT_BODY = 64 * 1024,
    CONNECT_TIMEOUT_S = 3,
};

struct mirror_config {
    struct slice to;
    int64_t sample;    /* hundredths of a percent */
    int64_t body_size; /* bytes */
    int64_t timeout;   /* ns, of the whole call */
    struct upstream *upstream;
};

static const struct option ARGUMENTS[] = {
    {.name = "to",
     .type = OPTION_UPSTREAM,
     .flags = OPTION_REQUIRED,
     .offset = offsetof(struct mirror_config, to),
     .doc = "The name of an upstream, or one server: host:port, http://host:port, unix:/path."},
    {0},
};
static const struct option OPTIONS[] = {
    {.name = "sample",
     .type = OPTION_PERCENT,
     .standard = "100%",
     .min = 1,
     .max = 10000,
     .offset = offsetof(struct mirror_config, sample),
     .doc = "The part of the requests that is copied."},
    {.name = "body_size",
     .type = OPTION_SIZE,
     .standard = "64KiB",
     .min = 0,
     .max = 16777216,
     .offset = offsetof(struct mirror_config, body_size),
     .doc = "Requests with a longer body are not copied."},
    {.name = "timeout",
     .type = OPTION_DURATION,
     .standard = "30s",
     .min = MILLISECONDS(1),
     .max = SECONDS(3600),
     .offset = offsetof(struct mirror_config, timeout),
     .doc = "How long a copy may take, its answer included."},
    {0},
};

static const struct key key_mirror = {
    .name = "mirror",
    .contexts = IN_SITE | IN_ROUTE | IN_DEFAULTS,
    .flags = KEY_STEP | KEY_MANY,
    .arguments = ARGUMENTS,
    .options = OPTIONS,
    .config_size = sizeof(struct mirror_config),
    .doc =
        "Sends a copy of each request to another upstream, whose answers are thrown away. "
        "Tunnels are not copied, nor what the client gave up before it was answered. At most 256 "
        "copies are under way on a worker.",
    .example = "mirror 127.0.0.1:3001 sample=10%",
    .since = "0.1",
};

/* The request's body on its way to the server, and a copy of what has gone by. */
struct watched {
    struct body body;
    struct body *inner;
    struct arena *arena; /* of the exchange */
    char *data;
    size_t size, capacity, most;
    bool is_whole;
    bool is_too_large;
    bool is_done;
};

/* The copy, with memory of its own: it outlives the exchange. */
struct image {
    struct arena arena;
    struct fields fields;
    struct body_text body;
    struct upstream_call call;
    int64_t timeout;
};

static enum status prepare(void *config, struct prepare *p)
{
    struct mirror_config *c = config;
    c->upstream = p->find_upstream(p, c->to);
    return c->upstream == NULL ? ERR_CONFIG : OK;
}

static void keep(struct watched *w, struct slice chunk)
{
    size_t size = w->size + chunk.size;
    if (size > w->capacity) {
        w->capacity = 2 * size < w->most ? 2 * size : w->most;
        char *data = arena_alloc(w->arena, w->capacity);
        if (w->size > 0)
            memcpy(data, w->data, w->size);
        w->data = data;
    }
    if (chunk.size > 0)
        memcpy(w->data + w->size, chunk.data, chunk.size);
    w->size = size;
}

static enum status read_watched(struct body *body, struct slice *chunk, int64_t deadline)
{
    struct watched *w = LIST_ENTRY(body, struct watched, body);
    TRY(w->inner->read(w->inner, chunk, deadline));
    w->is_whole = chunk->size == 0;
    w->is_too_large = w->is_too_large || chunk->size > w->most - w->size;
    if (!w->is_too_large)
        keep(w, *chunk);
    return OK;
}

static bool is_watched_ready(struct body *body)
{
    struct watched *w = LIST_ENTRY(body, struct watched, body);
    return w->inner->is_ready(w->inner);
}

static enum verdict on_request(struct exchange *x, const void *config)
{
    const struct mirror_config *c = config;
    const struct request_head *head = &x->request.head;
    if (head->upgrade.size > 0 || head->method == METHOD_CONNECT ||
        random_below(&thread_self()->random, 10000) >= c->sample)
        return NEXT;
    struct body *inner = x->request.body;
    if (inner->length > c->body_size) {
        x->mirrored = "too_large";
        return NEXT;
    }
    struct watched *w = arena_zero(&x->arena, sizeof *w);
    w->inner = inner;
    w->is_whole = inner->length == 0;
    exchange_keep_state(x, config, w);
    if (inner->length == 0)
        return NEXT;
    w->arena = &x->arena;
    w->most = (size_t)(inner->length < 0 ? c->body_size : inner->length);
    w->body = (struct body){.read = read_watched,
                            .is_ready = is_watched_ready,
                            .length = inner->length,
                            .trailers = inner->trailers};
    x->request.body = &w->body;
    return NEXT;
}

static void show(void *argument)
{
    struct image *image = argument;
    struct upstream_call *call = &image->call;
    enum status status = upstream_call(call, loop_now() + image->timeout);
    while (status == OK) {
        struct slice chunk;
        status = call->body->read(call->body, &chunk, loop_now() + image->timeout);
        if (chunk.size == 0)
            break;
    }
    upstream_call_end(call);
    arena_done(&image->arena);
    free(image);
}

static struct image *copy(struct exchange *x, const struct mirror_config *c,
                          const struct watched *w)
{
    const struct request_head *head = &x->request.head;
    struct image *image = memory_zero(sizeof *image);
    struct arena *arena = &image->arena;
    arena_init(arena, NULL, 0);
    fields_init(&image->fields, arena, NULL, 0);
    for (uint32_t i = 0; i < head->fields.count; i++) {
        const struct field *field = &head->fields.items[i];
        fields_append_checked(&image->fields, (enum field_id)field->id,
                              arena_copy(arena, field->name), arena_copy(arena, field->value));
    }
    body_text_init(&image->body, arena_copy(arena, slice_of(w->data, w->size)));
    image->timeout = c->timeout;
    image->call.arena = arena;
    image->call.upstream = c->upstream;
    static const struct upstream_retry RETRY = {.connect = true};
    image->call.policy = (struct upstream_policy){
        .connect_timeout = SECONDS(CONNECT_TIMEOUT_S),
        .first_byte_timeout = c->timeout,
        .idle_timeout = c->timeout,
        .tries = 1,
        .retry = &RETRY,
        .kept_body = KEPT_BODY,
        .http = UPSTREAM_HTTP_INHERITED,
    };
    image->call.request = (struct upstream_request){
        .method_text = arena_copy(arena, head->method_text),
        .method = head->method,
        .target = arena_copy(arena, x->request.target),
        .host = arena_copy(arena, exchange_client_host(x)),
        .fields = &image->fields,
        .body = w->size == 0 ? body_none() : &image->body.body,
    };
    return image;
}

static void on_response(struct exchange *x, const void *config)
{
    const struct mirror_config *c = config;
    struct watched *w = exchange_state(x, config);
    if (w == NULL || w->is_done)
        return;
    w->is_done = true; /* an answer of ours that takes a server's place comes by here again */
    if (!w->is_whole || w->is_too_large) {
        x->mirrored = w->is_too_large ? "too_large" : "incomplete";
        return;
    }
    struct image *image = copy(x, c, w);
    if (upstream_call_apart(c->upstream, "mirror", show, image) == OK) {
        x->mirrored = "sent";
        return;
    }
    x->mirrored = "busy";
    arena_done(&image->arena);
    free(image);
}

const struct step step_mirror = {
    .key = &key_mirror,
    .prepare = prepare,
    .on_request = on_request,
    .on_response = on_response,
};
