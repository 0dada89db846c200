/* SPDX-License-Identifier: Apache-2.0 */
/* A client of HTTP/2 for one request: a connection of its own, closed behind it. */
#include "control/health_check_h2.h"

#include "fiber/loop.h"

enum {
    BLOCK = 4096,
    WINDOW = 64 * 1024,
};

static void on_changed(void *owner, struct h2_stream *stream)
{
    (void)owner;
    (void)stream;
}

static const struct h2_events EVENTS = {.changed = on_changed};
static const struct h2_limits LIMITS = {
    .window = WINDOW,
    .connection_window = WINDOW,
    .resets = 100,
    .resets_per_s = 10,
    .glitches = 100,
    .head = {8 * 1024, 32 * 1024, 100, FIELD_NAMES_ALLOW},
};

static enum status flush(struct h2_session *session, struct stream *stream, char *block,
                         int64_t deadline)
{
    size_t size;
    while ((size = h2_session_fill(session, block, BLOCK)) > 0) {
        struct iovec part = {block, size};
        TRY(stream_write(stream, &part, 1, CLOCK_NEVER, deadline));
    }
    return OK;
}

/* Sends what there is to send, then reads once, unless what was sent is the end: a reset. */
static enum status turn(struct h2_session *session, const struct h2_stream *asked,
                        struct stream *stream, char *block, int64_t deadline)
{
    size_t size;
    TRY(flush(session, stream, block, deadline));
    if (asked->is_closed)
        return OK;
    TRY(stream_read(stream, block, BLOCK, &size, deadline));
    return h2_session_receive(session, slice_of(block, size), loop_now());
}

/* Whether what has come is all that is wanted. */
static bool is_enough(const struct h2_stream *stream, size_t size, size_t max)
{
    return stream->is_ended || (stream->has_head && size >= max);
}

static enum status converse(struct h2_session *session, struct h2_stream *stream,
                            struct stream *connection, struct buffer *body, int64_t deadline,
                            size_t max)
{
    char *block = arena_alloc(stream->arena, BLOCK);
    enum status status = OK;
    while (status == OK && !stream->is_closed && !is_enough(stream, body->size, max)) {
        status = turn(session, stream, connection, block, deadline);
        for (struct slice part; (part = h2_stream_take(stream)).size > 0;)
            buffer_append(body, slice_first(part, max - body->size));
    }
    /* It may have closed at once behind the answer. */
    bool is_answered = is_enough(stream, body->size, max);
    if (is_answered && status != ERR_CANCELLED)
        status = OK;
    else if (status == OK)
        status = ERR_PROTOCOL;
    h2_stream_release(stream, H2_CANCEL);
    h2_session_shutdown(session, true);
    if (status == OK && flush(session, connection, block, deadline) == ERR_CANCELLED)
        status = ERR_CANCELLED;
    return status;
}

/* Not inlined: a stream is large, and only this kind of check has one. */
__attribute__((noinline)) enum status
health_check_h2(struct stream *connection, const struct h2_request *request, struct slice body,
                struct arena *arena, int64_t deadline, struct health_h2_answer *answer)
{
    struct h2_stream stream = {.arena = arena, .response = &answer->head};
    struct buffer text = buffer_in(arena, BLOCK);
    stream.method = slice_equal(request->method, SLICE("POST")) ? METHOD_POST : METHOD_GET;
    fields_init(&answer->head.fields, arena, NULL, 0);
    struct h2_session *session = h2_session_new(H2_CLIENT, &LIMITS, &EVENTS, NULL);
    enum status status = h2_stream_request(session, &stream, request);
    if (status == OK && body.size > 0) {
        stream.out[1] = body;
        stream.out_last = true;
        h2_stream_send(&stream);
    }
    if (status == OK)
        status = converse(session, &stream, connection, &text, deadline, answer->body_max);
    h2_stream_release(&stream, H2_CANCEL);
    h2_session_free(session);
    answer->body = buffer_slice(&text);
    answer->trailers = stream.trailers;
    bool is_malformed = status == ERR_PROTOCOL || status == ERR_LIMIT;
    answer->why = status == OK            ? ""
                  : status == ERR_TIMEOUT ? "no answer in time"
                  : is_malformed          ? "the answer is malformed"
                                          : "the server closed the connection";
    return status == ERR_CANCELLED ? status : OK;
}
