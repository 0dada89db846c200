/* SPDX-License-Identifier: Apache-2.0 */
/* The fiber of a connection: one exchange after the other until it is idle, closed or a tunnel. */
#include "serve/serve_h1.h"

#include "base/check.h"
#include "fiber/block.h"
#include "serve/listener.h"
#include "serve/overload.h"

/* Fills in what an exchange knows of its connection. */
static void begin(struct h1_exchange *e)
{
    struct h1_connection *c = e->connection;
    struct exchange *x = &e->x;
    x->sink = &h1_sink;
    x->connection = e;
    x->tls = stream_tls_facts(&c->stream);
    x->introduction = c->stream.introduction;
    if (c->requests++ == 0)
        counter_add(&c->listener->counts->h1, 1);
    counter_add(&c->listener->counts->began_work, 1);
    serve_begin(x, c->listener, &c->peer, slice_of(c->ip, c->ip_size), c->is_secure);
}

/* Whether the connection may carry another request after this one. */
static bool may_keep(const struct h1_exchange *e, enum pressure pressure)
{
    const struct h1_connection *c = e->connection;
    const struct limits *limits = &c->listener->config->limits;
    return e->x.request.head.keep_alive && e->refusal == REFUSAL_NONE && !c->worker->is_draining &&
           c->listener->last == NULL && pressure < PRESSURE_CLOSE &&
           (limits->requests_per_connection < 0 ||
            c->requests < (uint64_t)limits->requests_per_connection) &&
           (limits->connection_age < 0 || loop_now() - c->opened < limits->connection_age);
}

/* Moves what the client sent beyond this request to the front of the input. */
static void keep_pipelined(struct h1_exchange *e)
{
    struct h1_connection *c = e->connection;
    struct slice ahead = e->body.ahead;
    bool is_in_spare = c->spare.data != NULL && ahead.data >= c->spare.data &&
                       ahead.data < c->spare.data + c->spare.capacity;
    if (ahead.size > 0 && is_in_spare) {
        struct h1_input input = c->input;
        c->input = c->spare;
        c->spare = input;
    }
    if (ahead.size > 0)
        memmove(c->input.data, ahead.data, ahead.size);
    c->input.size = ahead.size;
    h1_input_release(&c->spare);
}

/* After the response: what happens to the connection. True: it goes on. */
static bool conclude(struct h1_exchange *e)
{
    struct exchange *x = &e->x;
    if (x->tunnel.server != NULL && x->is_finished) /* the stream was taken away */
        return false;
    bool is_cut_off = e->is_cut_off || !x->is_finished || fiber_is_cancelled(x->fiber);
    bool may_go_on = !is_cut_off && x->keep_client && h1_request_body_drain(e);
    if (may_go_on) {
        keep_pipelined(e);
        return true;
    }
    return false;
}

static void release(struct h1_exchange *e)
{
    e->connection->active = NULL;
    counter_add(&e->connection->listener->counts->did_work, 1);
    serve_end(&e->x, e->connection->worker);
    arena_done(&e->x.arena);
    block_give(e);
}

/* Serves one exchange. True: the connection may carry another. */
static bool serve_one(struct h1_exchange *e)
{
    struct h1_connection *c = e->connection;
    begin(e);
    enum pressure pressure = overload_level(c->worker);
    if (pressure >= PRESSURE_REFUSE && e->refusal == REFUSAL_NONE)
        e->refusal = REFUSAL_MEMORY;
    e->x.keep_client = may_keep(e, pressure);
    struct slice ahead = e->refusal == REFUSAL_NONE
                             ? slice_of(c->input.data + e->head_size, c->input.size - e->head_size)
                             : SLICE("");
    h1_request_body_init(e, ahead);
    if (e->refusal == REFUSAL_NONE) {
        exchange_run(&e->x);
    } else {
        /* Also where its head was not read to the end (RFC 9110 §9.3.2: no content). */
        if (slice_starts(slice_of(c->input.data, c->input.size), SLICE("HEAD ")))
            e->x.request.head.method = METHOD_HEAD;
        exchange_refuse_head(&e->x, e->refusal);
    }
    return conclude(e);
}

void h1_serve(void *argument)
{
    struct h1_connection *c = argument;
    for (;;) {
        struct h1_exchange *e = c->active;
        c->fiber = fiber_self();
        bool goes_on = serve_one(e);
        bool is_tunnel = e->x.tunnel.server != NULL && e->x.is_finished;
        bool is_abort = e->is_cut_off || fiber_is_cancelled(e->x.fiber);
        bool has_unread = !h1_body_is_done(&e->body.parser) || e->body.ahead.size > 0 ||
                          e->refusal != REFUSAL_NONE || (c->stream.watch.ready & READY_READ) != 0;
        release(e);
        if (goes_on && h1_next(c) == H1_NEXT_READY)
            continue;
        if (goes_on)
            return;
        if (is_tunnel)
            h1_close(c, false);
        else if (!is_abort && has_unread)
            h1_linger(c);
        else
            h1_close(c, is_abort);
        return;
    }
}
