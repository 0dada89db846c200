/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of calls in both directions, early answers, tunnels, timeouts and cancels. */
#include "upstream/asked.h"

static struct asked asked;

/* A client's body: `size` bytes in pieces, with a pause before each; it may break off. */
struct pieces {
    struct body body;
    char bytes[32 * 1024];
    size_t left, piece;
    int pause_ms;
    size_t fails_at; /* bytes left; 0: never */
    enum status failure;
    int reads;
};

static enum status read_pieces(struct body *body, struct slice *chunk, int64_t deadline)
{
    struct pieces *p = LIST_ENTRY(body, struct pieces, body);
    (void)deadline;
    p->reads++;
    if (p->pause_ms > 0)
        TRY(fiber_sleep(loop_now() + MILLISECONDS(p->pause_ms)));
    if (p->fails_at > 0 && p->left <= p->fails_at)
        return p->failure;
    size_t size = p->left < p->piece ? p->left : p->piece;
    *chunk = slice_of(p->bytes, size);
    p->left -= size;
    return OK;
}

static struct pieces pieces;

static void open_pieces(size_t size, size_t piece, bool is_known)
{
    pieces = (struct pieces){.left = size, .piece = piece};
    memset(pieces.bytes, 'b', sizeof pieces.bytes);
    pieces.body.read = read_pieces;
    pieces.body.length = is_known ? (int64_t)size : -1;
}

static void post(struct upstream *upstream, const char *method)
{
    prepare(&asked, upstream, method);
    asked.call.request.body = &pieces.body;
    perform(&asked, CLOCK_NEVER);
    finish(&asked);
}

/* What the server got of the last body. */
static size_t heard;
static bool is_heard_whole;

/* Reads chunks up to the last one, which has no trailers. */
static void hear_chunks(struct visit *visit)
{
    for (;;) {
        while (slice_find(slice_of(visit->ahead, visit->ahead_size), '\n') == visit->ahead_size) {
            size_t got;
            if (stream_read(&visit->stream, visit->ahead + visit->ahead_size,
                            sizeof visit->ahead - visit->ahead_size, &got, CLOCK_NEVER) != OK)
                return;
            visit->ahead_size += got;
        }
        size_t size = (size_t)strtoul(visit->ahead, NULL, 16);
        size_t line = slice_find(slice_of(visit->ahead, visit->ahead_size), '\n') + 1;
        visit->ahead_size -= line;
        memmove(visit->ahead, visit->ahead + line, visit->ahead_size);
        size_t got = hear_body(visit, size + 2);
        heard += got < size ? got : size;
        if (got < size + 2)
            return;
        if (size == 0)
            break;
    }
    is_heard_whole = true;
}

static bool hear_whole(struct visit *visit)
{
    if (!hear(visit))
        return false;
    const char *length = strstr(visit->head, "Content-Length: ");
    heard = 0;
    is_heard_whole = false;
    if (strstr(visit->head, "Transfer-Encoding: chunked") != NULL) {
        hear_chunks(visit);
    } else if (length != NULL) {
        size_t size = (size_t)strtoul(length + strlen("Content-Length: "), NULL, 10);
        heard = hear_body(visit, size);
        is_heard_whole = heard == size;
    }
    return true;
}

static void script_sink(struct visit *visit)
{
    while (hear_whole(visit))
        say(visit, HELLO);
}

static void run_requests_with_bodies(void)
{
    static const size_t SIZES[] = {1, 65535, 65536, 65537, 3000000};
    struct origin origin = {0};
    origin_start(&origin, script_sink);
    struct upstream *upstream = make_upstream(&origin.address, 1, NULL);
    for (int is_known = 0; is_known < 2; is_known++)
        for (size_t i = 0; i < sizeof SIZES / sizeof *SIZES; i++)
            for (size_t piece = 1000; piece <= 32000; piece *= 32) {
                open_pieces(SIZES[i], piece, is_known);
                post(upstream, "POST");
                assert_int_equal(asked.status, OK);
                assert_true(is_heard_whole);
                assert_int_equal(heard, SIZES[i]);
                assert_int_equal(upstream->servers[0].idle, 1);
            }
    open_pieces(0, 1000, false); /* chunked, and empty */
    post(upstream, "POST");
    assert_int_equal(asked.status, OK);
    assert_true(is_heard_whole && heard == 0);
    assert_int_equal(origin.connections, 1);
    drop_upstream(upstream);
    origin_stop(&origin);
}
ON_FIBER(requests_with_bodies)

static void script_bad_first(struct visit *visit)
{
    if (visit->number == 1) {
        hear_whole(visit);
        return;
    }
    script_sink(visit);
}

/* What was kept is sent again; what was not, is not. */
static void run_kept_bodies_are_replayed(void)
{
    for (int over = -1; over <= 1; over++) {
        struct origin origin = {0};
        origin_start(&origin, script_bad_first);
        struct upstream *upstream = make_upstream(&origin.address, 1, NULL);
        open_pieces((size_t)(65536 + over), 10000, true);
        post(upstream, "PUT");
        assert_int_equal(asked.status, over <= 0 ? OK : ERR_CLOSED);
        assert_int_equal(origin.requests, over <= 0 ? 2 : 1);
        assert_true(is_heard_whole && heard == (size_t)(65536 + over));
        drop_upstream(upstream);
        origin_stop(&origin);
    }
}
ON_FIBER(kept_bodies_are_replayed)

/* A small body is read before a server is taken: a slow client costs it nothing. */
static void run_small_bodies_come_first(void)
{
    struct origin origin = {0};
    origin_start(&origin, script_sink);
    struct upstream *upstream = make_upstream(&origin.address, 1, NULL);
    open_pieces(100, 10, true);
    pieces.fails_at = 50;
    pieces.failure = ERR_TIMEOUT;
    post(upstream, "POST");
    assert_int_equal(asked.status, ERR_TIMEOUT);
    assert_true(asked.call.client_failed);
    assert_int_equal(asked.call.answer, 0);
    assert_int_equal(origin.connections, 0);
    drop_upstream(upstream);
    origin_stop(&origin);
}
ON_FIBER(small_bodies_come_first)

/* A large one breaks off in the middle: no retry, and the server is not blamed. */
static void run_client_breaks_off(void)
{
    struct origin origin = {0};
    origin_start(&origin, script_sink);
    struct upstream *upstream = make_upstream(&origin.address, 1, NULL);
    for (int is_known = 0; is_known < 2; is_known++) {
        open_pieces(200000, 10000, is_known);
        pieces.fails_at = 100000;
        pieces.failure = ERR_CLOSED;
        post(upstream, "PUT");
        assert_int_equal(asked.status, ERR_CLOSED);
        assert_true(asked.call.client_failed);
        assert_int_equal(asked.call.answer, 0);
        assert_int_equal(asked.call.tries, 1);
        assert_int_equal(upstream->servers[0].errors_in_row, 0);
        assert_int_equal(upstream->servers[0].idle, 0);
        pause_ms(20);
        assert_false(is_heard_whole);
    }
    drop_upstream(upstream);
    origin_stop(&origin);
}
ON_FIBER(client_breaks_off)

/* Answers when it has seen the head, reads nothing more. */
static void script_early(struct visit *visit)
{
    hear(visit);
    say(visit, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 4\r\n\r\nsto");
    pause_ms(50);
    say(visit, "p");
    pause_ms(60000); /* ended before that */
}

static void run_early_answer(void)
{
    struct origin origin = {0};
    origin_start(&origin, script_early);
    struct upstream *upstream = make_upstream(&origin.address, 1, NULL);
    for (int is_known = 0; is_known < 2; is_known++) {
        open_pieces(50000000, 20000, is_known);
        int64_t began = loop_now();
        post(upstream, "PUT");
        assert_int_equal(asked.status, OK);
        assert_int_equal(asked.call.head.status, 413);
        assert_true(has_body(&asked, "stop"));
        assert_int_equal(upstream->servers[0].idle, 0); /* never used again */
        assert_true(pieces.left > 0);                   /* the sender was ended */
        assert_true(loop_now() - began < SECONDS(55));  /* and not when the server closes */
    }
    drop_upstream(upstream);
    origin_stop(&origin);
}
ON_FIBER(early_answer)

static void script_tunnel(struct visit *visit)
{
    hear(visit);
    assert_non_null(strstr(visit->head, "Upgrade: websocket\r\n"));
    say(visit, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n"
               "\r\nfirst");
    char bytes[16];
    size_t got;
    if (stream_read(&visit->stream, bytes, sizeof bytes, &got, CLOCK_NEVER) == OK)
        say(visit, got == 4 ? "four" : "?");
}

static void run_tunnel(void)
{
    struct origin origin = {0};
    origin_start(&origin, script_tunnel);
    struct upstream *upstream = make_upstream(&origin.address, 1, NULL);
    prepare(&asked, upstream, "GET");
    asked.call.request.upgrade = SLICE("websocket");
    perform(&asked, CLOCK_NEVER);
    assert_int_equal(asked.status, OK);
    assert_non_null(asked.call.tunnel);
    assert_true(slice_equal(asked.call.tunnel_early, SLICE("first")));
    struct stream stream = {0};
    stream_relocate(&stream, asked.call.tunnel);
    void *detached = upstream_call_detach(&asked.call);
    finish(&asked);
    assert_int_equal(upstream->servers[0].active, 1);
    struct iovec part = {(void *)(uintptr_t) "ping", 4};
    char bytes[16];
    size_t got;
    assert_int_equal(stream_write(&stream, &part, 1, SECONDS(5), CLOCK_NEVER), OK);
    assert_int_equal(stream_read(&stream, bytes, sizeof bytes, &got, CLOCK_NEVER), OK);
    assert_true(slice_equal(slice_of(bytes, got), SLICE("four")));
    stream_close(&stream, false);
    upstream_tunnel_end(detached);
    /* Not taken over: closed with the call. */
    prepare(&asked, upstream, "GET");
    asked.call.request.upgrade = SLICE("websocket");
    perform(&asked, CLOCK_NEVER);
    assert_int_equal(asked.status, OK);
    finish(&asked);
    assert_int_equal(upstream->servers[0].idle, 0);
    drop_upstream(upstream);
    origin_stop(&origin);
}
ON_FIBER(tunnel)

/* Another protocol than the one asked for; or switched while the body is still on its way. */
static void run_wrong_tunnels(void)
{
    struct origin origin = {0};
    origin_start(&origin, script_tunnel);
    struct upstream *upstream = make_upstream(&origin.address, 1, NULL);
    prepare(&asked, upstream, "GET");
    fields_add_named(&asked.fields, SLICE("X-Lure"), SLICE("Upgrade: websocket"));
    asked.call.request.upgrade = SLICE("h2c");
    perform(&asked, CLOCK_NEVER);
    finish(&asked);
    assert_int_equal(asked.status, ERR_PROTOCOL);
    assert_string_equal(asked.call.error, "http_upgrade_failed");
    open_pieces(1000, 10, true);
    pieces.pause_ms = 20;
    prepare(&asked, upstream, "GET");
    asked.call.request.upgrade = SLICE("websocket");
    asked.call.request.body = &pieces.body;
    perform(&asked, CLOCK_NEVER);
    finish(&asked);
    assert_int_equal(asked.status, ERR_PROTOCOL);
    assert_int_equal(upstream->servers[0].idle, 0);
    drop_upstream(upstream);
    origin_stop(&origin);
}
ON_FIBER(wrong_tunnels)

static const char *part_of_answer;

static void script_stops(struct visit *visit)
{
    while (hear(visit)) {
        say(visit, part_of_answer);
        pause_ms(3000);
    }
}

static enum status ask_briefly(struct upstream *upstream, int64_t first_byte, int64_t idle,
                               int64_t timeout)
{
    prepare(&asked, upstream, "POST");
    asked.call.policy.first_byte_timeout = first_byte;
    asked.call.policy.idle_timeout = idle;
    int64_t began = loop_now();
    perform(&asked, timeout == CLOCK_NEVER ? CLOCK_NEVER : loop_now() + timeout);
    finish(&asked);
    assert_true(loop_now() - began < SECONDS(55)); /* the other times are a minute */
    assert_int_equal(upstream->servers[0].idle, 0);
    return asked.status;
}

static void run_timeouts(void)
{
    struct origin origin = {0};
    origin_start(&origin, script_stops);
    struct upstream *upstream = make_upstream(&origin.address, 1, NULL);
    part_of_answer = "";
    assert_int_equal(ask_briefly(upstream, MILLISECONDS(100), SECONDS(60), CLOCK_NEVER),
                     ERR_TIMEOUT);
    assert_int_equal(asked.call.answer, 504);
    assert_string_equal(asked.call.error, "http_response_timeout");
    part_of_answer =
        "HTTP/1.1 200 OK\r\nContent-Le"; /* the head is part of the first byte's time */
    assert_int_equal(ask_briefly(upstream, MILLISECONDS(100), SECONDS(60), CLOCK_NEVER),
                     ERR_TIMEOUT);
    part_of_answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na";
    assert_int_equal(ask_briefly(upstream, SECONDS(60), MILLISECONDS(100), CLOCK_NEVER),
                     ERR_TIMEOUT);
    assert_int_equal(asked.call.head.status, 200);
    part_of_answer = "";
    assert_int_equal(ask_briefly(upstream, SECONDS(60), SECONDS(60), MILLISECONDS(100)),
                     ERR_TIMEOUT);
    assert_int_equal(asked.call.tries, 1);
    drop_upstream(upstream);
    origin_stop(&origin);
}
ON_FIBER(timeouts)

/* The whole request's deadline is no fault of a server: it stays up, no other one is asked. */
static void run_deadline_blames_nobody(void)
{
    struct origin origin = {0};
    origin_start(&origin, script_hello);
    struct address both[2] = {origin.address, origin.address};
    struct upstream *upstream = make_upstream(both, 2, NULL);
    prepare(&asked, upstream, "GET");
    perform(&asked, loop_now());
    finish(&asked);
    assert_int_equal(asked.status, ERR_TIMEOUT);
    assert_int_equal(asked.call.tries, 1);
    assert_int_equal(upstream->servers[0].health, SERVER_UP);
    assert_int_equal(upstream->servers[1].health, SERVER_UP);
    drop_upstream(upstream);
    origin_stop(&origin);
}
ON_FIBER(deadline_blames_nobody)

/* A stream of events may be silent for longer than the idle timeout. */
static void script_events(struct visit *visit)
{
    hear(visit);
    say(visit, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n");
    pause_ms(300);
    say(visit, "data: 2\n\n");
}

static void run_events_may_pause(void)
{
    struct origin origin = {0};
    origin_start(&origin, script_events);
    struct upstream *upstream = make_upstream(&origin.address, 1, NULL);
    assert_int_equal(ask_briefly(upstream, SECONDS(60), MILLISECONDS(50), CLOCK_NEVER), OK);
    assert_true(has_body(&asked, "data: 1\n\ndata: 2\n\n"));
    drop_upstream(upstream);
    origin_stop(&origin);
}
ON_FIBER(events_may_pause)

struct job {
    struct upstream *upstream;
    enum status status;
};

static void perform_job(void *argument)
{
    struct job *job = argument;
    prepare(&asked, job->upstream, "POST");
    asked.call.request.body = &pieces.body;
    perform(&asked, CLOCK_NEVER);
    finish(&asked);
    job->status = asked.status;
}

/* A client that hangs up ends the call, in the head, in the body, and while it sends. */
static void run_cancel(void)
{
    static const char *const PARTS[] = {"", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na"};
    struct origin origin = {0};
    origin_start(&origin, script_stops);
    struct upstream *upstream = make_upstream(&origin.address, 1, NULL);
    for (int i = 0; i < 4; i++) {
        struct job job = {upstream, OK};
        struct fiber_scope scope;
        fiber_scope_init(&scope);
        part_of_answer = PARTS[i % 2];
        open_pieces(i < 2 ? 0 : 1000000, 1000, i < 2);
        pieces.pause_ms = 5;
        assert_int_equal(fiber_start(&scope, "job", perform_job, &job, NULL), OK);
        pause_ms(100);
        assert_int_equal(upstream->servers[0].active, 1);
        fiber_scope_cancel(&scope);
        assert_int_equal(job.status, ERR_CANCELLED);
        assert_int_equal(upstream->servers[0].active, 0);
        assert_int_equal(upstream->servers[0].errors_in_row, 0);
    }
    drop_upstream(upstream);
    origin_stop(&origin);
}
ON_FIBER(cancel)

enum { LARGE = 8 * 1024 * 1024 };

static void script_large(struct visit *visit)
{
    static char bytes[64 * 1024 + 1];
    memset(bytes, 'L', sizeof bytes - 1);
    while (hear(visit)) {
        say(visit, "HTTP/1.1 200 OK\r\nContent-Length: 8388608\r\n\r\n");
        for (int i = 0; i < LARGE / 65536; i++)
            say(visit, bytes);
    }
}

/* Takes what is moved to it. */
static size_t sunk;

static void script_count(struct visit *visit)
{
    size_t got;
    static char bytes[16384];
    while (stream_read(&visit->stream, bytes, sizeof bytes, &got, CLOCK_NEVER) == OK)
        sunk += got;
}

/* A large body goes past user space to a plain stream; its connection is used again. */
static void run_large_bodies_are_moved(void)
{
    struct origin origin = {0}, sink = {0};
    origin_start(&origin, script_large);
    origin_start(&sink, script_count);
    struct upstream *upstream = make_upstream(&origin.address, 1, NULL);
    struct stream client = {0};
    size_t which;
    assert_int_equal(stream_connect(&client, &sink.address, 1, &which, loop_now() + SECONDS(5)),
                     OK);
    for (int round = 0; round < 3; round++) {
        uint64_t read = 0, moved = 0;
        prepare(&asked, upstream, "GET");
        struct upstream_call *call = &asked.call;
        assert_int_equal(upstream_call(call, CLOCK_NEVER), OK);
        assert_int_equal(call->body->length, LARGE);
        for (;;) {
            uint64_t count;
            bool to_failed;
            struct slice chunk;
            enum status status =
                call->body->move(call->body, &client, SECONDS(5), &count, &to_failed);
            if (status == OK) {
                moved += count;
                continue;
            }
            assert_int_equal(status, ERR_LIMIT);
            assert_int_equal(call->body->read(call->body, &chunk, CLOCK_NEVER), OK);
            if (chunk.size == 0)
                break;
            read += chunk.size;
        }
        finish(&asked);
        assert_int_equal(read + moved, LARGE);
        assert_true(read < 128 * 1024);
        assert_int_equal(upstream->servers[0].idle, 1);
    }
    assert_int_equal(origin.connections, 1);
    stream_close(&client, false);
    drop_upstream(upstream);
    origin_stop(&origin);
    origin_stop(&sink);
}
ON_FIBER(large_bodies_are_moved)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(requests_with_bodies, world_open, world_close),
        cmocka_unit_test_setup_teardown(kept_bodies_are_replayed, world_open, world_close),
        cmocka_unit_test_setup_teardown(small_bodies_come_first, world_open, world_close),
        cmocka_unit_test_setup_teardown(client_breaks_off, world_open, world_close),
        cmocka_unit_test_setup_teardown(early_answer, world_open, world_close),
        cmocka_unit_test_setup_teardown(tunnel, world_open, world_close),
        cmocka_unit_test_setup_teardown(wrong_tunnels, world_open, world_close),
        cmocka_unit_test_setup_teardown(timeouts, world_open, world_close),
        cmocka_unit_test_setup_teardown(deadline_blames_nobody, world_open, world_close),
        cmocka_unit_test_setup_teardown(events_may_pause, world_open, world_close),
        cmocka_unit_test_setup_teardown(cancel, world_open, world_close),
        cmocka_unit_test_setup_teardown(large_bodies_are_moved, world_open, world_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
