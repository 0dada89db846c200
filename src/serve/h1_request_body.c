/* SPDX-License-Identifier: Apache-2.0 */
/* The client's body, pulled from the connection as somebody wants it. */
#include "base/check.h"
#include "fiber/block.h"
#include "serve/serve_h1.h"

enum {
    DRAIN_MAX = 256 * 1024, /* read for the sake of keeping the connection */
    DRAIN_S = 5,
    SLOW_AFTER_S = 10,      /* of waiting for the client … */
    SLOW_BYTES_PER_S = 240, /* … a body has to come at this pace */
};

static enum status refuse(struct h1_request_body *b, enum status status, enum refusal refusal)
{
    b->is_failed = true;
    exchange_refuse(&b->connection->active->x, refusal);
    return status;
}

static int64_t body_deadline(const struct h1_request_body *b, int64_t deadline)
{
    const struct h1_connection *c = b->connection;
    const struct exchange *x = &c->active->x;
    int64_t timeout = x->route == NULL ? c->listener->config->timeouts.request_body
                                       : x->route->timeouts.request_body;
    return stream_stall_deadline(timeout, deadline);
}

/* What came of reading `got` bytes from the client in `waited`. `is_ours`: the deadline was that of
 * the body. */
static enum status judge(struct h1_request_body *b, enum status status, size_t got, int64_t waited,
                         bool is_ours)
{
    b->waited += waited;
    if (status == ERR_TIMEOUT && is_ours)
        return refuse(b, status, REFUSAL_BODY_TIMEOUT);
    if (status == ERR_CLOSED)
        return refuse(b, status, REFUSAL_BODY_SHORT);
    if (status == ERR_SYSTEM)
        exchange_blame(&b->connection->active->x, status, SIDE_CLIENT, 0, "",
                       "the client's connection broke");
    TRY(status);
    uint64_t wanted = (uint64_t)(b->waited / SECONDS(1)) * SLOW_BYTES_PER_S;
    if (b->waited > SECONDS(SLOW_AFTER_S) && b->parser.body_bytes + got < wanted)
        return refuse(b, ERR_TIMEOUT, REFUSAL_BODY_TIMEOUT);
    return OK;
}

/* Reads more of the body into the spare block. */
static enum status fetch(struct h1_request_body *b, int64_t deadline)
{
    struct h1_connection *c = b->connection;
    struct exchange *x = &c->active->x;
    if (!b->was_asked) {
        b->was_asked = true;
        TRY(exchange_proceed(x));
    }
    if (c->spare.data == NULL)
        c->spare = (struct h1_input){block_take(), 0, BLOCK_SIZE, true};
    int64_t began = loop_now();
    int64_t until = body_deadline(b, deadline);
    size_t got = 0;
    enum status status = stream_read(&c->stream, c->spare.data, BLOCK_SIZE, &got, until);
    TRY(judge(b, status, got, loop_now() - began, until < deadline));
    b->ahead = slice_of(c->spare.data, got);
    return OK;
}

static enum status read_body(struct body *body, struct slice *chunk, int64_t deadline)
{
    struct h1_request_body *b = LIST_ENTRY(body, struct h1_request_body, body);
    struct exchange *x = &b->connection->active->x;
    if (b->is_failed)
        return ERR_PROTOCOL;
    for (;;) {
        enum parse parse = h1_body_take(&b->parser, &b->ahead, chunk);
        if (parse == PARSE_ERROR)
            return refuse(b, ERR_PROTOCOL, b->parser.refusal);
        if (x->body_limit >= 0 && b->parser.body_bytes > (uint64_t)x->body_limit)
            return refuse(b, ERR_LIMIT, REFUSAL_BODY_SIZE);
        x->bytes_in += chunk->size;
        if (parse == PARSE_DONE && body->trailers != NULL)
            exchange_clean_trailers(x, body->trailers);
        if (chunk->size > 0 || parse == PARSE_DONE)
            return OK;
        TRY(fetch(b, deadline));
    }
}

static enum status move_body(struct body *body, struct stream *to, int64_t stall, uint64_t *moved,
                             bool *to_failed)
{
    struct h1_request_body *b = LIST_ENTRY(body, struct h1_request_body, body);
    struct stream *from = &b->connection->stream;
    struct exchange *x = &b->connection->active->x;
    *to_failed = false;
    *moved = 0;
    bool is_too_large = x->body_limit >= 0 && body->length > x->body_limit;
    if (b->ahead.size > 0 || b->is_failed || !b->was_asked || is_too_large || b->parser.left == 0 ||
        (!b->is_moving && b->parser.left < BODY_MOVE_MIN) || !stream_is_plain(from))
        return ERR_LIMIT;
    struct stream_moved done;
    enum status status =
        stream_move(from, to, b->parser.left, body_deadline(b, CLOCK_NEVER), stall, &done);
    if (status == ERR_LIMIT)
        return status;
    b->is_moving = true;
    *moved = done.size;
    x->bytes_in += done.size;
    *to_failed = status != OK && !done.source_failed;
    if (!*to_failed)
        status = judge(b, status, done.size, done.waited, true);
    b->is_failed = status != OK && !*to_failed;
    h1_body_skip(&b->parser, done.size);
    return status;
}

static bool is_ready(struct body *body)
{
    struct h1_request_body *b = LIST_ENTRY(body, struct h1_request_body, body);
    return b->ahead.size > 0 || h1_body_is_done(&b->parser);
}

void h1_request_body_init(struct h1_exchange *e, struct slice ahead)
{
    struct request_head *head = &e->x.request.head;
    struct h1_request_body *b = &e->body;
    struct fields *trailers = NULL;
    if (head->framing == FRAMING_CHUNKED) {
        trailers = arena_alloc(&e->x.arena, sizeof *trailers);
        fields_init(trailers, &e->x.arena, NULL, 0);
    }
    *b = (struct h1_request_body){.connection = e->connection, .ahead = ahead};
    b->was_asked = !head->expects_continue;
    h1_body_init(&b->parser, head->framing, head->length, trailers, &e->x.arena);
    b->body.read = read_body;
    b->body.is_ready = is_ready;
    b->body.move = head->framing == FRAMING_LENGTH ? move_body : NULL;
    b->body.length = head->framing == FRAMING_CHUNKED  ? -1
                     : head->framing == FRAMING_LENGTH ? (int64_t)head->length
                                                       : 0;
    b->body.trailers = trailers;
    if (head->framing != FRAMING_NONE)
        e->x.request.body = &b->body;
}

bool h1_request_body_is_drainable(const struct h1_exchange *e)
{
    const struct h1_request_body *b = &e->body;
    if (h1_body_is_done(&b->parser))
        return true;
    return !b->is_failed && b->was_asked &&
           (b->parser.framing != FRAMING_LENGTH || b->parser.left <= DRAIN_MAX);
}

bool h1_request_body_drain(struct h1_exchange *e)
{
    struct h1_request_body *b = &e->body;
    uint64_t dropped = 0;
    int64_t deadline = loop_now() + SECONDS(DRAIN_S);
    while (!h1_body_is_done(&b->parser)) {
        struct slice chunk;
        if (!h1_request_body_is_drainable(e) || dropped > DRAIN_MAX ||
            read_body(&b->body, &chunk, deadline) != OK)
            return false;
        dropped += chunk.size;
    }
    return true;
}
