/* SPDX-License-Identifier: Apache-2.0 */
/* The two bodies of a call: the client's on its way to the server, the server's on its way back. */
#include "base/check.h"
#include "fiber/block.h"
#include "fiber/pages.h"
#include "http/h1_write.h"
#include "upstream/call_inside.h"

static enum status client_failed(struct upstream_call *call, enum status status)
{
    call->client_failed = true;
    return call_fail(call, status, 0, "", "the client's body failed");
}

enum status call_keep_body(struct upstream_call *call, int64_t deadline)
{
    struct upstream_exchange *inside = call->inside;
    struct body *body = call->request.body;
    struct buffer kept = buffer_in(call->arena, (size_t)body->length);
    for (;;) {
        struct slice chunk;
        enum status status = body->read(body, &chunk, deadline);
        if (status != OK)
            return client_failed(call, status);
        if (chunk.size == 0)
            break;
        buffer_append(&kept, chunk);
    }
    inside->kept = buffer_slice(&kept);
    inside->is_kept = true;
    return OK;
}

/* Writes one chunk of the client's body. An empty one is the end. */
static enum status send_chunk(struct upstream_call *call, struct slice chunk)
{
    if (call->inside->cgi != NULL)
        return call_cgi_send(call, chunk);
    struct stream *stream = &call->inside->connection->stream;
    bool is_chunked = call->request.body->length < 0;
    char line[H1_CHUNK_LINE_MAX];
    char crlf[] = "\r\n";
    struct iovec parts[3] = {{line, 0}, {(void *)(uintptr_t)chunk.data, chunk.size}, {crlf, 0}};
    if (is_chunked && chunk.size > 0) {
        parts[0].iov_len = h1_write_chunk_line(line, chunk.size);
        parts[2].iov_len = 2;
    } else if (is_chunked) {
        struct buffer last = buffer_in(call->arena, 64);
        h1_write_last_chunk(&last, call->request.body->trailers);
        parts[0] = (struct iovec){last.data, last.size};
    }
    return stream_write(stream, parts, 3, call->policy.idle_timeout, CLOCK_NEVER);
}

/* Passes the next piece on, past user space where that is possible. *is_end: there is no more. */
static enum status pass_piece(struct upstream_call *call, bool *is_end, bool *server_failed)
{
    struct body *body = call->request.body;
    struct stream *to = &call->inside->connection->stream;
    bool is_raw = call->inside->cgi == NULL || call_cgi_is_raw(call->inside->cgi);
    *is_end = false;
    if (body->move != NULL && is_raw && stream_is_plain(to)) {
        uint64_t moved;
        enum status status = body->move(body, to, call->policy.idle_timeout, &moved, server_failed);
        if (status != ERR_LIMIT)
            return status;
    }
    struct slice chunk;
    *server_failed = false;
    TRY(body->read(body, &chunk, CLOCK_NEVER));
    *server_failed = true;
    *is_end = chunk.size == 0;
    return send_chunk(call, chunk);
}

/* The child: pulls from the client, writes to the server, until the end or a failure of either. */
static void send_body(void *argument)
{
    struct upstream_call *call = argument;
    struct upstream_exchange *inside = call->inside;
    bool is_end;
    bool server_failed;
    enum status status;
    do {
        status = pass_piece(call, &is_end, &server_failed);
    } while (status == OK && !is_end);
    inside->send_status = status;
    inside->is_sending = false;
    if (status != OK && !server_failed) {
        if (status != ERR_CANCELLED) {
            call->client_failed = true;
            stream_break(&inside->connection->stream); /* the answer is of no use any more */
        }
        return;
    }
    inside->is_sent = status == OK;
    inside->sent_at = loop_now();
    /* A server that closed its side may have answered: the reader finds out. */
    if (status == ERR_TIMEOUT)
        stream_break(&inside->connection->stream);
}

enum status call_send_body(struct upstream_call *call)
{
    struct upstream_exchange *inside = call->inside;
    inside->is_sending = true;
    enum status status = fiber_start(&inside->scope, "send_body", send_body, call, NULL);
    if (status == OK)
        return OK;
    inside->is_sending = false;
    return call_fail(call, ERR_LIMIT, 503, "connection_limit_reached", "fibers_max");
}

static int64_t read_deadline(const struct call_body *b, int64_t deadline)
{
    if (b->is_patient || b->call->policy.idle_timeout == CLOCK_NEVER)
        return deadline;
    return stream_stall_deadline(b->call->policy.idle_timeout, deadline);
}

/* The end of the server's bytes, before or where the body's end is. */
static enum status at_end(struct call_body *b, struct slice *chunk)
{
    *chunk = SLICE("");
    if (b->parser.framing == FRAMING_CLOSE && !b->is_failed)
        return OK;
    b->is_failed = true;
    return ERR_CLOSED;
}

static enum status read_body(struct body *body, struct slice *chunk, int64_t deadline)
{
    struct call_body *b = LIST_ENTRY(body, struct call_body, body);
    struct upstream_exchange *inside = b->call->inside;
    if (b->is_failed)
        return ERR_CLOSED;
    for (;;) {
        enum parse parse = h1_body_take(&b->parser, &b->ahead, chunk);
        if (parse == PARSE_ERROR) {
            b->is_failed = true;
            b->call->why = b->parser.why;
            return ERR_PROTOCOL;
        }
        if (chunk->size > 0)
            return OK;
        if (parse == PARSE_DONE) {
            /* The one place where an exchange with a server is complete. */
            call_release(b->call);
            return OK;
        }
        if (inside->connection == NULL)
            return at_end(b, chunk);
        size_t got = 0;
        /* The head's text stays where it is: the body is read behind it, over what came before. */
        enum status status = stream_read(&inside->connection->stream, b->room, b->room_size, &got,
                                         read_deadline(b, deadline));
        if (status == ERR_CLOSED)
            return at_end(b, chunk);
        if (status != OK) {
            b->is_failed = true;
            return status;
        }
        b->ahead = slice_of(b->room, got);
    }
}

static enum status move_body(struct body *body, struct stream *to, int64_t stall, uint64_t *moved,
                             bool *to_failed)
{
    struct call_body *b = LIST_ENTRY(body, struct call_body, body);
    struct upstream_exchange *inside = b->call->inside;
    *to_failed = false;
    *moved = 0;
    if (b->ahead.size > 0 || b->is_failed || inside->connection == NULL ||
        (!b->is_moving && b->parser.left < BODY_MOVE_MIN) || b->parser.left == 0 ||
        !stream_is_plain(&inside->connection->stream))
        return ERR_LIMIT;
    struct stream_moved done;
    enum status status = stream_move(&inside->connection->stream, to, b->parser.left,
                                     read_deadline(b, CLOCK_NEVER), stall, &done);
    if (status == ERR_LIMIT)
        return status;
    *moved = done.size;
    *to_failed = status != OK && !done.source_failed;
    b->is_moving = true;
    b->is_failed = status != OK;
    h1_body_skip(&b->parser, done.size);
    return status;
}

static void forget(struct body *body, struct slice bytes)
{
    const struct call_body *b = LIST_ENTRY(body, struct call_body, body);
    if (bytes.data < b->room || bytes.data + bytes.size > b->room + b->room_size)
        return;
    char *from = b->room + (bytes.data - b->room);
    pages_drop_within(from, from + bytes.size);
}

static bool is_ready(struct body *body)
{
    struct call_body *b = LIST_ENTRY(body, struct call_body, body);
    return b->ahead.size > 0 || b->is_failed || h1_body_is_done(&b->parser);
}

/* Streams of events may be silent for as long as they like. */
bool call_is_patient(const struct upstream_call *call)
{
    const struct field *type = fields_find(&call->head.fields, FIELD_CONTENT_TYPE);
    return type != NULL && (slice_starts_nocase(type->value, SLICE("text/event-stream")) ||
                            slice_starts_nocase(type->value, SLICE("application/grpc")));
}

void call_open_body(struct upstream_call *call, struct slice ahead)
{
    struct upstream_exchange *inside = call->inside;
    struct call_body *b = &inside->body;
    struct fields *trailers = NULL;
    if (call->head.framing == FRAMING_CHUNKED) {
        trailers = arena_alloc(call->arena, sizeof *trailers);
        fields_init(trailers, call->arena, NULL, 0);
    }
    *b = (struct call_body){.call = call, .ahead = ahead};
    h1_body_init(&b->parser, call->head.framing, call->head.length, trailers, call->arena);
    b->body.read = read_body;
    b->body.is_ready = is_ready;
    b->body.forget = forget;
    b->body.move = call->head.framing == FRAMING_LENGTH ? move_body : NULL;
    b->body.length = call->head.framing == FRAMING_LENGTH ? (int64_t)call->head.length
                     : call->head.framing == FRAMING_NONE ? 0
                                                          : -1;
    b->body.trailers = trailers;
    b->is_patient = call_is_patient(call);
    b->room = inside->data + inside->size - ahead.size;
    b->room_size = inside->capacity - inside->size + ahead.size;
    if (b->room_size < BLOCK_SIZE / 4 && call->head.framing != FRAMING_NONE) {
        if (inside->body_block == NULL)
            inside->body_block = block_take();
        b->room = inside->body_block;
        b->room_size = BLOCK_SIZE;
    }
    inside->was_early = inside->is_sending;
    call->body = &b->body;
}
