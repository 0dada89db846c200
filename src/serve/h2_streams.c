/* SPDX-License-Identifier: Apache-2.0 */
/* How the streams of a client's connection become exchanges, and end. */
#include "base/log.h"
#include "exchange/grpc.h"
#include "fiber/block.h"
#include "serve/h2_exchange.h"
#include "serve/overload.h"

#include <string.h>

enum {
    TOLD_MAX = 4
}; /* streams that are refused with an answer at a time: that takes memory too */

static void free_exchange(struct h2_exchange *e)
{
    struct h2_connection *c = e->connection;
    if (!e->is_left) /* else it has, and is counted */
        serve_end(&e->x, c->worker);
    arena_done(&e->x.arena);
    list_remove(&e->link);
    block_give(e);
    c->active--;
    if (c->active == 0) {
        counter_add(&c->listener->counts->did_work, 1);
        c->idle_since = loop_now();
    }
}

/* The exchange has ended, its answer waits for the connection's turn. */
static void leave(struct h2_exchange *e)
{
    struct h2_connection *c = e->connection;
    e->left_size = e->stream.out[0].size;
    e->left_until = stream_stall_deadline(h2_timeouts_of(e)->h2_window, CLOCK_NEVER);
    serve_end(&e->x, c->worker);
    c->left_bytes += e->left_size;
    list_append(&c->left, &e->left);
    if (!timer_is_set(&c->timer) || c->timer.at > e->left_until)
        h2_schedule(c);
}

/* What was left was taken, or nobody wants it any more. */
static void end_left(struct h2_exchange *e)
{
    struct h2_connection *c = e->connection;
    list_remove(&e->left);
    c->left_bytes -= e->left_size;
    h2_stream_release(&e->stream, H2_NO_ERROR);
    free_exchange(e);
    if (c->session != NULL && c->active == 0)
        h2_schedule(c);
}

/* The fiber of a stream. */
static void serve_stream(void *argument)
{
    struct h2_exchange *e = argument;
    struct h2_connection *c = e->connection;
    struct exchange *x = &e->x;
    enum h2_error error = H2_CANCEL;
    if (!e->stream.is_closed &&
        !e->stream.is_reset) { /* else it was reset before it began: nothing is done for it */
        x->sink = &h2_sink;
        x->connection = e;
        x->introduction = c->introduction;
        serve_begin(x, c->listener, &c->peer, slice_of(c->ip, c->ip_size), c->is_secure);
        x->keep_client = true;
        x->tls = c->tls;
        c->duplex.write_stall = c->listener->config->timeouts.client_write;
        h2_request_body_init(e);
        h2_tunnel_add_key(x);
        if (e->refusal == REFUSAL_NONE)
            exchange_run(x);
        else
            exchange_refuse_head(x, e->refusal);
        if (x->is_outdated)
            h2_shutdown(c);
        error = x->is_finished && !e->is_cut_off ? H2_NO_ERROR : H2_INTERNAL_ERROR;
        if (e->tunnel != NULL) {
            serve_end(x, c->worker);
            error = h2_tunnel_serve(e) == OK ? H2_NO_ERROR : H2_INTERNAL_ERROR;
        }
    }
    e->fiber = NULL;
    e->is_left = e->is_left && !e->stream.is_closed && !e->stream.is_reset && error == H2_NO_ERROR;
    if (e->is_left) {
        leave(e);
        return;
    }
    h2_stream_release(&e->stream, error);
    free_exchange(e);
    if (c->session != NULL) {
        if (c->active == 0 && overload_level(c->worker) >= PRESSURE_CLOSE)
            h2_shutdown(c);
        if (c->active == 0)
            h2_schedule(c);
        if (h2_session_has_output(c->session) || h2_session_is_over(c->session))
            duplex_send(&c->duplex);
    }
    h2_free_if_done(c);
}

const struct exchange *h2_exchange_of(const struct fiber *fiber)
{
    const struct h2_exchange *e = fiber_argument(fiber, serve_stream);
    return e == NULL ? NULL : &e->x;
}

/* How many exchanges may be in work: a stream that was reset counts until its work has ended. */
static uint32_t active_max(const struct h2_connection *c)
{
    return 2 * c->streams_max;
}

static struct h2_stream *on_begin(void *owner, int32_t id)
{
    struct h2_connection *c = owner;
    (void)id;
    if (c->active >= active_max(c))
        return NULL;
    if (c->active >= TOLD_MAX && overload_level(c->worker) >= PRESSURE_REFUSE) {
        counter_add(&c->worker->refused[REFUSAL_MEMORY], 1);
        return NULL;
    }
    struct h2_exchange *e = block_take();
    memset(e, 0, offsetof(struct h2_exchange, request_fields));
    struct exchange *x = &e->x;
    size_t room = BLOCK_SIZE - offsetof(struct h2_exchange, arena_memory);
    arena_init(&x->arena, e->arena_memory, room & ~(size_t)15);
    fields_init(&x->request.head.fields, &x->arena, e->request_fields, H2_REQUEST_FIELDS);
    fields_init(&x->response.fields, &x->arena, e->response_fields, H2_RESPONSE_FIELDS);
    e->connection = c;
    e->stream.arena = &x->arena;
    e->stream.request = &x->request.head;
    list_append(&c->exchanges, &e->link);
    if (c->active++ == 0)
        counter_add(&c->listener->counts->began_work, 1);
    return &e->stream;
}

static struct h2_exchange *exchange_of(struct h2_stream *stream)
{
    return LIST_ENTRY(stream, struct h2_exchange, stream);
}

static void on_drop(void *owner, struct h2_stream *stream)
{
    struct h2_connection *c = owner;
    free_exchange(exchange_of(stream));
    h2_free_if_done(c);
}

/* A connection has served enough (limits.requests_per_connection, connection_age). */
static bool is_old(const struct h2_connection *c)
{
    const struct limits *limits = &c->listener->config->limits;
    return (limits->requests_per_connection >= 0 &&
            c->requests >= (uint64_t)limits->requests_per_connection) ||
           (limits->connection_age >= 0 && loop_now() - c->opened >= limits->connection_age);
}

static void on_head(void *owner, struct h2_stream *stream, enum refusal refusal)
{
    struct h2_connection *c = owner;
    struct h2_exchange *e = exchange_of(stream);
    if (refusal == REFUSAL_NONE && overload_level(c->worker) >= PRESSURE_REFUSE)
        refusal = REFUSAL_MEMORY;
    e->refusal = refusal;
    e->is_grpc = grpc_is_call(&e->x);
    c->requests++;
    if (fiber_start(NULL, "serve_h2", serve_stream, e, &e->fiber) != OK) {
        log_write(LOG_ERROR, "fibers_exhausted", "an exchange was refused: %s is reached",
                  refusal_text(REFUSAL_FIBERS)->limit);
        counter_add(&c->worker->refused[REFUSAL_FIBERS], 1);
        h2_stream_release(stream, H2_REFUSED_STREAM);
        free_exchange(e);
    }
    if (c->goodbye == H2_STAYS && is_old(c))
        h2_shutdown(c);
}

static void on_changed(void *owner, struct h2_stream *stream)
{
    struct h2_exchange *e = exchange_of(stream);
    (void)owner;
    if (e->is_left && e->fiber == NULL) {
        if (stream->is_closed)
            end_left(e);
        return;
    }
    h2_exchange_tell(e);
}

static bool may_hold(void *owner, struct h2_stream *stream)
{
    struct h2_connection *c = owner;
    struct exchange *x = &exchange_of(stream)->x;
    if (!overload_is_full(c->worker))
        return true;
    if (x->sink != NULL)
        exchange_refuse(x, REFUSAL_MEMORY);
    return false;
}

const struct h2_events h2_stream_events = {
    .begin = on_begin,
    .drop = on_drop,
    .head = on_head,
    .may_hold = may_hold,
    .changed = on_changed,
};
