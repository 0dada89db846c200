/* SPDX-License-Identifier: Apache-2.0 */
/* Calls against a scripted server: connections, framing, retries, limits. */
#include "upstream/asked.h"
#include "upstream/pool.h"

static struct asked asked;

/* Asks once; what is expected of it. */
static void expect(struct upstream *upstream, const char *method, enum status status, int answer)
{
    prepare(&asked, upstream, method);
    perform(&asked, CLOCK_NEVER);
    finish(&asked);
    assert_int_equal(asked.status, status);
    if (status == OK)
        assert_int_equal(asked.call.head.status, answer);
    else
        assert_int_equal(asked.call.answer, answer);
}

static void run_good_path(void)
{
    struct origin origin = {0};
    origin_start(&origin, script_hello);
    struct upstream *upstream = make_upstream(&origin.address, 1, NULL);
    for (int i = 0; i < 20; i++) {
        expect(upstream, i % 2 == 0 ? "GET" : "POST", OK, 200);
        assert_true(has_body(&asked, "hello"));
        assert_int_equal(asked.call.tries, 1);
        assert_true((asked.call.connect_time > 0) == (i == 0));
        assert_true(slice_equal(asked.call.server_name, SLICE("s0:80")));
        assert_int_equal(upstream->servers[0].idle, 1);
    }
    assert_int_equal(origin.connections, 1);
    drop_upstream(upstream);
    origin_stop(&origin);
}
ON_FIBER(good_path)

/* A table of answers: what becomes of the call, and of its connection. */
struct answer {
    const char *text;
    enum status status;
    int code; /* of the answer, or what the client is told */
    const char *body;
    bool is_kept;
    bool closes; /* the server closes behind it */
};

#define OK_HEAD "HTTP/1.1 200 OK\r\n"
static const struct answer ANSWERS[] = {
    {OK_HEAD "Content-Length: 2\r\n\r\nab", OK, 200, "ab", true, false},
    {OK_HEAD "Content-Length: 0\r\n\r\n", OK, 200, "", true, false},
    {"HTTP/1.1 204 No Content\r\n\r\n", OK, 204, "", true, false},
    {"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", OK, 304, "", true, false},
    {OK_HEAD "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", OK, 200, "abc",
     true, false},
    {OK_HEAD "Transfer-Encoding: chunked\r\n\r\n1\r\nc\r\n0\r\nA: b\r\n\r\n", OK, 200, "c", true,
     false},
    /* Kept only as the server allows. */
    {OK_HEAD "Connection: close\r\nContent-Length: 2\r\n\r\nab", OK, 200, "ab", false, false},
    {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nab", OK, 200, "ab", false, false},
    {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nab", OK, 200, "ab",
     true, false},
    {OK_HEAD "Keep-Alive: timeout=1\r\nContent-Length: 2\r\n\r\nab", OK, 200, "ab", false, false},
    {OK_HEAD "Keep-Alive: timeout=2\r\nContent-Length: 2\r\n\r\nab", OK, 200, "ab", true, false},
    {OK_HEAD "\r\nabc", OK, 200, "abc", false, true},
    /* Surplus bytes belong to nobody. */
    {OK_HEAD "Content-Length: 2\r\n\r\nabX", OK, 200, "ab", false, false},
    {OK_HEAD "Content-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n", OK, 200, "", false, false},
    {"HTTP/1.1 204 No Content\r\n\r\nX", OK, 204, "", false, false},
    {OK_HEAD "Transfer-Encoding: chunked\r\n\r\n1\r\nc\r\n0\r\n\r\nX", OK, 200, "c", false, false},
    /* Cut off. */
    {OK_HEAD "Content-Length: 3\r\n\r\nab", ERR_CLOSED, 0, NULL, false, true},
    {OK_HEAD "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", ERR_CLOSED, 0, NULL, false, true},
    {OK_HEAD "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n", ERR_CLOSED, 0, NULL, false,
     true},
    {OK_HEAD "Content-Le", ERR_CLOSED, 502, NULL, false, true},
    {"", ERR_CLOSED, 502, NULL, false, true},
    /* Who speaks is a matter of the connection: it is nobody else's. */
    {OK_HEAD "WWW-Authenticate: NTLM\r\nContent-Length: 2\r\n\r\nab", OK, 200, "ab", false, false},
    {OK_HEAD "WWW-Authenticate: Basic realm=a, negotiate\r\nContent-Length: 2\r\n\r\nab", OK, 200,
     "ab", false, false},
    {OK_HEAD "WWW-Authenticate: Basic realm=NTLM\r\nContent-Length: 2\r\n\r\nab", OK, 200, "ab",
     true, false},
    {OK_HEAD "WWW-Authenticate: Basic\r\nX-A: NTLM\r\nContent-Length: 2\r\n\r\nab", OK, 200, "ab",
     true, false},
    /* Not HTTP, or not for us. */
    {OK_HEAD "Transfer-Encoding: chunked\r\n\r\nz\r\n", ERR_PROTOCOL, 0, NULL, false, false},
    {"220 smtp.example.org\r\n", ERR_PROTOCOL, 502, NULL, false, false},
    {OK_HEAD "Content-Length: 2\r\nContent-Length: 3\r\n\r\nab", ERR_PROTOCOL, 502, NULL, false,
     false},
    {OK_HEAD "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nab", ERR_PROTOCOL, 502, NULL,
     false, false},
    {"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
     ERR_PROTOCOL, 502, NULL, false, false},
    {"HTTP/1.1 101 Switching Protocols\r\n\r\n", ERR_PROTOCOL, 502, NULL, false, false},
};

static const struct answer *answer;

static void script_answer(struct visit *visit)
{
    while (hear(visit)) {
        say(visit, answer->text);
        if (answer->closes)
            return;
    }
}

static void run_answers(void)
{
    struct origin origin = {0};
    origin_start(&origin, script_answer);
    for (size_t i = 0; i < sizeof ANSWERS / sizeof *ANSWERS; i++) {
        answer = &ANSWERS[i];
        struct upstream *upstream = make_upstream(&origin.address, 1, NULL);
        prepare(&asked, upstream, "POST"); /* never retried */
        perform(&asked, CLOCK_NEVER);
        bool has_head = asked.call.body != NULL;
        int idle = (int)upstream->servers[0].idle;
        finish(&asked);
        if (asked.status != answer->status || idle != answer->is_kept ||
            (answer->code != 0 &&
             answer->code != (has_head ? asked.call.head.status : asked.call.answer)) ||
            (answer->body != NULL && !has_body(&asked, answer->body)))
            fail_msg("answer %zu: %s, code %d, %zu bytes, %d idle (%s)", i,
                     status_name(asked.status),
                     has_head ? asked.call.head.status : asked.call.answer, asked.body_size, idle,
                     asked.call.why);
        assert_int_equal(asked.call.tries, 1);
        drop_upstream(upstream);
    }
    origin_stop(&origin);
}
ON_FIBER(answers)

/* The same answers byte by byte. */
static void script_drip(struct visit *visit)
{
    while (hear(visit)) {
        for (const char *at = answer->text; *at != 0; at++) {
            char byte[2] = {*at, 0};
            say(visit, byte);
            enum status status = fiber_yield();
            (void)status;
        }
        if (answer->closes)
            return;
    }
}

static void run_answers_in_bytes(void)
{
    struct origin origin = {0};
    origin_start(&origin, script_drip);
    for (size_t i = 0; i < sizeof ANSWERS / sizeof *ANSWERS; i++) {
        answer = &ANSWERS[i];
        struct upstream *upstream = make_upstream(&origin.address, 1, NULL);
        prepare(&asked, upstream, "POST");
        perform(&asked, CLOCK_NEVER);
        finish(&asked);
        assert_int_equal(asked.status, answer->status);
        if (answer->body != NULL)
            assert_true(has_body(&asked, answer->body));
        drop_upstream(upstream);
    }
    origin_stop(&origin);
}
ON_FIBER(answers_in_bytes)

static int interims;

static void script_interims(struct visit *visit)
{
    while (hear(visit)) {
        say(visit, "HTTP/1.1 100 Continue\r\n\r\n");
        for (int i = 1; i < interims; i++)
            say(visit, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
        say(visit, HELLO);
    }
}

static void run_interim_answers(void)
{
    struct origin origin = {0};
    origin_start(&origin, script_interims);
    struct upstream *upstream = make_upstream(&origin.address, 1, NULL);
    for (interims = 1; interims <= 9; interims++) {
        bool is_too_many = interims > 8;
        expect(upstream, "GET", is_too_many ? ERR_LIMIT : OK, is_too_many ? 502 : 200);
        if (!is_too_many)
            assert_true(has_body(&asked, "hello"));
        assert_int_equal(asked.interims, (is_too_many ? 8 : interims) - 1);
    }
    assert_string_equal(asked.call.error, "http_protocol_error");
    drop_upstream(upstream);
    origin_stop(&origin);
}
ON_FIBER(interim_answers)

/* A head of exactly so many bytes of fields, or so many fields. */
static int fields_size, fields_count;

static void script_large_head(struct visit *visit)
{
    while (hear(visit)) {
        char *text = memory_alloc((size_t)fields_size + 8192);
        int at = sprintf(text, OK_HEAD "Content-Length: 0\r\n");
        int left = fields_size - (int)strlen("Content-Length0");
        for (int i = 1; i < fields_count; i++) {
            int size = i + 1 < fields_count ? left / (fields_count - i) : left;
            at += sprintf(text + at, "X-%02d: ", i);
            memset(text + at, 'v', (size_t)size - 4);
            at += size - 4;
            at += sprintf(text + at, "\r\n");
            left -= size;
        }
        sprintf(text + at, "\r\n");
        say(visit, text);
        free(text);
    }
}

static void run_head_limits(void)
{
    struct origin origin = {0};
    origin_start(&origin, script_large_head);
    struct upstream *upstream = make_upstream(&origin.address, 1, NULL);
    for (int over = -1; over <= 1; over++) {
        fields_size = 64 * 1024 + over;
        for (fields_count = 2; fields_count <= 62; fields_count += 20) {
            expect(upstream, "POST", over > 0 ? ERR_LIMIT : OK, over > 0 ? 502 : 200);
            if (over > 0)
                assert_string_equal(asked.call.error, "http_response_header_section_size");
        }
        fields_size = 20000;
        fields_count = 100 + over;
        expect(upstream, "POST", over > 0 ? ERR_LIMIT : OK, over > 0 ? 502 : 200);
        if (over <= 0)
            assert_int_equal(asked.call.head.fields.count, fields_count);
    }
    drop_upstream(upstream);
    origin_stop(&origin);
}
ON_FIBER(head_limits)

/* The first answer of a connection is good, then it dies under the next request. */
static void script_stale(struct visit *visit)
{
    if (hear(visit))
        say(visit, HELLO);
    if (hear(visit) && visit->number >= 3) /* later ones live */
        do
            say(visit, HELLO);
        while (hear(visit));
}

static void run_stale_connection(void)
{
    struct origin origin = {0};
    origin_start(&origin, script_stale);
    struct upstream *upstream = make_upstream(&origin.address, 1, NULL);
    expect(upstream, "GET", OK, 200);
    assert_int_equal(upstream->servers[0].idle, 1);
    /* The pooled one dies: at once again over a new one, which is still the first try. */
    expect(upstream, "GET", OK, 200);
    assert_int_equal(asked.call.tries, 1);
    assert_int_equal(origin.connections, 2);
    assert_int_equal(origin.requests, 3);
    assert_int_equal(upstream->servers[0].errors_in_row, 0);
    assert_int_equal(upstream->budget_spent, 0);
    /* What must not be repeated is not, once a byte of it was written. */
    expect(upstream, "POST", ERR_CLOSED, 502);
    assert_string_equal(asked.call.error, "connection_terminated");
    assert_int_equal(origin.requests, 4);
    drop_upstream(upstream);
    origin_stop(&origin);
}
ON_FIBER(stale_connection)

/* Reads each request and hangs up. */
static void script_hang_up(struct visit *visit)
{
    hear(visit);
}

static const char *gateway_status;

static void script_status(struct visit *visit)
{
    char text[128];
    snprintf(text, sizeof text, "HTTP/1.1 %s Oh\r\nContent-Length: 3\r\n\r\noh!", gateway_status);
    while (hear(visit))
        say(visit, text);
}

static void run_retries(void)
{
    struct origin bad = {0}, good = {0};
    origin_start(&bad, script_hang_up);
    origin_start(&good, script_hello);
    struct address both[2] = {bad.address, good.address};
    struct upstream *upstream = make_upstream(both, 2, NULL);
    /* round_robin: the bad one first. */
    expect(upstream, "PUT", OK, 200);
    assert_int_equal(asked.call.tries, 2);
    assert_true(slice_equal(asked.call.server_name, SLICE("s1:80")));
    assert_int_equal(bad.requests + good.requests, 2);
    assert_int_equal(upstream->budget_spent, 1);
    drop_upstream(upstream);
    upstream = make_upstream(both, 2, NULL);
    expect(upstream, "POST", ERR_CLOSED, 502);
    assert_int_equal(asked.call.tries, 1);
    drop_upstream(upstream);
    /* Alone, the same server is asked again, no more often than allowed. */
    upstream = make_upstream(both, 1, NULL);
    int before = bad.requests;
    expect(upstream, "GET", ERR_CLOSED, 502);
    assert_int_equal(bad.requests - before, 2);
    drop_upstream(upstream);
    origin_stop(&bad);
    origin_stop(&good);
}
ON_FIBER(retries)

static void run_gateway_statuses(void)
{
    static const char *const STATUSES[] = {"500", "502", "503", "504"};
    struct origin bad = {0}, good = {0};
    origin_start(&bad, script_status);
    origin_start(&good, script_hello);
    struct address both[2] = {bad.address, good.address};
    for (int i = 0; i < 4; i++) {
        gateway_status = STATUSES[i];
        struct upstream *upstream = make_upstream(both, 2, NULL);
        expect(upstream, "GET", OK, i == 0 ? 500 : 200);
        drop_upstream(upstream);
        upstream = make_upstream(both, 2, NULL);
        expect(upstream, "POST", OK, atoi(gateway_status));
        assert_true(has_body(&asked, "oh!"));
        drop_upstream(upstream);
    }
    /* With no other server that could answer, the server's own word is passed on. */
    origin_stop(&good);
    struct upstream *upstream = make_upstream(both, 2, NULL);
    server_unreachable(&upstream->servers[1]);
    for (int i = 0; i < 3; i++) {
        expect(upstream, "GET", OK, 504);
        assert_true(has_body(&asked, "oh!"));
    }
    drop_upstream(upstream);
    origin_stop(&bad);
}
ON_FIBER(gateway_statuses)

static struct upstream *nameless;

/* Answers once; then the name is gone, and so is the connection. */
static void script_name_is_gone(struct visit *visit)
{
    if (hear(visit))
        say(visit, HELLO);
    if (hear(visit))
        nameless->servers[0].addresses_count = 0;
}

static void run_name_is_gone(void)
{
    struct origin origin = {0};
    origin_start(&origin, script_name_is_gone);
    nameless = make_upstream(&origin.address, 1, NULL);
    expect(nameless, "GET", OK, 200);
    expect(nameless, "GET", ERR_UNREACHABLE, 502);
    assert_string_equal(asked.call.error, "dns_error");
    drop_upstream(nameless);
    origin_stop(&origin);
}
ON_FIBER(name_is_gone)

static void without_queue(struct upstream_config *config, struct server_config *servers)
{
    (void)servers;
    config->queue = 0;
}

static void run_refused(void)
{
    struct origin gone = {0}, good = {0};
    origin_start(&gone, script_hello);
    origin_stop(&gone);
    origin_start(&good, script_hello);
    struct address both[2] = {gone.address, good.address};
    struct upstream *upstream = make_upstream(both, 2, NULL);
    /* Nothing was sent: even a POST goes to the other one, with tries=1 and no budget. */
    prepare(&asked, upstream, "POST");
    asked.call.policy.tries = 1;
    perform(&asked, CLOCK_NEVER);
    finish(&asked);
    assert_int_equal(asked.status, OK);
    assert_int_equal(asked.call.tries, 2);
    assert_int_equal(upstream->budget_spent, 0);
    /* From then on it is left out. */
    for (int i = 0; i < 10; i++) {
        expect(upstream, "POST", OK, 200);
        assert_int_equal(asked.call.tries, 1);
    }
    drop_upstream(upstream);
    /* Alone and gone, with no queue to wait in: told at once, and tried each time. */
    upstream = make_upstream(both, 1, without_queue);
    for (int i = 0; i < 3; i++) {
        expect(upstream, "GET", ERR_REFUSED, 502);
        assert_string_equal(asked.call.error, "connection_refused");
    }
    upstream->servers[0].addresses_count = 0;
    expect(upstream, "GET", ERR_UNREACHABLE, 503);
    assert_string_equal(asked.call.error, "destination_unavailable");
    drop_upstream(upstream);
    origin_stop(&good);
}
ON_FIBER(refused)

/* Once all has been read: what it leaves unread would be a reset. */
static void script_hang_up_after_the_body(struct visit *visit)
{
    if (!hear(visit))
        return;
    assert_non_null(strstr(visit->head, "\r\nContent-Length: 3\r\n"));
    assert_int_equal(hear_body(visit, 3), 3);
}

/* An upgrade of one letter is one: over HTTP/1 whatever the policy, and never said twice. */
static void run_shortest_upgrade(void)
{
    struct origin origin = {0};
    struct body_text body;
    origin_start(&origin, script_hello);
    struct upstream *upstream = make_upstream(&origin.address, 1, NULL);
    prepare(&asked, upstream, "GET");
    asked.call.policy.http = UPSTREAM_HTTP_2;
    asked.call.request.upgrade = SLICE("x");
    perform(&asked, CLOCK_NEVER);
    finish(&asked);
    assert_int_equal(asked.status, OK);
    assert_true(has_body(&asked, "hello"));
    drop_upstream(upstream);
    origin_stop(&origin);
    origin = (struct origin){0};
    origin_start(&origin, script_hang_up_after_the_body);
    for (int is_asked = 0; is_asked < 2; is_asked++) {
        upstream = make_upstream(&origin.address, 1, NULL);
        prepare(&asked, upstream, "GET");
        body_text_init(&body, SLICE("abc"));
        asked.call.request.body = &body.body;
        asked.call.request.upgrade = is_asked ? SLICE("x") : SLICE("");
        perform(&asked, CLOCK_NEVER);
        finish(&asked);
        assert_int_equal(asked.status, ERR_CLOSED);
        assert_int_equal(asked.call.tries, is_asked ? 1 : 2);
        drop_upstream(upstream);
    }
    origin_stop(&origin);
}
ON_FIBER(shortest_upgrade)

enum { CROWD = 13 };

/* Where nobody listens, no more are asked than a call remembers. */
static void run_tries_are_bounded(void)
{
    struct origin gone = {0};
    struct address all[CROWD];
    origin_start(&gone, script_hello);
    origin_stop(&gone);
    for (int i = 0; i < CROWD; i++)
        all[i] = gone.address;
    for (size_t count = 8; count <= CROWD; count++) {
        struct upstream *upstream = make_upstream(all, count, without_queue);
        expect(upstream, "GET", ERR_REFUSED, 502);
        assert_int_equal(asked.call.tries, count < 10 ? count : 10);
        drop_upstream(upstream);
    }
}
ON_FIBER(tries_are_bounded)

static void keep_for_a_while(struct upstream_config *config, struct server_config *servers)
{
    (void)servers;
    config->keepalive_idle = MILLISECONDS(2500);
}

/* What the server says counts less a second, though it is more than what weir keeps it for. */
static void run_pool_is_told_less(void)
{
    static const struct answer SAYS = {
        OK_HEAD "Keep-Alive: timeout=3\r\nContent-Length: 2\r\n\r\nab", OK, 200, "ab", true, false};
    struct origin origin = {0};
    answer = &SAYS;
    origin_start(&origin, script_answer);
    struct upstream *upstream = make_upstream(&origin.address, 1, keep_for_a_while);
    expect(upstream, "GET", OK, 200);
    struct server_connection *connection = pool_take(&upstream->servers[0], true);
    assert_non_null(connection);
    assert_int_equal(connection->idle_timeout, SECONDS(2));
    pool_close(connection, false);
    drop_upstream(upstream);
    origin_stop(&origin);
}
ON_FIBER(pool_is_told_less)

/* 10 and a fifth of the calls of a second. */
static void run_budget(void)
{
    struct origin origin = {0};
    origin_start(&origin, script_hang_up);
    struct upstream *upstream = make_upstream(&origin.address, 1, NULL);
    int64_t second;
    do { /* the clock must not strike in between */
        pause_ms((int)((SECONDS(1) - loop_now() % SECONDS(1)) / MILLISECONDS(1)) + 1);
        second = loop_now() / SECONDS(1);
        upstream->budget_second = second;
        upstream->budget_calls_before = upstream->budget_spent_before = 0;
        upstream->budget_calls = 49; /* with this one: 10 more retries */
        upstream->budget_spent = 19;
        expect(upstream, "GET", ERR_CLOSED, 502);
    } while (loop_now() / SECONDS(1) != second);
    assert_int_equal(asked.call.tries, 2);
    do {
        pause_ms((int)((SECONDS(1) - loop_now() % SECONDS(1)) / MILLISECONDS(1)) + 1);
        second = loop_now() / SECONDS(1);
        upstream->budget_second = second;
        upstream->budget_calls_before = upstream->budget_spent_before = 0;
        upstream->budget_calls = 49;
        upstream->budget_spent = 20;
        expect(upstream, "GET", ERR_CLOSED, 502);
    } while (loop_now() / SECONDS(1) != second);
    assert_int_equal(asked.call.tries, 1);
    do { /* a second that has only begun lives on the one before */
        pause_ms((int)((SECONDS(1) - loop_now() % SECONDS(1)) / MILLISECONDS(1)) + 1);
        second = loop_now() / SECONDS(1);
        upstream->budget_second = second - 1;
        upstream->budget_calls = 1000;
        upstream->budget_spent = 100;
        expect(upstream, "GET", ERR_CLOSED, 502);
    } while (loop_now() / SECONDS(1) != second || loop_now() % SECONDS(1) > MILLISECONDS(400));
    assert_int_equal(upstream->budget_calls, 1);
    assert_int_equal(upstream->budget_calls_before, 1000);
    assert_int_equal(upstream->budget_spent_before, 100);
    assert_int_equal(asked.call.tries, 2);
    drop_upstream(upstream);
    origin_stop(&origin);
}
ON_FIBER(budget)

static void reasons_to_try_again(void **state)
{
    (void)state;
    static const struct {
        const char *word;
        int low, high; /* statuses; 0: it is no reason */
    } table[] = {
        {"300", 300, 300}, {"599", 599, 599}, {"502-502", 502, 502}, {"500-599", 500, 599},
        {"4xx", 400, 499}, {"5xx", 500, 599}, {"299", 0, 0},         {"600", 0, 0},
        {"503-502", 0, 0}, {"500-600", 0, 0}, {"299-301", 0, 0},     {"", 0, 0},
        {"3xx", 0, 0},     {"502-", 0, 0},    {"-502", 0, 0},        {"Reset", 0, 0},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct upstream_retry retry = {0};
        bool is_one = upstream_retry_add(&retry, slice_from_cstring(table[i].word));
        assert_int_equal(is_one, table[i].low > 0);
        for (int status = 1; status < 600 && is_one; status++) {
            bool has = (retry.statuses[status / 64] >> (status % 64) & 1) != 0;
            assert_int_equal(has, status >= table[i].low && status <= table[i].high);
        }
        assert_false(retry.connect || retry.reset || retry.timeout || retry.non_idempotent);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reasons_to_try_again),
        cmocka_unit_test_setup_teardown(good_path, world_open, world_close),
        cmocka_unit_test_setup_teardown(answers, world_open, world_close),
        cmocka_unit_test_setup_teardown(answers_in_bytes, world_open, world_close),
        cmocka_unit_test_setup_teardown(interim_answers, world_open, world_close),
        cmocka_unit_test_setup_teardown(head_limits, world_open, world_close),
        cmocka_unit_test_setup_teardown(stale_connection, world_open, world_close),
        cmocka_unit_test_setup_teardown(retries, world_open, world_close),
        cmocka_unit_test_setup_teardown(gateway_statuses, world_open, world_close),
        cmocka_unit_test_setup_teardown(name_is_gone, world_open, world_close),
        cmocka_unit_test_setup_teardown(refused, world_open, world_close),
        cmocka_unit_test_setup_teardown(shortest_upgrade, world_open, world_close),
        cmocka_unit_test_setup_teardown(tries_are_bounded, world_open, world_close),
        cmocka_unit_test_setup_teardown(pool_is_told_less, world_open, world_close),
        cmocka_unit_test_setup_teardown(budget, world_open, world_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
