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

/* Reads more of the body into the spare block. */
static enum status fetch(struct h1_request_body *b, int64_t deadline)
{
    struct h1_connection *c = b->connection;
    struct exchange *x = &c->active->x;
    if (!b->was_asked) {
        b->was_asked = true;
        TRY(x->sink->proceed(x));
    }
    if (c->spare.data == NULL)
        c->spare = (struct h1_input){block_take(), 0, BLOCK_SIZE, true};
    int64_t began = loop_now();
    int64_t timeout =
        x->route == NULL ? c->config->timeouts.request_body : x->route->timeouts.request_body;
    int64_t until = stream_stall_deadline(timeout, deadline);
    size_t got = 0;
    enum status status = stream_read(&c->stream, c->spare.data, BLOCK_SIZE, &got, until);
    b->waited += loop_now() - began;
    if (status == ERR_TIMEOUT && until < deadline)
        return refuse(b, status, REFUSAL_BODY_TIMEOUT);
    if (status == ERR_CLOSED)
        return refuse(b, status, REFUSAL_BODY_SHORT);
    if (status == ERR_SYSTEM)
        exchange_blame(x, status, SIDE_CLIENT, 0, "", "the client's connection broke");
    TRY(status);
    b->ahead = slice_of(c->spare.data, got);
    uint64_t wanted = (uint64_t)(b->waited / SECONDS(1)) * SLOW_BYTES_PER_S;
    if (b->waited > SECONDS(SLOW_AFTER_S) && b->parser.body_bytes + got < wanted)
        return refuse(b, ERR_TIMEOUT, REFUSAL_BODY_TIMEOUT);
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
        if (chunk->size > 0 || parse == PARSE_DONE)
            return OK;
        TRY(fetch(b, deadline));
    }
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
