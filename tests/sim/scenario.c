/* SPDX-License-Identifier: Apache-2.0 */
/* From a scenario to a running world and its end. */
#include "scenario.h"

#include "asking.h"
#include "cli/cli.h"
#include "descriptor.h"
#include "machine.h"
#include "memory.h"
#include "truth.h"
#include "world.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PIECES_MAX = 1024,
    LOOK_MS = 500,         /* how often the conductor looks whether all is done */
    REST_S = 200,          /* longer than any idle connection lives */
    TURNS_PER_S_MAX = 200, /* of all threads, at rest */
    START_MS = 200,        /* until weir listens */
    BUFFERS_MAX = 1024 * 1024,
};

static struct {
    const struct scenario *scenario;
    int exit_code;
    int64_t end_after, rest;
    bool has_checked, has_ended;
    bool dropped[PIECES_MAX];
    unsigned pieces;
    uint64_t turns;        /* of threads, before the rest … */
    uint64_t reads;        /* … and what they had read by then */
    void (*between)(void); /* its lives */
} stage;

void scenario_config(const char *format, ...)
{
    static char text[24576];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    files_set("/weir.conf", text);
}

void scenario_site(const char *top, const char *proxy)
{
    scenario_config("workers 1\n"
                    "log access {\n    to file:/var/log/access.log\n    format json\n}\n"
                    "%s\nsite * {\n    listen 10.1.0.1:80\n    proxy %s\n}\n",
                    top, proxy);
}

void scenario_expect(const struct plan *plan, int status, double seconds)
{
    double took = (double)(plan->ended - plan->began) / (double)SECONDS(1);
    if (plan->got_status != status)
        world_broken("expectation", "request %u: %d instead of %d", plan->id, plan->got_status,
                     status);
    if (took < seconds || took > seconds + 1)
        world_broken("deadline", "request %u took %.3f s instead of %.3f", plan->id, took, seconds);
}

struct address scenario_address(const char *text)
{
    struct address address;
    if (!address_parse(slice_from_cstring(text), 80, &address))
        world_broken("scenario", "\"%s\" is no address", text);
    return address;
}

const struct network *scenario_calm(void)
{
    static const struct network CALM = {
        .latency = MILLISECONDS(1),
        .bytes_per_ms = 100000,
        .send_buffer = 64 * 1024,
        .receive_buffer = 64 * 1024,
    };
    return &CALM;
}

struct client *scenario_client(unsigned count)
{
    struct client *client = world_alloc(sizeof *client);
    client->from = scenario_address("10.2.0.1:40000");
    client->to = scenario_address("10.1.0.1:80");
    client->network = scenario_calm();
    client->count = count;
    for (unsigned i = 0; i < count; i++) {
        client->plans[i] = plan_new();
        client->plans[i]->reply_size = 100;
    }
    return client;
}

struct server_actor *scenario_server(unsigned number)
{
    char text[32];
    snprintf(text, sizeof text, "10.0.0.%u:8000", number);
    struct server_actor *server = world_alloc(sizeof *server);
    struct address address = scenario_address(text);
    server_start(server, &address, scenario_calm());
    return server;
}

void scenario_start(struct client *client)
{
    client_start(client, MILLISECONDS(START_MS));
}

struct client *scenario_traffic(unsigned count, unsigned servers_count,
                                struct server_actor **servers)
{
    static const char *const GROUPS[] = {
        "",
        "upstream app {\n    server 10.0.0.1:8000\n}\n",
        "upstream app {\n    server 10.0.0.1:8000\n    server 10.0.0.2:8000\n}\n",
        "upstream app {\n    server 10.0.0.1:8000\n    server 10.0.0.2:8000\n"
        "    server 10.0.0.3:8000\n}\n",
    };
    scenario_site(GROUPS[servers_count], "app");
    for (unsigned i = 0; i < servers_count; i++)
        servers[i] = scenario_server(i + 1);
    struct client *client = scenario_client(count);
    scenario_start(client);
    return client;
}

struct plan *scenario_ask(struct client *client, const char *way, const char *fields,
                          int own_status)
{
    struct plan *plan = client->plans[client->count++] = plan_new();
    plan->reply_size = 100;
    plan->way = way;
    plan->fields = fields;
    plan->own_status = own_status;
    return plan;
}

void scenario_body(struct plan *plan, const char *method, enum plan_body kind, size_t size)
{
    plan->method = method;
    plan->body = kind;
    plan->body_size = size;
}

static void look_at_pause(void *argument)
{
    uint64_t written = server_written(argument);
    if (written > BUFFERS_MAX)
        world_broken("pause", "a server could write %llu bytes while nobody read them",
                     (unsigned long long)written);
}

void scenario_expect_pause(const struct server_actor *server, int seconds)
{
    world_after(SECONDS(seconds), look_at_pause, (void *)(uintptr_t)server);
}

void scenario_descriptors(unsigned limit)
{
    descriptor_limit(limit);
}

void scenario_end_after(int64_t ns)
{
    stage.end_after = ns;
}

void scenario_lives_again(void (*between)(void))
{
    stage.between = between;
}

void scenario_rests_for(int64_t ns)
{
    stage.end_after = stage.rest = ns;
}

static bool is_small;
void scenario_be_small(bool small)
{
    is_small = small;
}

bool scenario_is_small(void)
{
    return is_small;
}

bool scenario_keeps(unsigned i)
{
    if (i >= PIECES_MAX)
        return true;
    stage.pieces = i + 1 > stage.pieces ? i + 1 : stage.pieces;
    return !stage.dropped[i];
}

void scenario_drop(const bool *dropped, unsigned count)
{
    memcpy(stage.dropped, dropped, (count < PIECES_MAX ? count : PIECES_MAX) * sizeof *dropped);
}

unsigned scenario_pieces(void)
{
    return stage.pieces;
}

static void run_weir(void *argument)
{
    (void)argument;
    stage.exit_code = run_configuration((struct slice){NULL, 0}, "/weir.conf");
}

static void end_weir(void *argument)
{
    (void)argument;
    if (stage.end_after >= stage.rest) {
        truth_at_rest();
        /* Answers to checks may come byte by byte. */
        uint64_t turns = machine_turns() - stage.turns - (wire_reads() - stage.reads);
        if (turns > TURNS_PER_S_MAX * (uint64_t)(stage.end_after / SECONDS(1)))
            world_broken("spin", "weir takes %llu turns in %lld s though nobody wants anything",
                         (unsigned long long)turns, (long long)(stage.end_after / SECONDS(1)));
    }
    if (!stage.has_ended)
        signal_send(SIGTERM);
}

static void look_at_clients(void)
{
    if (stage.between != NULL)
        return;
    if (stage.scenario->check != NULL && !world_is_tortured() && !stage.has_checked)
        stage.scenario->check();
    stage.has_checked = true;
}

static void conduct(void *argument)
{
    if (stage.has_ended)
        return;
    truth_any_time();
    if (!clients_are_done() || !askings_are_done()) {
        world_after(MILLISECONDS(LOOK_MS), conduct, argument);
        return;
    }
    look_at_clients();
    stage.turns = machine_turns();
    stage.reads = wire_reads();
    world_after(stage.end_after, end_weir, NULL);
}

/* Weir has ended; what it said last is still on its way to the clients. */
static void see_clients_off(void)
{
    stage.has_ended = true;
    actors_expect_trouble(); /* nobody is there to answer what comes next */
    while ((!clients_are_done() || !askings_are_done()) && world_next() != CLOCK_NEVER)
        world_step();
    look_at_clients();
}

/* From its start to its end. */
static void live(void)
{
    world_after(MILLISECONDS(LOOK_MS), conduct, NULL);
    machine_run(run_weir, NULL);
    truth_after_end(stage.exit_code);
}

void scenario_run(const struct scenario *scenario, uint64_t seed, bool quiet)
{
    truth_before();
    world_begin(seed);
    stage.scenario = scenario;
    stage.end_after = stage.rest = SECONDS(REST_S);
    stage.pieces = 0;
    stage.between = NULL;
    scenario->set_up();
    if (world_is_tortured())
        actors_expect_trouble();
    int64_t began = world_now();
    live();
    while (stage.between != NULL) {
        void (*between)(void) = stage.between;
        stage.between = NULL;
        stage.has_ended = false;
        signals_forget();
        between();
        live();
    }
    see_clients_off();
    truth_in_the_log();
    if (!quiet)
        printf("%-24s seed %-6llu %6u requests %8llu events %8.1f s of time  hash %016llx\n",
               scenario->name, (unsigned long long)seed, plans_count(),
               (unsigned long long)world_events(),
               (double)(world_now() - began) / (double)SECONDS(1),
               (unsigned long long)world_hash());
}
