/* SPDX-License-Identifier: Apache-2.0 */
/* Every wait of weir ends when its default says: tested to the second, in no time. */
#include "scenarios.h"

#include "world.h"

static struct client *client;
static struct server_actor *server;

/* One server, one client with `count` requests; something is about to take long. */
static void begin(unsigned count, const char *top, const char *proxy)
{
    scenario_site(top, proxy);
    server = scenario_server(1);
    client = scenario_client(count);
    scenario_start(client);
    actors_expect_trouble();
}

static void expect_seconds(const char *what, int64_t from, int64_t until, double seconds)
{
    double took = (double)(until - from) / (double)SECONDS(1);
    if (took < seconds || took > seconds + 1)
        world_broken("deadline", "%s took %.3f s instead of %.3f", what, took, seconds);
}

void head_never_ends(void)
{
    begin(1, "", "10.0.0.1:8000");
    client->manner.stops_at = 20;
}
void head_never_ends_check(void)
{
    scenario_expect(client->plans[0], 408, 9.9);
}

/* A byte now and then is no excuse. */
void head_drips(void)
{
    begin(1, "", "10.0.0.1:8000");
    client->manner.piece = 1;
    client->manner.pause = MILLISECONDS(900);
}
void head_drips_check(void)
{
    scenario_expect(client->plans[0], 408, 9.9);
}

static void post(size_t size, enum plan_body body)
{
    client->plans[0]->method = "POST";
    client->plans[0]->body = body;
    client->plans[0]->body_size = size;
}

void body_stops(void)
{
    begin(1, "", "10.0.0.1:8000");
    post(1000, BODY_LENGTH);
    client->manner.stops_at = 300;
}
void body_stops_check(void)
{
    scenario_expect(client->plans[0], 408, 30);
}

void body_stops_streamed(void)
{
    begin(1, "", "10.0.0.1:8000");
    post(100000, BODY_CHUNKED);
    client->manner.stops_at = 3000;
}
void body_stops_streamed_check(void)
{
    scenario_expect(client->plans[0], 408, 30);
}

/* 100 bytes a second are fewer than 240. */
void body_drips(void)
{
    begin(1, "", "10.0.0.1:8000");
    post(5000, BODY_LENGTH);
    client->manner.piece = 100;
    client->manner.pause = SECONDS(1);
}
void body_drips_check(void)
{
    scenario_expect(client->plans[0], 408, 10.2);
}

void client_idles(void)
{
    begin(1, "", "10.0.0.1:8000");
    client->manner.lingers = SECONDS(1000);
}
void client_idles_check(void)
{
    expect_seconds("an idle connection", client->plans[0]->ended, client->done_at, 75);
}

void client_says_nothing(void)
{
    begin(1, "", "10.0.0.1:8000");
    client->manner.stops_at = 1;
    client->manner.piece = 1;
}
void client_says_nothing_check(void)
{
    scenario_expect(client->plans[0], 408, 9.9);
}

static int64_t closed_at;
static void look_for_close(void *unused)
{
    const struct end *end = client->end;
    if (end != NULL && end->other != NULL && end->other->is_closed)
        closed_at = world_now();
    else if (!client->is_done)
        world_after(MILLISECONDS(100), look_for_close, unused);
}
void client_does_not_read(void)
{
    world_after(SECONDS(1), look_for_close, NULL);
    begin(1, "", "10.0.0.1:8000");
    client->plans[0]->reply_size = 2000000;
    client->manner.pauses_at = 1000;
    client->manner.pauses_for = SECONDS(200);
}
void client_does_not_read_check(void)
{
    expect_seconds("a client that does not read", client->plans[0]->began, closed_at, 60);
    if (client->plans[0]->outcome != OUTCOME_CUT)
        world_broken("expectation", "a client that does not read was waited for");
}

/* A later request has its ten seconds from its first byte on. */
void second_head_never_ends(void)
{
    begin(2, "", "10.0.0.1:8000");
    client->manner.idles = SECONDS(40);
    client->manner.stops_at = 20;
    client->manner.stops_in = 1;
}
void second_head_never_ends_check(void)
{
    scenario_expect(client->plans[0], 200, 0);
    scenario_expect(client->plans[1], 408, 9.9);
}

/* The rest of a body that nobody wants is waited for, but not for long. */
void body_is_left_undrained(void)
{
    begin(1, "", "10.0.0.1:8000");
    scenario_config("site * {\n    listen 10.1.0.1:80\n    respond 403\n}\n");
    post(1000, BODY_LENGTH);
    client->plans[0]->own_status = 403;
    client->manner.stops_at = 300;
    client->manner.lingers = SECONDS(100);
}
void body_is_left_undrained_check(void)
{
    scenario_expect(client->plans[0], 403, 0);
    expect_seconds("draining a body", client->plans[0]->ended, client->done_at, 5);
}

/* A server's Keep-Alive field is heeded, less a second. */
static int64_t pool_closed_at;
static void on_server_end(void)
{
    pool_closed_at = world_now();
}
void pool_is_told_less(void)
{
    begin(1, "", "10.0.0.1:8000");
    client->plans[0]->reply_fields = "Keep-Alive: max=7, timeout=5\r\n";
    server->on_end = on_server_end;
    client->manner.lingers = SECONDS(20);
}
void pool_is_told_less_check(void)
{
    expect_seconds("a pooled connection", client->plans[0]->ended, pool_closed_at, 4);
}

/* A stream of events has no idle_timeout. */
void events_may_be_silent(void)
{
    begin(1, "", "10.0.0.1:8000");
    client->plans[0]->manner = MANNER_STALL_INSIDE;
    client->plans[0]->reply_fields = "Content-Type: text/event-stream\r\n";
    client->plans[0]->framing = REPLY_CHUNKED;
    client->plans[0]->manner_at = 150;
    client->manner.leaves_after = SECONDS(200);
}
void events_may_be_silent_check(void)
{
    expect_seconds("a stream of events", client->plans[0]->began, client->plans[0]->ended, 199.5);
    if (client->plans[0]->outcome != OUTCOME_LEFT)
        world_broken("expectation", "a silent stream of events was cut");
}

/* Five errors in a row: ten seconds without a request. */
static struct server_actor *failing;
static int64_t failing_asked[16];
static unsigned failing_count;
static void look_at_failing(void *unused)
{
    static unsigned seen;
    for (; seen < failing->requests && failing_count < 16; seen++)
        failing_asked[failing_count++] = world_now();
    if (!client->is_done)
        world_after(MILLISECONDS(10), look_at_failing, unused);
}
void server_is_ejected(void)
{
    begin(30,
          "upstream app {\n    server 10.0.0.1:8000\n    server 10.0.0.2:8000\n"
          "    balance round_robin\n    slow_start off\n}\n",
          "app");
    failing = scenario_server(2);
    failing->fails = true;
    client->manner.idles = SECONDS(1);
    world_after(MILLISECONDS(10), look_at_failing, NULL);
}
void server_is_ejected_check(void)
{
    if (failing_count < 6)
        world_broken("expectation", "the failing server was asked %u times", failing_count);
    double rest = (double)(failing_asked[5] - failing_asked[4]) / (double)SECONDS(1);
    if (rest < 10 || rest > 13)
        world_broken("deadline", "an ejected server was left alone for %.3f s", rest);
    for (unsigned i = 0; i < client->count; i++)
        scenario_expect(client->plans[i], 200, 0);
}

void server_is_silent(void)
{
    begin(1, "", "10.0.0.1:8000");
    server->service.state = SERVICE_SILENT;
}
void server_is_silent_check(void)
{
    scenario_expect(client->plans[0], 504, 3);
}

void server_never_answers(void)
{
    begin(1, "", "10.0.0.1:8000");
    client->plans[0]->manner = MANNER_STALL;
    client->plans[0]->manner_stays = true;
}
void server_never_answers_check(void)
{
    scenario_expect(client->plans[0], 504, 60);
}

void server_never_answers_stream(void)
{
    begin(1, "", "10.0.0.1:8000");
    post(100000, BODY_CHUNKED);
    client->plans[0]->manner = MANNER_STALL;
}
void server_never_answers_stream_check(void)
{
    scenario_expect(client->plans[0], 504, 60);
}

void server_stops_inside(void)
{
    begin(1, "", "10.0.0.1:8000");
    client->plans[0]->manner = MANNER_STALL_INSIDE;
    client->plans[0]->reply_size = 1000;
    client->plans[0]->manner_at = 300;
}
void server_stops_inside_check(void)
{
    expect_seconds("a stalled answer", client->plans[0]->began, client->plans[0]->ended, 60);
}

void server_reads_nothing(void)
{
    begin(1, "", "10.0.0.1:8000");
    post(3000000, BODY_LENGTH);
    server->reads_nothing = true;
}
void server_reads_nothing_check(void)
{
    scenario_expect(client->plans[0], 504, 60);
}

void whole_takes_too_long(void)
{
    begin(1, "", "10.0.0.1:8000 timeout=7s");
    client->plans[0]->manner = MANNER_STALL;
}
void whole_takes_too_long_check(void)
{
    scenario_expect(client->plans[0], 504, 7);
}

void queue_is_too_long(void)
{
    begin(2, "upstream app {\n    server 10.0.0.1:8000 max_conns=1\n}\n", "app");
    struct client *other = scenario_client(1);
    other->plans[0]->manner = MANNER_STALL;
    client->count = 1; /* the second plan is never sent */
    client->plans[1]->is_done = true;
    client_start(other, MILLISECONDS(100));
}
void queue_is_too_long_check(void)
{
    scenario_expect(client->plans[0], 503, 5);
}

void tunnel_idles(void)
{
    begin(1, "", "10.0.0.1:8000");
    client->plans[0]->upgrades = true;
    client->plans[0]->status = 101;
    client->plans[0]->reply_size = 10;
    server->keeps_tunnels = true;
    client->manner.keeps_tunnel = true;
}
void tunnel_idles_check(void)
{
    expect_seconds("an idle tunnel", client->plans[0]->began, client->plans[0]->ended, 3600);
}

/* The pool closes an idle connection to the server after 60 s. */
void pool_idles(void)
{
    begin(1, "", "10.0.0.1:8000");
    server->on_end = on_server_end;
    client->manner.lingers = SECONDS(100);
}
void pool_idles_check(void)
{
    expect_seconds("an idle pooled connection", client->plans[0]->ended, pool_closed_at, 60);
}

/* An exchange under way at SIGTERM has 30 s. */
static int64_t drain_from;
static void drain_now(void *unused)
{
    (void)unused;
    drain_from = world_now();
    signal_send(15);
}
void drain_is_over(void)
{
    begin(1, "", "10.0.0.1:8000");
    client->plans[0]->manner = MANNER_STALL;
    world_after(SECONDS(5), drain_now, NULL);
}
void drain_is_over_check(void)
{
    expect_seconds("draining", drain_from, client->plans[0]->ended, 30);
}

/* An answer that comes as the time runs out is passed on whole, or there is none of it. */
static struct client *late[60];
static const unsigned LATE = sizeof late / sizeof *late;
void answer_comes_at_the_end(void)
{
    begin(1, "", "10.0.0.1:8000");
    scenario_config("workers 1\n"
                    "upstream app {\n    server 10.0.0.1:8000\n}\n"
                    "upstream itself {\n    server 10.1.0.2:81\n}\n"
                    "site * {\n    listen 10.1.0.1:80\n    proxy itself http=2\n}\n"
                    "site * {\n    listen 10.1.0.2:81\n"
                    "    header remove Via on=request\n    proxy app timeout=2s\n}\n");
    for (unsigned i = 0; i < LATE; i++) {
        late[i] = scenario_client(1);
        late[i]->plans[0]->method = "POST"; /* that nobody tries again */
        late[i]->plans[0]->think = SECONDS(2) - MILLISECONDS(4) + (int64_t)i * 100000;
        late[i]->plans[0]->reply_size = i % 2 == 0 ? 0 : 3000;
        client_start(late[i], MILLISECONDS(1000) + i * 500000);
    }
}
void answer_comes_at_the_end_check(void)
{
    unsigned whole = 0;
    for (unsigned i = 0; i < LATE; i++) {
        const struct plan *plan = late[i]->plans[0];
        whole += plan->outcome == OUTCOME_WHOLE;
        if (plan->outcome != OUTCOME_WHOLE && plan->got_status != 504)
            world_broken("expectation", "request %u ends with %d and %zu bytes", plan->id,
                         plan->got_status, plan->got_bytes);
    }
    if (whole == 0 || whole == LATE)
        world_broken("expectation", "%u of %u answers came in time", whole, LATE);
}

/* A server that was down is found up again within about a second. */
static void rise(void *unused)
{
    (void)unused;
    server_return(server);
}
void server_is_back(void)
{
    begin(2, "", "10.0.0.1:8000");
    server->service.state = SERVICE_REFUSES;
    client->manner.idles = SECONDS(12);
    world_after(SECONDS(10), rise, NULL);
}
void server_is_back_check(void)
{
    scenario_expect(client->plans[0], 503, 5); /* as long as the queue holds requests */
    scenario_expect(client->plans[1], 200, 0);
}

/* An hour old, a connection says goodbye with its next answer. */
void connection_grows_old(void)
{
    begin(3, "timeouts {\n    keepalive 5000s\n}\n", "10.0.0.1:8000");
    client->manner.idles = SECONDS(1900);
}
void connection_grows_old_check(void)
{
    if (client->connections != 2 && client->plans[2]->outcome != OUTCOME_WHOLE)
        world_broken("expectation", "an hour-old connection is still in use");
    for (unsigned i = 0; i < 3; i++)
        scenario_expect(client->plans[i], 200, 0);
}
