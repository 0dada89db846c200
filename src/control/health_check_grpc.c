/* SPDX-License-Identifier: Apache-2.0 */
/* grpc.health.v1.Health/Check: one call over HTTP/2, the two messages written and read by hand: one
 * field each. */
#include "control/health_check_grpc.h"

#include "base/check.h"
#include "control/health_check_h2.h"

enum {
    FRAME_SIZE = 5,       /* before each message: compressed or not, and its length */
    SERVICE_FIELD = 0x0a, /* field 1, bytes */
    STATUS_FIELD = 0x08,  /* field 1, number */
    STATUS_SERVING = 1,
    ANSWER_MAX = 256,
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
static bool is_serving(struct slice text)
{
    return text.size >= FRAME_SIZE + 2 && text.data[0] == 0 &&
           text.data[FRAME_SIZE] == STATUS_FIELD && text.data[FRAME_SIZE + 1] == STATUS_SERVING;
}

/* "" when all is well. */
static const char *judge(const struct health_h2_answer *answer)
{
    const struct fields *trailers =
        answer->trailers.count > 0 ? &answer->trailers : &answer->head.fields;
    struct slice status = {0};
    for (uint32_t i = 0; i < trailers->count; i++)
        if (slice_equal_nocase(trailers->items[i].name, SLICE("grpc-status")))
            status = trailers->items[i].value;
    if (answer->head.status != 200)
        return "the status is not expected";
    if (slice_equal(status, SLICE("12")))
        return "grpc: the server knows no health checks";
    if (slice_equal(status, SLICE("5")))
        return "grpc: the server does not know the service";
    if (status.size > 0 && !slice_equal(status, SLICE("0")))
        return "grpc: the check failed";
    return is_serving(answer->body) ? "" : "grpc: the service does not serve";
}

enum status health_check_grpc(struct stream *connection, struct slice service, struct slice host,
                              bool is_secure, struct arena *arena, int64_t deadline,
                              struct health_answer *answer)
{
    struct field items[4];
    struct fields fields;
    struct health_h2_answer got = {.body_max = ANSWER_MAX};
    fields_init(&fields, NULL, items, 4);
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
    enum status status = health_check_h2(connection, &request, message, arena, deadline, &got);
    answer->status = got.head.status;
    answer->why = got.why[0] == '\0' ? judge(&got) : got.why;
    answer->is_good = answer->why[0] == '\0';
    if (answer->is_good)
        answer->why = "its check is good";
    return status;
}
