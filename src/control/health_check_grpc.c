/* SPDX-License-Identifier: Apache-2.0 */
/* grpc.health.v1.Health/Check: one call over HTTP/2 on a connection of its own, the two messages
 * written and read by hand: one field each. */
#include "control/health_check_grpc.h"

#include "base/check.h"
#include "fiber/loop.h"
#include "fiber/thread.h"
#include "http/h2_session.h"

enum {
    FRAME_SIZE = 5,       /* before each message: compressed or not, and its length */
    SERVICE_FIELD = 0x0a, /* field 1, bytes */
    STATUS_FIELD = 0x08,  /* field 1, number */
    STATUS_SERVING = 1,
    ANSWER_MAX = 256,
    BLOCK = 4096,
};

static void on_changed(void *owner, struct h2_stream *stream)
{
    (void)owner;
    (void)stream;
}

static const struct h2_events EVENTS = {.changed = on_changed};
static const struct h2_limits LIMITS = {
    .window = 64 * 1024,
    .connection_window = 64 * 1024,
    .resets = 100,
    .resets_per_s = 10,
    .glitches = 100,
    .head = {8 * 1024, 32 * 1024, 100, FIELD_NAMES_ALLOW},
};

/* The message with its frame. */
static struct slice compose(struct slice service, struct arena *arena)
{
    size_t size = service.size == 0 ? 0 : service.size + 2;
    check(service.size < 128); /* so that its length is one byte */
    unsigned char *text = arena_zero(arena, FRAME_SIZE + size);
    text[FRAME_SIZE - 1] = (unsigned char)size;
    if (size > 0) {
        text[FRAME_SIZE] = SERVICE_FIELD;
        text[FRAME_SIZE + 1] = (unsigned char)service.size;
        memcpy(text + FRAME_SIZE + 2, service.data, service.size);
    }
    return slice_of((const char *)text, FRAME_SIZE + size);
}

/* Whether the answer, frame and all, says SERVING. What else is in it is passed over. */
static bool is_serving(const unsigned char *text, size_t size)
{
    return size >= FRAME_SIZE + 2 && text[0] == 0 && text[FRAME_SIZE] == STATUS_FIELD &&
           text[FRAME_SIZE + 1] == STATUS_SERVING;
}

/* Sends what there is to send, then reads once. */
static enum status turn(struct h2_session *session, struct stream *stream, char *block,
                        int64_t deadline)
{
    size_t size;
    while ((size = h2_session_fill(session, block, BLOCK)) > 0) {
        struct iovec part = {block, size};
        TRY(stream_write(stream, &part, 1, CLOCK_NEVER, deadline));
    }
    TRY(stream_read(stream, block, BLOCK, &size, deadline));
    return h2_session_receive(session, slice_of(block, size), loop_now());
}

/* "" when all is well. */
static const char *judge(const struct h2_stream *stream, const unsigned char *answer, size_t size)
{
    const struct fields *trailers =
        stream->trailers.count > 0 ? &stream->trailers : &stream->response->fields;
    struct slice status = {0};
    for (uint32_t i = 0; i < trailers->count; i++)
        if (slice_equal_nocase(trailers->items[i].name, SLICE("grpc-status")))
            status = trailers->items[i].value;
    if (stream->response->status != 200)
        return "the status is not expected";
    if (slice_equal(status, SLICE("12")))
        return "grpc: the server knows no health checks";
    if (slice_equal(status, SLICE("5")))
        return "grpc: the server does not know the service";
    if (status.size > 0 && !slice_equal(status, SLICE("0")))
        return "grpc: the check failed";
    return is_serving(answer, size) ? "" : "grpc: the service does not serve";
}

/* Not inlined: a stream is large, and only this kind of check has one. */
__attribute__((noinline)) enum status health_check_grpc(struct stream *connection,
                                                        struct slice service, struct slice host,
                                                        bool is_secure, struct arena *arena,
                                                        int64_t deadline,
                                                        struct health_answer *answer)
{
    struct field items[4];
    struct fields fields;
    struct response_head head = {0};
    struct h2_stream stream = {.arena = arena, .response = &head, .method = METHOD_POST};
    unsigned char text[ANSWER_MAX];
    size_t size = 0;
    char *block = arena_alloc(arena, BLOCK);
    fields_init(&fields, NULL, items, 4);
    fields_init(&head.fields, arena, NULL, 0);
    fields_set(&fields, FIELD_CONTENT_TYPE, SLICE("application/grpc"));
    fields_set(&fields, FIELD_TE, SLICE("trailers"));
    fields_set(&fields, FIELD_USER_AGENT, SLICE("weir-health-check"));
    struct slice message = compose(service, arena);
    struct h2_request request = {
        .method = SLICE("POST"),
        .scheme = is_secure ? SLICE("https") : SLICE("http"),
        .authority = host,
        .path = SLICE("/grpc.health.v1.Health/Check"),
        .fields = &fields,
        .length = (int64_t)message.size,
        .has_meaning = true,
    };
    struct h2_session *session = h2_session_new(H2_CLIENT, &LIMITS, &EVENTS, NULL);
    enum status status = h2_stream_request(session, &stream, &request);
    stream.out[1] = message;
    stream.out_last = true;
    if (status == OK)
        h2_stream_send(&stream);
    while (status == OK && !stream.is_ended && !stream.is_closed) {
        status = turn(session, connection, block, deadline);
        for (struct slice part; (part = h2_stream_take(&stream)).size > 0;)
            for (size_t i = 0; i < part.size && size < sizeof text; i++)
                text[size++] = (unsigned char)part.data[i];
    }
    answer->status = head.status;
    if (status == OK && stream.is_ended)
        answer->why = judge(&stream, text, size);
    else
        answer->why = status == ERR_TIMEOUT  ? "no answer in time"
                      : status == ERR_CLOSED ? "the server closed the connection"
                                             : "the answer is malformed";
    h2_stream_release(&stream, H2_CANCEL);
    h2_session_free(session);
    answer->is_good = answer->why[0] == '\0';
    if (answer->is_good)
        answer->why = "its check is good";
    return status == ERR_CANCELLED ? status : OK;
}
