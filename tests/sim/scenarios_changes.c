/* SPDX-License-Identifier: Apache-2.0 */
/* What changes while weir runs: log files, and whether it goes on at all; and the ways through a
 * site. */
#include "scenarios.h"

#include "routes.h"
#include "world.h"

#include <signal.h>
#include <string.h>

static struct client *client;
static struct server_actor *server;
static struct client *crowd[40];
static const unsigned CROWD = sizeof crowd / sizeof *crowd;

enum {
    APART_NS = 3000, /* turns are longer */
};

static void begin(unsigned count)
{
    scenario_site("upstream app {\n    server 10.0.0.1:8000\n}\n", "app");
    server = scenario_server(1);
    client = scenario_client(count);
    scenario_start(client);
}

static void ways(const char *method, enum plan_body kind, size_t size, enum front front)
{
    begin(0);
    routes_set_authority();
    scenario_config("log access {\n    to file:/var/log/access.log\n}\n"
                    "trusted_proxies 10.2.0.0/16 10.1.0.0/16\n"
                    "upstream app {\n    server 10.0.0.1:8000\n}\n"
                    "%s%s",
                    routes_front(front), routes_text(routes_listen(front), ""));
    for (unsigned i = 0; i < routes_count(); i++) {
        struct plan *plan = client->plans[client->count++] = plan_new();
        plan->method = method;
        plan->body = kind;
        plan->body_size = size;
        plan->reply_size = 100;
        routes_take(plan, i, front);
    }
}

void all_ways(void)
{
    ways("GET", BODY_NONE, 0, FRONT_NONE);
}

/* Also where weir answers by itself: the body is read over. */
void ways_of_bodies(void)
{
    ways("PUT", BODY_CHUNKED, 5000, FRONT_NONE);
}

/* Weir asks itself over HTTP/2, and only then a server. */
void ways_of_h2(void)
{
    ways("GET", BODY_NONE, 0, FRONT_H2);
}

void bodies_of_h2(void)
{
    ways("PUT", BODY_CHUNKED, 5000, FRONT_H2);
    for (unsigned i = 0; i < client->count; i += 3)
        client->plans[i]->body_size = 60;
    for (unsigned i = 1; i < client->count; i += 3)
        client->plans[i]->body = BODY_LENGTH;
    client->plans[0]->reply_size = 300000;
    client->plans[1]->body_size = 300000;
}

static void behind(enum front front, unsigned count)
{
    begin(count);
    routes_set_authority();
    scenario_config("workers 1\n"
                    "trusted_proxies 10.1.0.0/16\n"
                    "log access {\n    to file:/var/log/access.log\n}\n"
                    "upstream app {\n    server 10.0.0.1:8000\n}\n"
                    "%s%s",
                    routes_front(front), routes_text(routes_listen(front), ""));
}

static void behind_h2(unsigned count)
{
    behind(FRONT_H2, count);
}

void h2_get(void)
{
    behind_h2(1);
}

static void grpc(struct plan *plan)
{
    plan->method = "POST";
    plan->body = BODY_CHUNKED;
    plan->body_size = 100;
    static const char *const FIELDS[] = {
        "Content-Type: application/grpc+proto\r\nTE: trailers\r\ngrpc-timeout: 7S\r\n",
        "Content-Type: application/grpc\r\nTE: trailers\r\ngrpc-timeout: 900m\r\n",
        "Content-Type: application/grpc;a=b\r\nTE: trailers\r\ngrpc-timeout: 7000000u\r\n",
        "Content-Type: application/grpc\r\nTE: trailers\r\ngrpc-timeout: 1H\r\n",
        "Content-Type: application/grpc\r\nTE: trailers\r\n",
        "Content-Type: application/grpc\r\nTE: trailers\r\ngrpc-timeout: 1M\r\n",
        "Content-Type: application/grpc\r\nTE: trailers\r\ngrpc-timeout: 99999999n\r\n",
    };
    plan->fields = FIELDS[plan->id % 7];
}

/* Calls of gRPC are told in its own way what went wrong. */
void h2_grpc_fails(void)
{
    static const enum manner MANNERS_OF[] = {MANNER_HANG_UP, MANNER_STALL, MANNER_GARBAGE,
                                             MANNER_SHORT, MANNER_STALL_INSIDE};
    behind_h2(5);
    for (unsigned i = 0; i < 5; i++) {
        grpc(client->plans[i]);
        client->plans[i]->manner = MANNERS_OF[i];
        client->plans[i]->manner_stays = true;
        client->plans[i]->manner_at = 170;
    }
    actors_expect_trouble();
}

void h2_grpc(void)
{
    static const struct {
        const char *way;
        int own_status;
    } CALLS[] = {{"", 0},          {"/strip/deep", 403}, {"/paged", 404}, {"/re1", 410},
                 {"/inside", 421}, {"/strip", 0},        {"/canary", 308}};
    behind_h2(7);
    for (unsigned i = 0; i < 7; i++) {
        struct plan *plan = client->plans[i];
        grpc(plan);
        plan->way = CALLS[i].way;
        plan->own_status = CALLS[i].own_status;
        plan->arrives = i == 5 ? "" : NULL;
    }
}

void h2_crowd(void)
{
    behind_h2(4);
    for (unsigned i = 0; i < CROWD; i++) {
        crowd[i] = scenario_client(3);
        crowd[i]->plans[1]->reply_size = i % 4 == 0 ? 3000 * i : i;
        crowd[i]->plans[2]->method = "POST";
        crowd[i]->plans[2]->body = BODY_CHUNKED;
        crowd[i]->plans[2]->body_size = i % 4 == 1 ? 5000 * i : i;
        client_start(crowd[i], MILLISECONDS(300) + 1000 * i);
    }
}

void h2_upgrade(void)
{
    behind_h2(1);
    client->plans[0]->upgrades = true;
    client->plans[0]->status = 101;
    client->plans[0]->body_size = 4000;
    client->plans[0]->reply_size = 5000;
}

void h2_client_leaves(void)
{
    behind_h2(2);
    client->plans[0]->reply_size = 2000000;
    client->manner.leaves_at = 100000;
}

void h2_paused_reader(void)
{
    behind_h2(1);
    client->plans[0]->reply_size = 1300000;
    client->manner.pauses_at = 1000;
    client->manner.pauses_for = SECONDS(20);
    scenario_expect_pause(server, 10);
}

void h2_server_misbehaves(void)
{
    static const enum manner MANNERS_OF[] = {MANNER_SHORT, MANNER_RESET,      MANNER_HANG_UP,
                                             MANNER_LONG,  MANNER_GARBAGE,    MANNER_EARLY,
                                             MANNER_CLOSE, MANNER_EARLY_CLOSE};
    behind_h2(8);
    for (unsigned i = 0; i < 8; i++) {
        client->plans[i]->manner = MANNERS_OF[i];
        client->plans[i]->manner_at = 200;
        client->plans[i]->reply_size = 1000;
        client->plans[i]->method = i % 2 == 0 ? "GET" : "POST";
        client->plans[i]->body = i % 2 == 0 ? BODY_NONE : BODY_CHUNKED;
        client->plans[i]->body_size = i % 2 == 0 ? 0 : 30000;
    }
    actors_expect_trouble();
}

static void move_log(void *unused)
{
    (void)unused;
    files_move("/var/log/access.log", "/var/log/access.log.1");
    signal_send(SIGUSR1);
}

void log_is_reopened(void)
{
    begin(6);
    client->manner.idles = SECONDS(2);
    world_after(SECONDS(5), move_log, NULL);
}
void log_is_reopened_check(void)
{
    size_t old, new;
    files_text("/var/log/access.log.1", &old);
    files_text("/var/log/access.log", &new);
    if (old == 0 || new == 0)
        world_broken("log", "%zu bytes are in the old file, %zu in the new one", old, new);
    for (unsigned i = 0; i < client->count; i++)
        if (client->plans[i]->outcome != OUTCOME_WHOLE)
            world_broken("service", "request %u was lost", client->plans[i]->id);
}

static void lose_another_file(void *unused)
{
    (void)unused;
    files_set("/other.txt", NULL);
    signal_send(SIGUSR1);
}

/* The log is opened anew under its own name: it goes on where it was, whatever else is gone. */
void log_goes_on(void)
{
    begin(6);
    files_set("/other.txt", "older than the log");
    client->manner.idles = SECONDS(2);
    world_after(SECONDS(5), lose_another_file, NULL);
}

static void end_now(void *unused)
{
    (void)unused;
    signal_send(SIGTERM);
}

/* What is under way at the end is answered, and told that it was the last. */
void drain_says_close(void)
{
    begin(3);
    client->plans[1]->think = SECONDS(4);
    client->manner.pipelined = 1;
    world_after(SECONDS(2), end_now, NULL);
    actors_expect_trouble();
}
void drain_says_close_check(void)
{
    if (client->plans[1]->outcome != OUTCOME_WHOLE || !client->plans[1]->got_goodbye)
        world_broken("expectation", "what ran at the end was not answered with a goodbye");
    if (client->plans[2]->heads > 0)
        world_broken("expectation", "a connection went on after the end");
}

/* Who was connected before the end is served, also while it waits to be accepted. */
void drain_takes_who_waits(void)
{
    begin(1);
    scenario_config("workers 3\nsite * {\n    listen 10.1.0.1:80\n    proxy 10.0.0.1:8000\n}\n");
    for (unsigned i = 0; i < CROWD; i++) {
        crowd[i] = scenario_client(1);
        client_start(crowd[i], MILLISECONDS(500) + i * APART_NS);
    }
    /* The moment at which they begin to arrive: workers hear of the end while others still do. */
    world_after(MILLISECONDS(500) + scenario_calm()->latency, end_now, NULL);
    actors_expect_trouble();
}
void drain_takes_who_waits_check(void)
{
    for (unsigned i = 0; i < CROWD; i++) {
        bool was_refused = crowd[i]->connections_made == 0;
        if (!was_refused && crowd[i]->plans[0]->outcome != OUTCOME_WHOLE)
            world_broken("service", "request %u was connected before the end, and lost",
                         crowd[i]->plans[0]->id);
    }
}

/* TLS between weir and itself: a plain one here, but all that stands above it is real. */
void ways_of_tls(void)
{
    ways("GET", BODY_NONE, 0, FRONT_TLS);
}

void bodies_of_tls(void)
{
    ways("PUT", BODY_CHUNKED, 5000, FRONT_TLS_H1);
    client->plans[0]->reply_size = 300000;
    client->plans[1]->body_size = 300000;
}

void tls_get(void)
{
    behind(FRONT_TLS, 1);
}

void tls_h1_get(void)
{
    behind(FRONT_TLS_H1, 2);
    client->plans[1]->reply_size = 100000;
}

void tls_upgrade(void)
{
    behind(FRONT_TLS_H1, 1);
    client->plans[0]->upgrades = true;
    client->plans[0]->status = 101;
    client->plans[0]->body_size = 4000;
    client->plans[0]->reply_size = 5000;
}

void tls_paused_reader(void)
{
    behind(FRONT_TLS_H1, 1);
    client->plans[0]->reply_size = 1300000;
    client->manner.pauses_at = 1000;
    client->manner.pauses_for = SECONDS(20);
    scenario_expect_pause(server, 10);
}

/* A client of TLS that never says hello has ten seconds. */
void handshake_never_begins(void)
{
    behind(FRONT_TLS, 1);
    client->to = scenario_address("10.1.0.2:443");
    client->manner.stops_at = 1;
    client->manner.piece = 1;
    actors_expect_trouble();
}
void handshake_never_begins_check(void)
{
    double took = (double)(client->done_at - client->plans[0]->began) / (double)SECONDS(1);
    if (took < 9.5 || took > 11)
        world_broken("deadline", "a handshake took %.3f s instead of 10", took);
}

/* Who waits for a server gets it the moment it is free, in the order of coming. */
void queue_moves_on(void)
{
    begin(1);
    scenario_config("workers 1\nupstream app {\n    server 10.0.0.1:8000 max_conns=1\n}\n"
                    "site * {\n    listen 10.1.0.1:80\n    proxy app\n}\n");
    client->plans[0]->think = SECONDS(1);
    for (unsigned i = 0; i < 4; i++) {
        crowd[i] = scenario_client(1);
        crowd[i]->plans[0]->think = MILLISECONDS(20);
        client_start(crowd[i], MILLISECONDS(300 + 50 * i));
    }
}
void queue_moves_on_check(void)
{
    int64_t last = client->plans[0]->ended;
    for (unsigned i = 0; i < 4; i++) {
        int64_t ended = crowd[i]->plans[0]->ended;
        if (ended < last || ended > last + MILLISECONDS(40))
            world_broken("expectation", "number %u of the queue was served %lld ms after the last",
                         i, (long long)((ended - last) / MILLISECONDS(1)));
        last = ended;
    }
}

/* All who wait for a server leave in the same moment, also whose turn it has just become. */
void queue_is_left(void)
{
    begin(1);
    scenario_config("workers 1\nupstream app {\n    server 10.0.0.1:8000 max_conns=1\n}\n"
                    "site * {\n    listen 10.1.0.1:80\n    proxy app\n}\n");
    client->plans[0]->think = SECONDS(3);
    for (unsigned i = 0; i < 4; i++) {
        crowd[i] = scenario_client(1);
        crowd[i]->manner.leaves_after = SECONDS(1);
        crowd[i]->manner.leaves_rudely = true;
        client_start(crowd[i], MILLISECONDS(300));
    }
}
void queue_is_left_check(void)
{
    for (unsigned i = 0; i < 4; i++)
        if (crowd[i]->plans[0]->heads > 0)
            world_broken("expectation", "number %u of the queue was served", i);
    scenario_expect(client->plans[0], 200, 3);
}

static void jump(void *unused)
{
    (void)unused;
    world_jump_wall(-SECONDS(86400));
}

void clock_goes_back(void)
{
    begin(5);
    client->manner.idles = SECONDS(1);
    world_after(SECONDS(2), jump, NULL);
}
