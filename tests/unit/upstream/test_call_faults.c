/* SPDX-License-Identifier: Apache-2.0 */
/* A call over a connection that fails at its first read or write, at its second, … until none is
 * left: whatever happens, nothing is lost, and a POST is not sent twice. */
#include "support/stream_faulty.h"
#include "upstream/asked.h"
#include "upstream/pool.h"

enum { CALLS_MAX = 200, BODY = 70000 };

static struct asked asked;
static int posts; /* whose head came whole */

static void script_echo(struct visit *visit)
{
    while (hear(visit)) {
        bool is_post = strncmp(visit->head, "POST", 4) == 0;
        posts += is_post;
        if (is_post && hear_body(visit, BODY) < BODY)
            return;
        say(visit, "HTTP/1.1 103 Early\r\nLink: </a>\r\n\r\n");
        say(visit, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        for (int i = 0; i < 3; i++)
            say(visit, "4\r\nwiki\r\n");
        say(visit, "0\r\nX-Sum: 1\r\n\r\n");
    }
}

/* Puts a connection into the pool that fails so. */
static void lend(struct upstream *upstream, const struct address *address, enum fault fault, int at)
{
    size_t which;
    struct server_connection *connection = memory_zero(sizeof *connection);
    assert_int_equal(stream_connect(&connection->stream, address, 1, &which, CLOCK_NEVER), OK);
    connection->server = &upstream->servers[0];
    connection->pool = &connection->server->pools[0];
    connection->idle_timeout = SECONDS(60);
    stream_faulty(&connection->stream, fault, at);
    pool_put(connection);
}

struct long_body {
    struct body body;
    size_t left;
};

static enum status read_long_body(struct body *body, struct slice *chunk, int64_t deadline)
{
    static char bytes[10000];
    (void)deadline;
    struct long_body *b = LIST_ENTRY(body, struct long_body, body);
    size_t size = b->left < sizeof bytes ? b->left : sizeof bytes;
    b->left -= size;
    *chunk = slice_of(bytes, size);
    return OK;
}

static struct long_body long_body;

struct attempt {
    struct upstream *upstream;
    const char *method;
    bool has_ended;
    int64_t patience; /* a byte at a time takes long */
};

/* On a fiber of its own, because the fault may cancel it. */
static void attempt_fiber(void *argument)
{
    struct attempt *attempt = argument;
    stream_faulty_cancels(fiber_self());
    prepare(&asked, attempt->upstream, attempt->method);
    asked.call.policy.tries = 1;
    asked.call.policy.first_byte_timeout = attempt->patience;
    asked.call.policy.idle_timeout = attempt->patience;
    if (strcmp(attempt->method, "POST") == 0) {
        long_body = (struct long_body){.left = BODY};
        long_body.body = (struct body){.read = read_long_body, .length = BODY};
        asked.call.request.body = &long_body.body;
    }
    perform(&asked, CLOCK_NEVER);
    finish(&asked);
    attempt->has_ended = true;
}

static void check_result(enum fault fault, bool was_reached)
{
    if (!was_reached || fault == FAULT_ONE_BYTE) {
        assert_int_equal(asked.status, OK);
        assert_true(has_body(&asked, "wikiwikiwiki"));
    } else if (fault == FAULT_CANCEL) {
        assert_int_equal(asked.status, ERR_CANCELLED);
    } else if (asked.status == OK) { /* nothing had been sent, or it may be sent again */
        assert_true(has_body(&asked, "wikiwikiwiki"));
    }
    if (asked.status != OK && asked.status != ERR_CANCELLED && asked.body_size == 0)
        assert_true(asked.call.answer == 502 || asked.call.answer == 504 ||
                    asked.call.head.status == 200);
}

static void fail_everywhere(const char *method)
{
    struct origin origin = {0};
    origin_start(&origin, script_echo);
    struct upstream *upstream = make_upstream(&origin.address, 1, NULL);
    for (int fault = 0; fault < FAULTS; fault++) {
        int at = 0;
        for (bool was_reached = true; was_reached; at++) {
            assert_true(at < CALLS_MAX);
            lend(upstream, &origin.address, (enum fault)fault, at);
            struct attempt attempt = {upstream, method, false,
                                      fault == FAULT_TIMEOUT ? MILLISECONDS(20) : SECONDS(20)};
            struct fiber_scope scope;
            fiber_scope_init(&scope);
            posts = 0;
            assert_int_equal(fiber_start(&scope, "asks", attempt_fiber, &attempt, NULL), OK);
            fiber_scope_join(&scope);
            assert_true(attempt.has_ended);
            was_reached = stream_faulty_was_reached();
            check_result((enum fault)fault, was_reached);
            assert_true(posts <= 1);
            /* What is left of it must not serve the next one. */
            upstream_worker_stop(upstream);
            pause_ms(1);
            drop_upstream(upstream);
            upstream = make_upstream(&origin.address, 1, NULL);
        }
        assert_true(at > 2); /* one write and one read at the least, and one beyond */
    }
    drop_upstream(upstream);
    origin_stop(&origin);
}

static void run_a_get_fails_everywhere(void)
{
    fail_everywhere("GET");
}
ON_FIBER(a_get_fails_everywhere)

static void run_a_post_fails_everywhere(void)
{
    fail_everywhere("POST");
}
ON_FIBER(a_post_fails_everywhere)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_get_fails_everywhere, world_open, world_close),
        cmocka_unit_test_setup_teardown(a_post_fails_everywhere, world_open, world_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
