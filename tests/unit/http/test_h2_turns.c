/* SPDX-License-Identifier: Apache-2.0 */
/* What one connection makes of one turn of the loop, and what it may have decoded for nothing. */
#include "base/check.h"
#include "base/clock.h"
#include "fiber/thread.h"
#include "http/h2_inside.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum {
    STREAMS = 100,
    FIELDS = 100,
    TEXT_SIZE = 2 * 1024 * 1024,
    HEAD_SIZE = 9,
    HEAD_MAX = 16000,
    ENDS = NGHTTP2_FLAG_END_STREAM,
    ENDS_HEAD = NGHTTP2_FLAG_END_HEADERS,
};

struct request {
    struct h2_stream stream;
    struct arena arena;
    struct request_head head;
};

struct fixture {
    struct h2_session *session;
    struct request requests[2 * STREAMS];
    size_t begun;
    size_t heads, refused, bytes;
    char *text; /* what the client says next */
    size_t size;
};

static struct thread thread;

static struct h2_stream *begin(void *owner, int32_t id)
{
    struct fixture *f = owner;
    (void)id;
    struct request *request = &f->requests[f->begun++];
    arena_init(&request->arena, NULL, 0);
    fields_init(&request->head.fields, &request->arena, NULL, 0);
    request->stream.arena = &request->arena;
    request->stream.request = &request->head;
    return &request->stream;
}

static void drop(void *owner, struct h2_stream *stream)
{
    (void)owner, (void)stream;
}

static void head(void *owner, struct h2_stream *stream, enum refusal refusal)
{
    struct fixture *f = owner;
    (void)stream;
    f->heads++;
    f->refused += refusal != REFUSAL_NONE;
}

static void changed(void *owner, struct h2_stream *stream)
{
    struct fixture *f = owner;
    for (struct slice part; (part = h2_stream_take(stream)).size > 0;)
        f->bytes += part.size;
}

static const struct h2_events EVENTS = {
    .begin = begin, .drop = drop, .head = head, .changed = changed};
static const struct h2_limits LIMITS = {
    .streams = STREAMS,
    .window = 65536,
    .connection_window = 1048576,
    .resets = 1000,
    .glitches = 500,
    .head = {16384, 65536, FIELDS, FIELD_NAMES_REJECT},
};

static void say(struct fixture *f, const void *data, size_t size)
{
    check(f->size + size <= TEXT_SIZE);
    if (size > 0)
        memcpy(f->text + f->size, data, size);
    f->size += size;
}

static void say_frame(struct fixture *f, unsigned type, unsigned flags, uint32_t id,
                      const void *payload, size_t size)
{
    const unsigned char start[HEAD_SIZE] = {
        (unsigned char)(size >> 16), (unsigned char)(size >> 8), (unsigned char)size,
        (unsigned char)type,         (unsigned char)flags,       (unsigned char)(id >> 24),
        (unsigned char)(id >> 16),   (unsigned char)(id >> 8),   (unsigned char)id};
    say(f, start, sizeof start);
    say(f, payload, size);
}

static const char REQUEST[] = "\x82\x86\x84\x01\x08"
                              "app.test"; /* GET / of that name */
static const char FIELD[] = {0, 1, 'a', 1, 'b'};

/* A request with so many fields. */
static void say_request(struct fixture *f, uint32_t id, unsigned flags, size_t fields)
{
    char block[HEAD_MAX];
    size_t size = sizeof REQUEST - 1;
    memcpy(block, REQUEST, size);
    for (size_t i = 0; i < fields; i++, size += sizeof FIELD)
        memcpy(block + size, FIELD, sizeof FIELD);
    say_frame(f, NGHTTP2_HEADERS, flags | ENDS_HEAD, id, block, size);
}

static enum status hear(struct fixture *f, int64_t now)
{
    enum status status = h2_session_receive(f->session, slice_of(f->text, f->size), now);
    f->size = 0;
    return status;
}

/* To its end. */
static enum status hear_all(struct fixture *f, int64_t now)
{
    enum status status = hear(f, now);
    while (status == OK && h2_session_is_paused(f->session))
        status = h2_session_go_on(f->session, now);
    return status;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->text = malloc(TEXT_SIZE);
    f->session = h2_session_new(H2_SERVER, &LIMITS, &EVENTS, f);
    say(f, H2_PREFACE, H2_PREFACE_SIZE);
    say_frame(f, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
    assert_int_equal(hear(f, SECONDS(1)), OK);
    f->session->effort = 0;
    f->session->control = (struct h2_tokens){0};
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < f->begun; i++)
        h2_stream_release(&f->requests[i].stream, H2_CANCEL);
    h2_session_free(f->session);
    for (size_t i = 0; i < f->begun; i++)
        arena_done(&f->requests[i].arena);
    free(f->text);
    free(f);
    return 0;
}

/* As many as a client may have under way come in one read: no part begins more than is bearable,
 * and none of them is lost. */
static void test_many_requests_are_begun_in_parts(void **state)
{
    struct fixture *f = *state;
    size_t parts = 1, before = 0;
    for (uint32_t i = 0; i < STREAMS; i++)
        say_request(f, 2 * i + 1, ENDS, 5);
    enum status status = hear(f, SECONDS(1));
    for (; status == OK && h2_session_is_paused(f->session); parts++) {
        assert_true(f->heads - before <= H2_EFFORT_MAX / H2_EFFORT_REQUEST);
        before = f->heads;
        status = h2_session_go_on(f->session, SECONDS(1));
    }
    assert_int_equal(status, OK);
    assert_int_equal(parts, 3);
    assert_int_equal(f->heads, STREAMS);
    assert_int_equal(f->refused, 0);
    assert_int_equal(f->requests[STREAMS - 1].head.fields.count, 6); /* and Host */
}

static void test_an_ordinary_client_is_not_held_up(void **state)
{
    struct fixture *f = *state;
    for (uint32_t i = 0; i < 32; i++)
        say_request(f, 2 * i + 1, ENDS, 20);
    assert_int_equal(hear(f, SECONDS(1)), OK);
    assert_false(h2_session_is_paused(f->session));
    assert_int_equal(f->heads, 32);
}

/* Fields that are told of, many on each stream, by few bytes. */
static void test_fields_are_decoded_in_parts(void **state)
{
    struct fixture *f = *state;
    size_t parts = 1;
    char block[HEAD_MAX] = {};
    char value[4000];
    memset(value, 'v', sizeof value);
    size_t size = sizeof REQUEST - 1;
    memcpy(block, REQUEST, size);
    memcpy(block + size, "\x40\1a\x7f\xa1\x1e", 6); /* is kept in the table; 4,000 bytes */
    size += 6;
    memcpy(block + size, value, sizeof value);
    size += sizeof value;
    say_frame(f, NGHTTP2_HEADERS, ENDS_HEAD, 1, block, size);
    size = sizeof REQUEST - 1;
    memset(block + size, '\xbe', 15);
    for (uint32_t i = 1; i < STREAMS; i++)
        say_frame(f, NGHTTP2_HEADERS, ENDS_HEAD, 2 * i + 1, block, size + 15);
    enum status status = hear(f, SECONDS(1));
    for (; status == OK && h2_session_is_paused(f->session); parts++)
        status = h2_session_go_on(f->session, SECONDS(1));
    assert_int_equal(status, OK);
    assert_int_equal(f->heads, STREAMS);
    assert_int_equal(f->refused, 0);
    assert_true(parts > 10);
}

static void test_small_frames_are_read_in_parts(void **state)
{
    struct fixture *f = *state;
    size_t parts = 1, before = 0;
    say_request(f, 1, 0, 0);
    for (size_t i = 0; i < 60000; i++)
        say_frame(f, NGHTTP2_DATA, 0, 1, "x", 1);
    enum status status = hear(f, SECONDS(1));
    for (; status == OK && h2_session_is_paused(f->session); parts++) {
        assert_true(f->bytes - before <= H2_EFFORT_MAX / H2_EFFORT_FRAME);
        before = f->bytes;
        status = h2_session_go_on(f->session, SECONDS(1));
    }
    assert_int_equal(status, OK);
    assert_int_equal(f->bytes, 60000);
    assert_true(parts >= 6);
}

static void test_where_it_stops(void **state)
{
    struct fixture *f = *state;
    for (uint32_t over = 0; over < 2; over++) {
        f->session->effort = H2_EFFORT_MAX - H2_EFFORT_FRAME - 1 + over;
        say_frame(f, NGHTTP2_PING, 0, 0, "12345678", 8);
        assert_int_equal(hear(f, SECONDS(1)), OK);
        assert_int_equal(h2_session_is_paused(f->session), over);
    }
    assert_int_equal(h2_session_go_on(f->session, SECONDS(1)), OK);
    assert_false(h2_session_is_paused(f->session));
    assert_int_equal(f->session->effort, 0);
    /* Another turn. */
    f->session->effort = H2_EFFORT_MAX - 1;
    say_frame(f, NGHTTP2_PING, 0, 0, "12345678", 8);
    assert_int_equal(hear(f, SECONDS(2)), OK);
    assert_false(h2_session_is_paused(f->session));
}

/* Behind its last field nothing is left of the bytes, and the head has not been told of. */
static void test_it_stops_at_the_end_of_a_head(void **state)
{
    struct fixture *f = *state;
    f->session->effort = H2_EFFORT_MAX - H2_EFFORT_FRAME - 5 * H2_EFFORT_FIELD;
    say_request(f, 1, ENDS, 1);
    assert_int_equal(hear(f, SECONDS(1)), OK);
    assert_true(h2_session_is_paused(f->session));
    assert_int_equal(f->heads, 0);
    for (int i = 0; i < 5 && h2_session_is_paused(f->session); i++) {
        f->session->effort = H2_EFFORT_MAX;
        assert_int_equal(h2_session_go_on(f->session, SECONDS(1)), OK);
    }
    assert_int_equal(f->heads, 1);
    assert_int_equal(f->refused, 0);
}

static void test_a_client_does_not_stop(void **state)
{
    struct fixture *f = *state;
    struct h2_session *client = h2_session_new(H2_CLIENT, &LIMITS, &EVENTS, f);
    client->now = SECONDS(1);
    client->effort = H2_EFFORT_MAX;
    say_frame(f, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
    assert_int_equal(h2_session_receive(client, slice_of(f->text, f->size), SECONDS(1)), OK);
    assert_false(h2_session_is_paused(client));
    h2_session_free(client);
}

static void expect_end(struct fixture *f, const char *why)
{
    assert_int_equal(hear_all(f, SECONDS(1)), ERR_LIMIT);
    assert_string_equal(h2_session_why(f->session), why);
}

/* The field that is one too many refuses the request; those behind it are decoded for nothing. */
static void test_ignored_fields_of_all_heads_count(void **state)
{
    struct fixture *f = *state;
    say_request(f, 1, ENDS, FIELDS + 1 + 400);
    say_request(f, 3, ENDS, FIELDS);
    say_request(f, 5, ENDS, FIELDS + 1 + 600);
    assert_int_equal(hear_all(f, SECONDS(1)), OK);
    assert_int_equal(f->heads, 3);
    assert_int_equal(f->refused, 2);
    say_request(f, 7, ENDS, FIELDS + 1 + 1);
    expect_end(f, "limits.fields");
}

static void test_ignored_fields_are_forgiven(void **state)
{
    struct fixture *f = *state;
    say_request(f, 1, ENDS, FIELDS + 1 + H2_IGNORED_MAX);
    assert_int_equal(hear_all(f, SECONDS(1)), OK);
    say_request(f, 3, ENDS, FIELDS + 1 + H2_IGNORED_MAX);
    assert_int_equal(hear_all(f, SECONDS(2)), OK);
    assert_int_equal(f->refused, 2);
}

/* Streams beyond their number are refused, and what stands in their heads counts. */
static void test_fields_of_refused_streams_count(void **state)
{
    struct fixture *f = *state;
    for (uint32_t i = 0; i < STREAMS; i++)
        say_request(f, 2 * i + 1, 0, 0);
    say_request(f, 2 * STREAMS + 1, ENDS, FIELDS - 4); /* with the pseudo-fields */
    say_request(f, 2 * STREAMS + 3, ENDS, FIELDS - 4 + H2_IGNORED_MAX);
    assert_int_equal(hear_all(f, SECONDS(1)), OK);
    assert_int_equal(f->heads, STREAMS);
    say_request(f, 2 * STREAMS + 5, ENDS, FIELDS - 4 + 1);
    expect_end(f, "limits.fields");
}

static void close_first(struct fixture *f)
{
    say_request(f, 1, 0, 0);
    say_frame(f, NGHTTP2_RST_STREAM, 0, 1, "\0\0\0\x08", 4);
    assert_int_equal(hear(f, SECONDS(1)), OK);
}

static void test_late_trailers_are_free(void **state)
{
    struct fixture *f = *state;
    close_first(f);
    for (int i = 0; i < 200; i++)
        say_frame(f, NGHTTP2_HEADERS, ENDS | ENDS_HEAD, 1, FIELD, sizeof FIELD);
    assert_int_equal(hear_all(f, SECONDS(1)), OK);
    assert_int_equal(f->session->glitches, 0);
}

/* Each costs what its kilobytes may hold: 16 of the 200 that are free and the 500 that end it. */
static void test_heads_of_closed_streams_end_it(void **state)
{
    struct fixture *f = *state;
    char block[HEAD_MAX];
    memset(block, '\x82', sizeof block);
    close_first(f);
    for (int i = 0; i < 43; i++)
        say_frame(f, NGHTTP2_HEADERS, ENDS | ENDS_HEAD, 1, block, sizeof block);
    for (int i = 0; i < 11; i++)
        say_frame(f, NGHTTP2_HEADERS, ENDS | ENDS_HEAD, 1, block, 1023);
    assert_int_equal(hear_all(f, SECONDS(1)), OK);
    assert_int_equal(f->session->glitches, 499);
    say_frame(f, NGHTTP2_HEADERS, ENDS | ENDS_HEAD, 1, block, 1);
    expect_end(f, "limits.h2_glitches");
}

/* It may go on and on, where the engine tells nothing of it: read in pieces or at once. */
static void test_a_lost_head_that_goes_on_ends_it(void **state)
{
    struct fixture *f = *state;
    char block[HEAD_MAX];
    memset(block, '\x82', sizeof block);
    close_first(f);
    say_frame(f, NGHTTP2_HEADERS, ENDS, 1, block, 1);
    assert_int_equal(hear(f, SECONDS(1)), OK);
    f->session->control = (struct h2_tokens){0};
    for (int i = 0; i < 43; i++) {
        say_frame(f, NGHTTP2_CONTINUATION, 0, 1, block, sizeof block);
        assert_int_equal(hear_all(f, SECONDS(1)), OK);
    }
    assert_int_equal(f->session->glitches, 43 * 16 - 200);
    say_frame(f, NGHTTP2_CONTINUATION, ENDS_HEAD, 1, block, 10 * 1024);
    assert_int_equal(hear_all(f, SECONDS(1)), OK);
    say_frame(f, NGHTTP2_HEADERS, ENDS, 1, block, 1);
    say_frame(f, NGHTTP2_CONTINUATION, ENDS_HEAD, 1, block, 1);
    expect_end(f, "limits.h2_glitches");
}

/* After our last word new streams are passed over, and so are their heads. */
static void test_heads_after_goodbye_end_it(void **state)
{
    struct fixture *f = *state;
    char out[16384], block[HEAD_MAX];
    memset(block, '\x82', sizeof block);
    say_request(f, 1, 0, 0);
    assert_int_equal(hear(f, SECONDS(1)), OK);
    h2_session_shutdown(f->session, false);
    while (h2_session_fill(f->session, out, sizeof out) > 0)
        continue;
    say_request(f, 3, 0, 0);
    assert_int_equal(hear(f, SECONDS(1)), OK);
    assert_int_equal(f->heads, 2);
    h2_session_shutdown(f->session, true);
    while (h2_session_fill(f->session, out, sizeof out) > 0)
        continue;
    for (uint32_t i = 0; i < 43; i++)
        say_frame(f, NGHTTP2_HEADERS, ENDS | ENDS_HEAD, 2 * i + 5, block, sizeof block);
    assert_int_equal(hear_all(f, SECONDS(1)), OK);
    assert_int_equal(f->heads, 2);
    say_frame(f, NGHTTP2_HEADERS, ENDS | ENDS_HEAD, 99, block, sizeof block);
    expect_end(f, "limits.h2_glitches");
}

/* Nor do they hold up the others. */
static void test_heads_of_closed_streams_are_read_in_parts(void **state)
{
    struct fixture *f = *state;
    char block[HEAD_MAX];
    memset(block, '\x82', sizeof block);
    close_first(f);
    int frames = 0;
    f->session->effort = 0;
    while (!h2_session_is_paused(f->session)) {
        say_frame(f, NGHTTP2_HEADERS, ENDS | ENDS_HEAD, 1, block, sizeof block);
        assert_int_equal(hear(f, SECONDS(1)), OK);
        frames++;
    }
    assert_int_equal(frames, H2_EFFORT_MAX / (HEAD_MAX * H2_EFFORT_LOST_BYTE) + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_many_requests_are_begun_in_parts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_ordinary_client_is_not_held_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_fields_are_decoded_in_parts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_small_frames_are_read_in_parts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_where_it_stops, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_it_stops_at_the_end_of_a_head, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_client_does_not_stop, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ignored_fields_of_all_heads_count, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ignored_fields_are_forgiven, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_fields_of_refused_streams_count, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_late_trailers_are_free, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_heads_of_closed_streams_end_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_lost_head_that_goes_on_ends_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_heads_after_goodbye_end_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_heads_of_closed_streams_are_read_in_parts, set_up,
                                        tear_down),
    };
    check(thread_init(&thread, "test", 0) == OK);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return failed;
}
