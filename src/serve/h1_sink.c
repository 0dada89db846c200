/* SPDX-License-Identifier: Apache-2.0 */
/* Responses to an HTTP/1 client. The head and small chunks are gathered in one piece of memory, so
 * that a small response leaves in one system call. */
#include "base/check.h"
#include "fiber/pages.h"
#include "http/h1_write.h"
#include "serve/clients.h"
#include "serve/serve_h1.h"

#include <stdlib.h>

static struct h1_exchange *of(struct exchange *x)
{
    return x->connection;
}

static int64_t write_stall(const struct h1_exchange *e)
{
    const struct exchange *x = &e->x;
    return x->route == NULL ? e->connection->listener->config->timeouts.client_write
                            : x->route->timeouts.client_write;
}

/* What nobody has asked of the exchange's memory yet may have been used by another before. What was
 * encrypted is in memory twice. */
static void on_slow(struct stream *stream, struct slice waiting)
{
    struct h1_exchange *e = LIST_ENTRY(stream, struct h1_connection, stream)->active;
    if (e == NULL)
        return;
    if (e->x.arena.blocks == NULL)
        pages_drop_within(e->x.arena.at, e->x.arena.end);
    struct body *body = e->x.response.body;
    size_t copied = stream_tls_copied(stream, waiting.size);
    if (copied > 0 && body != NULL && body->forget != NULL)
        body->forget(body, slice_first(waiting, copied));
}

/* Writes what was gathered, then the parts. */
static enum status write_out(struct h1_exchange *e, const struct slice *parts, size_t count)
{
    struct iovec vector[5];
    int used = 0;
    check(count < sizeof vector / sizeof *vector);
    if (e->out.size > 0)
        vector[used++] = (struct iovec){e->out.data, e->out.size};
    for (size_t i = 0; i < count; i++)
        if (parts[i].size > 0)
            vector[used++] = (struct iovec){(void *)(uintptr_t)parts[i].data, parts[i].size};
    if (used == 0 || e->written != OK)
        return e->written;
    e->x.head_sent = true;
    e->connection->stream.on_slow = on_slow;
    e->written = stream_write(&e->connection->stream, vector, used, write_stall(e), e->x.deadline);
    e->out = buffer_fixed(e->out_memory, sizeof e->out_memory);
    if (e->written == ERR_TIMEOUT)
        exchange_blame(&e->x, e->written, SIDE_CLIENT, 0, "", "timeouts.client_write");
    return e->written;
}

/* The fiber that sends the request's body on asks for it with a 100, while the other one may have
 * an answer already: waits until what is being written is out, or was given up. */
static enum status take_turn(struct h1_exchange *e)
{
    enum status status = OK;
    while (e->is_interim && status == OK) {
        e->next = fiber_self();
        status = fiber_wait(CLOCK_NEVER);
        e->next = NULL;
    }
    return status;
}

static enum status write_interim(struct h1_exchange *e, struct slice text)
{
    bool was_sent = e->x.head_sent;
    e->is_interim = true;
    enum status status = write_out(e, &text, 1);
    e->is_interim = false;
    e->x.head_sent = was_sent;
    if (e->next != NULL)
        fiber_wake(e->next);
    return status;
}

static enum status sink_interim(struct exchange *x, int status, const struct fields *fields)
{
    struct h1_exchange *e = of(x);
    if (x->request.head.minor == 0)
        return OK; /* HTTP/1.0 does not know them (RFC 9110 §15.2) */
    bool had_to_wait = e->is_interim;
    TRY(take_turn(e));
    if (had_to_wait && x->response.status != 0)
        return OK; /* the final one has come */
    struct buffer out = buffer_in(&x->arena, 512);
    struct h1_response_options options = {.minor = 1, .no_framing = true};
    h1_write_response(&out, status, fields, FRAMING_NONE, 0, &options);
    return write_interim(e, buffer_slice(&out));
}

static enum status sink_head(struct exchange *x, bool hold)
{
    struct h1_exchange *e = of(x);
    const struct response *response = &x->response;
    bool is_upgrade = response->status == 101;
    TRY(take_turn(e));
    if (!x->head_sent) /* an earlier response that failed before it left is not sent in part */
        e->out = buffer_fixed(e->out_memory, sizeof e->out_memory);
    if (response->framing == FRAMING_CLOSE || !h1_request_body_is_drainable(e) ||
        e->connection->worker->is_draining)
        x->keep_client = false;
    struct h1_response_options options = {
        .minor = x->request.head.minor,
        .close = !x->keep_client && !is_upgrade,
        .keep_alive = x->keep_client && x->request.head.minor == 0,
        .no_framing = response->framing == FRAMING_NONE && !response->has_length,
        .date = serve_date(e->connection->worker),
        .written = &response->written,
    };
    if (is_upgrade)
        options.upgrade = x->request.head.upgrade;
    /* A head that does not fit goes to the arena; what stands in memory of its own is the rule. */
    struct buffer out = e->out;
    h1_write_response(&out, response->status, &response->fields,
                      response->has_length ? FRAMING_LENGTH : response->framing, response->length,
                      &options);
    if (out.is_full) {
        out = buffer_in(&x->arena, 2 * sizeof e->out_memory);
        h1_write_response(&out, response->status, &response->fields,
                          response->has_length ? FRAMING_LENGTH : response->framing,
                          response->length, &options);
    }
    e->out = out;
    return hold ? OK : write_out(e, NULL, 0);
}

static enum status sink_chunk(struct exchange *x, struct slice chunk, bool more)
{
    struct h1_exchange *e = of(x);
    char line[H1_CHUNK_LINE_MAX];
    struct slice parts[3] = {{0}, chunk, {0}};
    if (x->response.framing == FRAMING_CHUNKED) {
        parts[0] = slice_of(line, h1_write_chunk_line(line, chunk.size));
        parts[2] = SLICE("\r\n");
    }
    size_t size = parts[0].size + chunk.size + parts[2].size;
    bool is_small = size <= e->out.capacity - e->out.size;
    if (!is_small)
        return write_out(e, parts, 3);
    for (int i = 0; i < 3; i++)
        buffer_append(&e->out, parts[i]);
    return more ? OK : write_out(e, NULL, 0);
}

static enum status sink_move(struct exchange *x, struct body *body, bool *client_failed)
{
    struct h1_exchange *e = of(x);
    *client_failed = true;
    if (!stream_is_plain(&e->connection->stream))
        return ERR_LIMIT;
    if (e->out.size > 0) {
        /* Only where bytes are sure to follow: what is held back waits for an acknowledgement. */
        e->connection->stream.more_follows = body->moves_first;
        enum status written = write_out(e, NULL, 0);
        e->connection->stream.more_follows = false;
        TRY(written);
    }
    uint64_t moved = 0;
    enum status status =
        body->move(body, &e->connection->stream, write_stall(e), &moved, client_failed);
    x->bytes_out += moved;
    return status;
}

static enum status sink_finish(struct exchange *x, const struct fields *trailers)
{
    struct h1_exchange *e = of(x);
    if (x->response.framing == FRAMING_CHUNKED) {
        static const struct slice LAST = {"0\r\n\r\n", 5};
        if (trailers == NULL || trailers->count == 0) {
            if (LAST.size <= e->out.capacity - e->out.size) {
                buffer_append(&e->out, LAST);
                return write_out(e, NULL, 0);
            }
            return write_out(e, &LAST, 1);
        }
        struct buffer last = buffer_in(&x->arena, 512);
        h1_write_last_chunk(&last, trailers);
        struct slice text = buffer_slice(&last);
        return write_out(e, &text, 1);
    }
    return write_out(e, NULL, 0);
}

static void sink_abort(struct exchange *x)
{
    struct h1_exchange *e = of(x);
    x->keep_client = false;
    e->is_cut_off = true;
}

/* What a tunnel needs to know when it has ended. */
struct tunnel_log {
    struct exchange *x; /* a copy for the log */
    struct serve_worker *worker;
    struct address client;
    struct address peer;
    bool is_counted; /* the peer, in the table of client addresses */
    struct h1_tunnel_facts facts;
    void (*on_server_end)(void *taken);
    void *taken;
};

static void on_tunnel_end(void *argument, struct tunnel_result *result)
{
    struct tunnel_log *log = argument;
    log->x->bytes_in = result->bytes_in;
    log->x->bytes_out = result->bytes_out;
    if (result->status == ERR_TIMEOUT)
        exchange_blame(log->x, ERR_TIMEOUT, SIDE_US, 0, "", "timeouts.tunnel");
    log->on_server_end(log->taken);
    exchange_log(log->x);
    exchange_let_go(log->x);
    free(log->x);
    struct serve_worker *worker = log->worker;
    if (log->is_counted)
        clients_leave(worker->shared->clients, &log->peer);
    __atomic_sub_fetch(&worker->shared->connections, 1, __ATOMIC_RELAXED);
    free(log);
    serve_look_if_empty(worker);
}

const struct address *h1_tunnel_client(const void *argument)
{
    const struct tunnel_log *log = argument;
    return &log->client;
}

void h1_tunnel_look(const void *argument, struct h1_tunnel_facts *facts)
{
    const struct tunnel_log *log = argument;
    *facts = log->facts;
}

void h1_tunnel_blame(void *argument)
{
    struct tunnel_log *log = argument;
    exchange_refuse(log->x, REFUSAL_MEMORY);
    counter_add(&log->worker->refused[REFUSAL_MEMORY], 1);
}

static enum status sink_tunnel(struct exchange *x)
{
    struct h1_exchange *e = of(x);
    struct h1_connection *c = e->connection;
    struct tunnel_log *log = memory_zero(sizeof *log);
    log->worker = c->worker;
    log->on_server_end = x->tunnel.on_end;
    x->is_finished = true;
    log->client = *x->client;
    log->x = exchange_copy_for_log(x);
    log->facts = (struct h1_tunnel_facts){
        .x = log->x,
        .opened = c->opened,
        .fd = c->stream.watch.fd,
        .is_secure = c->is_secure,
        .requests = c->requests,
    };
    int64_t silence = x->tunnel.timeout != 0 ? x->tunnel.timeout : x->route->timeouts.tunnel;
    enum status status = tunnel_start(&c->stream, e->body.ahead, x->tunnel.server, x->tunnel.early,
                                      silence, on_tunnel_end, log);
    if (status != OK) {
        x->is_finished = false;
        free(log->x);
        free(log);
        return status;
    }
    log->taken = x->tunnel.take(x->tunnel.argument);
    exchange_hand_over(x, log->x);
    /* The limits of connections count it until it ends, though the listener does not. */
    __atomic_add_fetch(&c->worker->shared->connections, 1, __ATOMIC_RELAXED);
    log->peer = c->peer;
    log->is_counted = c->is_counted;
    c->is_counted = false;
    return OK;
}

static void sink_local_address(struct exchange *x, struct address *address)
{
    struct h1_exchange *e = x->connection;
    socket_local_address(e->connection->stream.watch.fd, address);
}

const struct sink h1_sink = {
    .interim = sink_interim,
    .head = sink_head,
    .chunk = sink_chunk,
    .move = sink_move,
    .finish = sink_finish,
    .abort = sink_abort,
    .tunnel = sink_tunnel,
    .local_address = sink_local_address,
};
