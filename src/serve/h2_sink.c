/* SPDX-License-Identifier: Apache-2.0 */
/* Responses to an HTTP/2 client. Nothing is written here: heads go to the session, bodies stay
 * where they are until the session takes as much as windows and priorities allow, and the
 * connection's writer sends what all streams gave it in one piece. */
#include "base/check.h"
#include "fiber/fiber.h"
#include "serve/h2_exchange.h"

enum {
    TRICKLE_BYTES_PER_S = 500, /* a window that opens more slowly than this is no progress */
    LEAVE_MS = 100,
};

static struct h2_exchange *of(struct exchange *x)
{
    return x->connection;
}

static size_t left(const struct h2_stream *stream)
{
    return stream->out[0].size + stream->out[1].size;
}

static void send_out(struct h2_exchange *e)
{
    h2_stream_send(&e->stream);
    h2_kick(e->connection);
}

const struct timeouts *h2_timeouts_of(const struct h2_exchange *e)
{
    if (e->tunnel != NULL)
        return &e->tunnel->timeouts;
    return e->x.route == NULL ? &e->connection->listener->config->timeouts : &e->x.route->timeouts;
}

/* A short answer for which there is room need not be waited for. The memory that it stands in stays
 * until it was taken, and nothing else does: no fiber, no block, no server. */
static bool may_leave(const struct h2_exchange *e)
{
    const struct h2_stream *stream = &e->stream;
    size_t size = left(stream);
    return stream->is_ended && !stream->is_tunnel && stream->out[1].size == 0 &&
           stream->out_trailers == NULL &&
           h2_stream_fits(stream, size, e->connection->left_bytes + size);
}

/* Gives up on a client that opens its window too slowly. */
static enum status wait_taken(struct h2_exchange *e, bool end)
{
    struct h2_stream *stream = &e->stream;
    int64_t stall = h2_timeouts_of(e)->h2_window;
    /* What weir says when the time is up is still said. */
    int64_t deadline = e->x.response.is_ours ? CLOCK_NEVER : e->x.deadline;
    /* What came in time has a moment to leave. */
    if (deadline < loop_now() + MILLISECONDS(LEAVE_MS))
        deadline = loop_now() + MILLISECONDS(LEAVE_MS);
    while (end ? !stream->out_done : left(stream) > 0) {
        if (stream->is_closed || stream->is_reset)
            return ERR_CLOSED;
        uint64_t before = stream->out_taken;
        int64_t until = stream_stall_deadline(stall, deadline);
        enum status status = OK;
        while (status == OK && (end ? !stream->out_done : left(stream) > 0) && !stream->is_closed &&
               !stream->is_reset) {
            e->out_waiter = fiber_self();
            status = fiber_wait(until);
            e->out_waiter = NULL;
        }
        if (status == OK)
            continue;
        uint64_t enough = (uint64_t)(stall / SECONDS(1)) * TRICKLE_BYTES_PER_S;
        if (status == ERR_TIMEOUT && loop_now() < deadline && stream->out_taken - before > enough)
            continue;
        if (status == ERR_TIMEOUT)
            exchange_blame(&e->x, status, SIDE_CLIENT, 0, "", "timeouts.h2_window");
        return status;
    }
    return OK;
}

enum status h2_pass(struct h2_exchange *e, struct slice chunk)
{
    e->stream.out[1] = chunk;
    send_out(e);
    return wait_taken(e, false);
}

enum status h2_pass_end(struct h2_exchange *e)
{
    e->stream.out_last = true;
    send_out(e);
    return wait_taken(e, true);
}

/* The head goes to the session. */
static void respond(struct h2_exchange *e, bool has_body)
{
    struct exchange *x = &e->x;
    const struct response *response = &x->response;
    int64_t length = response->has_length || response->framing == FRAMING_LENGTH
                         ? (int64_t)response->length
                         : -1;
    int status = response->status;
    bool is_accepted = status >= 200 && status < 300;
    bool is_switched = status == 101;
    if (is_switched) {
        status = 200; /* RFC 8441 §5: the stream is the tunnel from here on */
        fields_remove_named(&x->response.fields, SLICE("Sec-WebSocket-Accept"));
    }
    if (e->stream.is_tunnel && is_accepted && !is_switched)
        status = 502; /* the server has answered instead of switching: that is no tunnel */
    x->response.status = status; /* what the client sees is what the log says */
    if (length == 0 && e->is_grpc)
        length = -1;
    e->is_held = false;
    x->head_sent = true;
    h2_stream_respond(&e->stream, status, &response->fields, is_switched ? -1 : length,
                      serve_date(e->connection->worker), has_body);
}

static enum status sink_interim(struct exchange *x, int status, const struct fields *fields)
{
    struct h2_exchange *e = of(x);
    if (e->stream.is_closed)
        return ERR_CLOSED;
    h2_stream_interim(&e->stream, status, fields);
    h2_kick(e->connection);
    return OK;
}

static enum status sink_head(struct exchange *x, bool hold)
{
    struct h2_exchange *e = of(x);
    if (e->stream.is_closed || e->stream.is_reset)
        return ERR_CLOSED;
    e->is_held = hold;
    if (hold)
        return OK;
    respond(e, true);
    h2_kick(e->connection);
    return OK;
}

/* Into our own memory, behind what stands there already. False: it does not fit. */
static bool gather(struct h2_exchange *e, struct slice chunk)
{
    struct h2_stream *stream = &e->stream;
    if (stream->out[0].size == 0)
        e->gathered = 0;
    if (stream->out[1].size > 0 || chunk.size > sizeof e->out_memory - e->gathered)
        return false;
    memcpy(e->out_memory + e->gathered, chunk.data, chunk.size);
    e->gathered += chunk.size;
    size_t size = stream->out[0].size + chunk.size;
    stream->out[0] = slice_of(e->out_memory + e->gathered - size, size);
    return true;
}

static enum status sink_chunk(struct exchange *x, struct slice chunk, bool more)
{
    struct h2_exchange *e = of(x);
    if (e->stream.is_closed || e->stream.is_reset)
        return ERR_CLOSED;
    if (e->is_held)
        respond(e, true);
    bool is_gathered = gather(e, chunk);
    if (is_gathered && more)
        return OK;
    if (!is_gathered)
        e->stream.out[1] = chunk;
    send_out(e);
    return is_gathered ? OK : wait_taken(e, false);
}

static enum status sink_move(struct exchange *x, struct body *body, bool *client_failed)
{
    (void)x, (void)body;
    *client_failed = false;
    return ERR_LIMIT;
}

static enum status sink_finish(struct exchange *x, const struct fields *trailers)
{
    struct h2_exchange *e = of(x);
    bool has_trailers = trailers != NULL && trailers->count > 0;
    if (e->stream.is_closed || e->stream.is_reset)
        return ERR_CLOSED;
    bool has_ended = e->is_held && !has_trailers; /* with the head */
    if (e->is_held)
        respond(e, has_trailers);
    if (!has_ended) {
        e->stream.out_last = true;
        e->stream.out_trailers = has_trailers ? trailers : NULL;
    }
    send_out(e);
    e->is_left = may_leave(e);
    return e->is_left ? OK : wait_taken(e, true);
}

static void sink_abort(struct exchange *x)
{
    of(x)->is_cut_off = true;
}

static enum status sink_tunnel(struct exchange *x)
{
    h2_tunnel_take(of(x));
    return OK;
}

static void sink_local_address(struct exchange *x, struct address *address)
{
    const struct h2_connection *c = of(x)->connection;
    if (c->session != NULL) /* else it has ended */
        socket_local_address(c->duplex.stream.watch.fd, address);
}

const struct sink h2_sink = {
    .interim = sink_interim,
    .head = sink_head,
    .chunk = sink_chunk,
    .move = sink_move,
    .finish = sink_finish,
    .abort = sink_abort,
    .tunnel = sink_tunnel,
    .local_address = sink_local_address,
};
