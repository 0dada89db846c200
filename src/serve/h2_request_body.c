/* SPDX-License-Identifier: Apache-2.0 */
/* The client's body, pulled from its stream: the window is opened as somebody wants it. */
#include "fiber/fiber.h"
#include "serve/h2_exchange.h"

enum {
    SLOW_AFTER_S = 10,      /* of waiting for the client … */
    SLOW_BYTES_PER_S = 240, /* … a body has to come at this pace */
};

static enum status refuse(struct h2_exchange *e, enum status status, enum refusal refusal)
{
    e->is_body_failed = true;
    exchange_refuse(&e->x, refusal);
    return status;
}

static int64_t read_timeout(const struct h2_exchange *e)
{
    const struct timeouts *timeouts = h2_timeouts_of(e);
    /* The client of a call that streams may be silent as long as one of a tunnel. */
    return e->is_grpc || e->stream.is_tunnel ? timeouts->tunnel : timeouts->request_body;
}

static bool is_too_slow(const struct h2_exchange *e)
{
    uint64_t wanted = (uint64_t)(e->waited / SECONDS(1)) * SLOW_BYTES_PER_S;
    return e->waited > SECONDS(SLOW_AFTER_S) && e->stream.received < wanted && !e->is_grpc &&
           !e->stream.is_tunnel;
}

enum status h2_stream_read(struct h2_exchange *e, struct slice *chunk, int64_t deadline)
{
    struct h2_stream *stream = &e->stream;
    for (;;) {
        *chunk = h2_stream_take(stream);
        if (chunk->size > 0) {
            h2_kick(e->connection); /* the window may have been opened */
            return OK;
        }
        if (stream->is_ended)
            return OK;
        if (stream->is_closed || stream->is_reset)
            return ERR_CLOSED;
        int64_t began = loop_now();
        int64_t until = stream_stall_deadline(read_timeout(e), deadline);
        e->body_waiter = fiber_self();
        enum status status = fiber_wait(until);
        e->body_waiter = NULL;
        e->waited += loop_now() - began;
        TRY(status);
    }
}

static enum status read_body(struct body *body, struct slice *chunk, int64_t deadline)
{
    struct h2_exchange *e = LIST_ENTRY(body, struct h2_exchange, body);
    struct exchange *x = &e->x;
    if (e->is_body_failed)
        return ERR_PROTOCOL;
    if (!e->was_asked && e->stream.received == 0) {
        e->was_asked = true;
        TRY(exchange_proceed(x));
    }
    enum status status = h2_stream_read(e, chunk, deadline);
    if (status == ERR_TIMEOUT && loop_now() < deadline)
        return refuse(e, status, REFUSAL_BODY_TIMEOUT);
    if (status == ERR_CLOSED)
        return refuse(e, status, REFUSAL_BODY_SHORT);
    TRY(status);
    x->bytes_in += chunk->size;
    if (e->stream.is_ended)
        exchange_clean_trailers(x, &e->stream.trailers);
    if (x->body_limit >= 0 && x->bytes_in > (uint64_t)x->body_limit)
        return refuse(e, ERR_LIMIT, REFUSAL_BODY_SIZE);
    if (is_too_slow(e))
        return refuse(e, ERR_TIMEOUT, REFUSAL_BODY_TIMEOUT);
    return OK;
}

static bool is_ready(struct body *body)
{
    const struct h2_stream *stream = &LIST_ENTRY(body, struct h2_exchange, body)->stream;
    return stream->is_ended || h2_stream_has_data(stream);
}

void h2_request_body_init(struct h2_exchange *e)
{
    const struct request_head *head = &e->x.request.head;
    e->was_asked = !head->expects_continue;
    e->body = (struct body){.read = read_body, .is_ready = is_ready};
    e->body.length = head->framing == FRAMING_CHUNKED ? -1 : (int64_t)head->length;
    e->body.trailers = head->framing == FRAMING_CHUNKED ? &e->stream.trailers : NULL;
    if (head->framing != FRAMING_NONE)
        e->x.request.body = &e->body;
}
