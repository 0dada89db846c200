/* SPDX-License-Identifier: Apache-2.0 */
/* Which server is asked: found, chosen, looked at, spared, copied to. */
#include "scenarios.h"

#include "net/resolver.h"
#include "truth.h"
#include "world.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static struct client *client;
static struct client *crowd[40];
static unsigned crowd_size;
static struct server_actor *servers[3];
static struct aside aside;

/* Three servers, one client; `lines` in the upstream. */
static void begin(unsigned count, const char *lines, const char *proxy)
{
    char text[1024];
    snprintf(text, sizeof text, "upstream app {\n%s}\n", lines);
    scenario_site(text, proxy);
    for (unsigned i = 0; i < 3; i++)
        servers[i] = scenario_server(i + 1);
    client = scenario_client(count);
    scenario_start(client);
}

static const char THREE[] = "    server 10.0.0.1:8000\n    server 10.0.0.2:8000\n"
                            "    server 10.0.0.3:8000\n";

static void begin_three(unsigned count, const char *lines, const char *proxy)
{
    char text[1024];
    snprintf(text, sizeof text, "%s%s", THREE, lines);
    begin(count, text, proxy);
}

static void crowd_comes(unsigned size, unsigned count, int64_t at, int64_t every)
{
    crowd_size = size;
    for (unsigned i = 0; i < size; i++) {
        crowd[i] = scenario_client(count);
        char from[32];
        snprintf(from, sizeof from, "10.2.7.%u:4000", i + 1);
        crowd[i]->from = scenario_address(from);
        client_start(crowd[i], at + every * i);
    }
}

static void expect_home(const struct client *one)
{
    for (unsigned i = 1; i < one->count; i++)
        if (one->plans[i]->server != one->plans[0]->server)
            world_broken("expectation", "request %u left the server of %u", one->plans[i]->id,
                         one->plans[0]->id);
}

static void expect_many_homes(void)
{
    unsigned homes[3] = {0};
    for (unsigned i = 0; i < crowd_size; i++)
        for (unsigned k = 0; k < 3; k++)
            homes[k] += crowd[i]->plans[0]->server == servers[k];
    if (homes[0] == 0 || homes[1] == 0 || homes[2] == 0)
        world_broken("expectation", "the crowd went to %u, %u and %u", homes[0], homes[1],
                     homes[2]);
}

/* Whoever brings the cookie comes to the server that gave it. */
void sticky_cookie(void)
{
    begin_three(1, "    balance round_robin\n    sticky cookie ttl=1h\n", "app");
    crowd_comes(15, 3, MILLISECONDS(300), MILLISECONDS(3));
    for (unsigned i = 0; i < crowd_size; i++)
        crowd[i]->manner.keeps_cookies = true;
}
void sticky_cookie_check(void)
{
    for (unsigned i = 0; i < crowd_size; i++)
        expect_home(crowd[i]);
    expect_many_homes();
}

/* The same by address: no cookie is needed. */
void sticky_address(void)
{
    begin_three(1, "    balance ip_hash load=off\n", "app");
    crowd_comes(15, 2, MILLISECONDS(300), MILLISECONDS(3));
}
void sticky_address_check(void)
{
    for (unsigned i = 0; i < crowd_size; i++)
        expect_home(crowd[i]);
    expect_many_homes();
}

/* The home is gone: the client moves, and its new home is told. */
static void home_falls(void *unused)
{
    (void)unused;
    for (unsigned i = 0; i < 3; i++)
        if (client->plans[0]->server == servers[i])
            server_stop(servers[i], SERVICE_REFUSES, true);
}
void sticky_home_falls(void)
{
    begin_three(8, "    balance round_robin\n    sticky cookie\n", "app");
    client->manner.keeps_cookies = true;
    client->manner.idles = SECONDS(1);
    world_after(MILLISECONDS(3500), home_falls, NULL);
}
void sticky_home_falls_check(void)
{
    const void *first = client->plans[0]->server;
    const void *last = client->plans[7]->server;
    if (client->plans[2]->server != first || last == first || client->plans[6]->server != last)
        world_broken("expectation", "a client whose server fell did not move once");
}

/* The slow server is asked first, a second one answers. */
void hedge_wins(void)
{
    begin_three(6, "    balance round_robin\n", "app hedge=50ms");
    for (unsigned i = 0; i < 6; i++) {
        client->plans[i]->manner = MANNER_STALL;
        client->plans[i]->reply_size = 5000;
    }
}
void hedge_wins_check(void)
{
    for (unsigned i = 0; i < 6; i++) {
        const struct plan *plan = client->plans[i];
        int64_t took = plan->ended - plan->began;
        if (plan->heads != 2 || plan->outcome != OUTCOME_WHOLE || took < MILLISECONDS(50) ||
            took > MILLISECONDS(80))
            world_broken("expectation", "request %u was asked %u times and took %lld ms", plan->id,
                         plan->heads, (long long)(took / MILLISECONDS(1)));
    }
}

/* A try that takes too long is cut short, and another server asked. */
void try_is_cut_short(void)
{
    begin_three(4, "    balance round_robin\n", "app try_timeout=1s");
    for (unsigned i = 0; i < 4; i++)
        client->plans[i]->manner = MANNER_STALL;
    client->plans[3]->method = "POST"; /* of which nobody knows what it did */
    client->plans[3]->body = BODY_LENGTH;
    actors_expect_trouble();
}
void try_is_cut_short_check(void)
{
    for (unsigned i = 0; i < 3; i++) {
        scenario_expect(client->plans[i], 200, 1);
        if (client->plans[i]->heads != 2)
            world_broken("expectation", "request %u was asked %u times", i,
                         client->plans[i]->heads);
    }
    scenario_expect(client->plans[3], 504, 1);
}

/* Each is hedged but a POST, a request with a body, and what was answered in time. */
void hedge_is_for_the_safe(void)
{
    begin_three(4, "    balance round_robin\n", "app hedge=50ms");
    for (unsigned i = 0; i < 4; i++)
        client->plans[i]->think = MILLISECONDS(i == 3 ? 20 : 200);
    client->plans[0]->method = "POST";
    client->plans[0]->body = BODY_LENGTH;
    client->plans[1]->method = "PUT";
    client->plans[1]->body = BODY_LENGTH;
    client->plans[1]->body_size = 10;
    client->plans[2]->method = "DELETE";
}
void hedge_is_for_the_safe_check(void)
{
    for (unsigned i = 0; i < 4; i++)
        if (client->plans[i]->heads != 1)
            world_broken("expectation", "%s %u was sent to two servers", client->plans[i]->method,
                         client->plans[i]->id);
}

/* More than the breaker takes is answered at once. */
void breaker_refuses(void)
{
    begin_three(1, "    breaker requests=10\n", "app");
    crowd_comes(15, 1, MILLISECONDS(300), 1000);
    for (unsigned i = 0; i < crowd_size; i++)
        crowd[i]->plans[0]->think = SECONDS(1);
    client->plans[0]->think = 0;
    actors_expect_trouble();
}
void breaker_refuses_check(void)
{
    unsigned served = 0;
    for (unsigned i = 0; i < crowd_size; i++) {
        const struct plan *plan = crowd[i]->plans[0];
        served += plan->outcome == OUTCOME_WHOLE;
        if (plan->outcome != OUTCOME_WHOLE && plan->ended - plan->began > MILLISECONDS(20))
            world_broken("expectation", "request %u waited to be refused", plan->id);
    }
    if (served != 10)
        world_broken("expectation", "%u of 10 requests were let in", served);
}

/* A pause of the servers lowers the limit, and it comes back. */
void limit_adapts(void)
{
    begin_three(40, "    adaptive_limit 60 min=2\n", "app");
    client->manner.idles = MILLISECONDS(100);
    for (unsigned i = 10; i < 20; i++)
        client->plans[i]->think = MILLISECONDS(400);
    crowd_comes(40, 3, SECONDS(2), 1000);
    for (unsigned i = 0; i < crowd_size; i++)
        for (unsigned k = 0; k < 3; k++)
            crowd[i]->plans[k]->think = MILLISECONDS(k < 2 ? 300 : 1);
    actors_expect_trouble();
}
void limit_adapts_check(void)
{
    unsigned refused = 0;
    for (unsigned i = 0; i < crowd_size; i++)
        for (unsigned k = 0; k < 3; k++)
            refused += crowd[i]->plans[k]->got_status == 503;
    if (refused == 0)
        world_broken("expectation", "servers became slow and nobody was refused");
    if (client->plans[39]->outcome != OUTCOME_WHOLE)
        world_broken("expectation", "the limit did not come back");
}

/* A server whose check fails is asked no more until it is well. */
static void fall_ill(void *unused)
{
    (void)unused;
    aside.is_unwell = !aside.is_unwell;
}
static unsigned asked_while_ill, asked_before;
static void note_before(void *unused)
{
    (void)unused;
    asked_before = servers[0]->requests;
}
static void note_ill(void *unused)
{
    (void)unused;
    asked_while_ill = servers[0]->requests - asked_before;
}
void health_check_fails(void)
{
    static struct aside well[2];
    begin_three(40,
                "    balance round_robin\n    slow_start off\n    keepalive 8 idle=5s\n"
                "    health_check /healthz port=8001 interval=1s body=^I.am.well$\n",
                "app");
    aside_start(&aside, "10.0.0.1:8001", scenario_calm());
    aside_start(&well[0], "10.0.0.2:8001", scenario_calm());
    aside_start(&well[1], "10.0.0.3:8001", scenario_calm());
    client->manner.idles = SECONDS(1);
    world_after(SECONDS(4), fall_ill, NULL);
    world_after(SECONDS(10), note_before, NULL);
    world_after(SECONDS(20), note_ill, NULL);
    world_after(SECONDS(20), fall_ill, NULL);
    truth_looks(3);
    scenario_rests_for(SECONDS(20));
}
void health_check_fails_check(void)
{
    if (asked_while_ill > 0)
        world_broken("expectation", "a server that is unwell was asked %u times", asked_while_ill);
    if (servers[0]->requests <= asked_before)
        world_broken("expectation", "a server that is well again is not asked");
}

/* Each request has its copy, whole; a mirror that never answers is no trouble. */
static void copies(bool is_mute)
{
    begin(12, "    server 10.0.0.1:8000\n", "app");
    scenario_config("log access {\n    to file:/var/log/access.log\n    format json\n}\n"
                    "site * {\n    listen 10.1.0.1:80\n"
                    "    mirror 10.0.0.9:8000 body_size=10KiB timeout=5s\n"
                    "    proxy 10.0.0.1:8000\n}\n");
    aside.gets_copies = true;
    aside_start(&aside, "10.0.0.9:8000", scenario_calm());
    aside.is_mute = is_mute;
    static const size_t SIZES[] = {0, 1, 5000, 10240, 10241, 40000};
    for (unsigned i = 0; i < 12; i++) {
        struct plan *plan = client->plans[i];
        plan->method = i == 0 ? "GET" : "POST";
        plan->body = i == 0 ? BODY_NONE : i < 6 ? BODY_LENGTH : BODY_CHUNKED;
        plan->body_size = SIZES[i % 6];
    }
}
void copies_are_sent(void)
{
    copies(false);
}
void copies_are_sent_check(void)
{
    for (unsigned i = 0; i < 12; i++)
        if (client->plans[i]->copies != (client->plans[i]->body_size <= 10240))
            world_broken("expectation", "%u copies of request %u with %zu bytes",
                         client->plans[i]->copies, client->plans[i]->id,
                         client->plans[i]->body_size);
}
void copies_wait_for_nobody(void)
{
    copies(true);
}

/* Two ways, by weight, and always the same one for a client. */
void split_by_client(void)
{
    begin(1, "    server 10.0.0.1:8000\n", "app");
    scenario_config("upstream one {\n    server 10.0.0.1:8000\n}\n"
                    "upstream two {\n    server 10.0.0.2:8000\n}\n"
                    "site * {\n    listen 10.1.0.1:80\n"
                    "    split by={client_ip} {\n"
                    "        proxy one weight=3\n        proxy two weight=1\n    }\n}\n");
    crowd_comes(12, 2, MILLISECONDS(300), 1000);
}
void split_by_client_check(void)
{
    unsigned ones = 0;
    for (unsigned i = 0; i < crowd_size; i++) {
        expect_home(crowd[i]);
        ones += crowd[i]->plans[0]->server == servers[0];
    }
    if (ones < crowd_size / 2 || ones == crowd_size)
        world_broken("expectation", "%u of %u clients went the way of three quarters", ones,
                     crowd_size);
}

/* Servers of a file come and go; half a line is waited for. */
static void write_other(void *unused)
{
    (void)unused;
    files_set("/servers.txt", "10.0.0.2:8000\n10.0.0.3:8000 weight=2\n");
}
static void write_torn(void *unused)
{
    (void)unused;
    files_set("/servers.txt", "10.0.0.1:80 {{\n");
}
void file_of_servers(void)
{
    begin(30, "    balance round_robin\n    slow_start off\n    discover file /servers.txt\n",
          "app");
    files_set("/servers.txt", "10.0.0.1:8000\n");
    client->manner.idles = SECONDS(1);
    world_after(SECONDS(10), write_other, NULL);
    world_after(SECONDS(20), write_torn, NULL);
}
void file_of_servers_check(void)
{
    for (unsigned i = 0; i < 30; i++) {
        bool is_first = client->plans[i]->server == servers[0];
        int64_t began = client->plans[i]->began - SECONDS(1000);
        if (began < SECONDS(10) ? !is_first : began > SECONDS(11) && is_first)
            world_broken("expectation", "request %u went to the wrong server", i);
    }
    if (servers[1]->requests == 0 || servers[2]->requests <= servers[1]->requests)
        world_broken("expectation", "%u and %u requests where 1 and 2 are shares",
                     servers[1]->requests, servers[2]->requests);
}

/* The records of a service change, then fail: who was there stays. */
static void move_service(void *unused)
{
    (void)unused;
    struct resolver_service service = {.host = "two.sim", .port = 8000};
    names_set_services("_http._tcp.app.sim", &service, 1);
}
static void lose_service(void *unused)
{
    (void)unused;
    names_set_services("_http._tcp.app.sim", NULL, 0);
}
void service_moves(void)
{
    struct address one = scenario_address("10.0.0.1:8000");
    struct address two = scenario_address("10.0.0.2:8000");
    struct resolver_service services[2] = {{.host = "one.sim", .port = 8000},
                                           {.host = "two.sim", .port = 8000, .priority = 1}};
    names_set("one.sim", &one, 1);
    names_set("two.sim", &two, 1);
    names_set_services("_http._tcp.app.sim", services, 2);
    begin(30, "    discover srv _http._tcp.app.sim\n", "app");
    client->manner.idles = SECONDS(1);
    client_start(scenario_client(1), SECONDS(1));
    world_after(SECONDS(10), move_service, NULL);
    world_after(SECONDS(20), lose_service, NULL);
    actors_expect_trouble(); /* the first request may come before the names */
}
void service_moves_check(void)
{
    for (unsigned i = 1; i < 30; i++) {
        int64_t began = client->plans[i]->began - SECONDS(1000);
        const void *right = began < SECONDS(10) ? servers[0] : servers[1];
        bool is_between = began >= SECONDS(10) && began < SECONDS(16);
        if (client->plans[i]->outcome != OUTCOME_WHOLE ||
            (!is_between && client->plans[i]->server != right))
            world_broken("expectation", "request %u went to the wrong server", i);
    }
}

/* Told to end again and again, also while the last of it goes. */
static void tell_again(void *unused)
{
    signal_send(SIGTERM);
    world_after(world_between(1, 20000), tell_again, unused);
}
void end_said_again(void)
{
    begin_three(3, "    health_check /healthz port=8001 interval=1s\n", "app");
    scenario_config("workers 3\nupstream app {\n%s"
                    "    health_check /healthz port=8001 interval=1s\n}\n"
                    "site * {\n    listen 10.1.0.1:80\n    proxy app\n}\n",
                    THREE);
    aside_start(&aside, "10.0.0.1:8001", scenario_calm());
    aside.is_mute = true;
    client->manner.idles = SECONDS(1);
    world_after(SECONDS(2) + world_between(0, SECONDS(1)), tell_again, NULL);
    actors_expect_trouble();
}
