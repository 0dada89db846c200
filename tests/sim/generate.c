/* SPDX-License-Identifier: Apache-2.0 */
/* Scenarios drawn from the seed: a configuration, a network, servers, clients, and in most of them
 * trouble. Everything is drawn before anything is left out, so that leaving out a piece changes
 * nothing about the others. */
#include "generate.h"
#include "content.h"
#include "introduction.h"
#include "routes.h"
#include "scenario.h"
#include "truth.h"
#include "world.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

enum {
    CLIENTS_MAX = 24,
    TROUBLES_MAX = 6,
    REQUESTS_MAX = 20, /* of a client */
    PIECES_OF_CLIENT = REQUESTS_MAX + 1,
    PIECE_TROUBLES = CLIENTS_MAX * PIECES_OF_CLIENT,
    PIECE_RELOAD = PIECE_TROUBLES + TROUBLES_MAX,
    CALM_PERCENT = 30,
    SPARE_SERVERS = 2, /* of an upstream that a reload adds */
    DRAIN_S = 35,      /* what tunnels and connections of weir to itself may take at the end */
};

static struct {
    bool is_calm;
    struct server_actor servers[SERVERS_MAX];
    unsigned servers_count;
    enum front front;
    struct network client_side, server_side, inside;
    bool is_introduced; /* clients come through a proxy that says who they are */
    const char *config;
} drawn;

static void draw_network(struct network *network)
{
    static const size_t BUFFERS[] = {256, 4096, 16 * 1024, 64 * 1024, 200 * 1024};
    uint32_t least = drawn.is_calm ? 2 : 0;
    int64_t slowest = MILLISECONDS(world_chance(20) && !drawn.is_calm ? 100 : 2);
    *network = (struct network){0};
    network->latency = world_between(1000, slowest);
    network->jitter = world_between(0, MILLISECONDS(2));
    network->bytes_per_ms = (uint64_t)world_between(200, 1000000);
    network->split = world_chance(40) ? (drawn.is_calm ? 50 : 1) + world_below(60) : 0;
    network->send_buffer = BUFFERS[least + world_below(5 - least)];
    network->receive_buffer = BUFFERS[least + world_below(5 - least)];
}

static void draw_config(void)
{
    unsigned first = world_chance(25) ? world_below(SERVERS_MAX) : 0;
    for (unsigned i = 0; i < drawn.servers_count; i++) {
        struct address place = scenario_address(generate_server_place((first + i) % SERVERS_MAX));
        server_start(&drawn.servers[i], &place, &drawn.server_side);
    }
    struct address named = scenario_address("10.0.0.3:8000");
    names_set("app.sim", &named, 1);
    /* One draw at a time: compilers differ in the order of arguments. */
    const char *upstream =
        generate_upstream(first, drawn.servers_count, drawn.is_calm, &drawn.server_side);
    const char *options = generate_options(drawn.is_calm);
    const char *lines = generate_lines(drawn.is_calm, &drawn.server_side);
    const char *content = content_top(drawn.is_calm, &drawn.server_side);
    unsigned workers = 1 + world_below(3);
    unsigned keepalive = drawn.is_calm ? 75 : 1 + world_below(75);
    unsigned client_write = 5 + world_below(56);
    drawn.front = world_chance(40) ? (enum front)world_below(FRONTS) : FRONT_NONE;
    drawn.is_introduced = world_chance(20) && drawn.front == FRONT_NONE;
    int version = world_chance(12) ? 1 + (int)world_below(2) : 0;
    if (version > 0)
        generate_introduced(version);
    for (unsigned i = 0; i < drawn.servers_count; i++)
        drawn.servers[i].introduced = version;
    char introduced[64];
    snprintf(introduced, sizeof introduced, "    proxy_protocol v%d\n}\n", version);
    if (drawn.front >= FRONT_TLS)
        routes_set_authority();
    if (drawn.front != FRONT_NONE)
        truth_end_within(DRAIN_S);
    char listen[6 * 1024];
    snprintf(listen, sizeof listen, "%s%s%s%s", routes_listen(drawn.front),
             drawn.is_introduced ? " proxy_protocol" : "", lines, content_routes(options));
    scenario_config("workers %u\n"
                    "trusted_proxies 10.2.0.0/16 10.1.0.0/16\n"
                    "log access {\n    to file:/var/log/access.log\n    format json\n}\n"
                    "%s%.*s%s"
                    "timeouts {\n    keepalive %us\n    client_write %us\n    tunnel 60s\n}\n"
                    "%s%s",
                    workers, content, (int)strlen(upstream) - 2, upstream,
                    version > 0 ? introduced : "}\n", keepalive, client_write,
                    routes_front(drawn.front), routes_text(listen, options));
}

static size_t draw_size(void)
{
    switch (world_below(10)) {
    case 0:
        return 0;
    case 1:
        return 1 + world_below(3);
    case 2:
        return 16384 - 2 + world_below(5);
    case 3:
        return 65536 - 2 + world_below(5);
    case 4:
        return 60000 + world_below(300000);
    default:
        return world_below(5000);
    }
}

static void draw_request(struct plan *plan)
{
    static const char *const METHODS[] = {"GET",  "GET",  "GET", "HEAD",
                                          "POST", "POST", "PUT", "DELETE"};
    plan->method = METHODS[world_below(8)];
    if (strcmp(plan->method, "POST") == 0 || strcmp(plan->method, "PUT") == 0) {
        plan->body = world_chance(60) ? BODY_LENGTH : BODY_CHUNKED;
        plan->body_size = draw_size();
        plan->expects_continue = world_chance(15);
    } else if (world_chance(5)) {
        plan->body = BODY_LENGTH;
        plan->body_size = 1 + world_below(100);
    }
    plan->says_close = world_chance(5);
    plan->is_minor_0 = plan->body == BODY_NONE && world_chance(5);
    if (!drawn.is_calm && world_chance(5))
        plan->misframing = (enum misframing)world_below(MISFRAMINGS);
    if (plan->misframing == BAD_CHUNK_SIZE)
        plan->body = BODY_CHUNKED;
    if (plan->misframing == CUT_OFF || plan->misframing == TWO_LENGTHS)
        plan->body = BODY_LENGTH;
    if (plan->misframing != FRAMED_WELL) {
        plan->method = "POST";
        plan->is_minor_0 = plan->expects_continue = false;
    }
    if (world_chance(40))
        routes_take(plan, world_below(routes_count()), drawn.front);
    /* What weir answers by itself has a body that it is willing to read over. */
    if (drawn.is_calm && plan->own_status != 0 && plan->body_size > 5000)
        plan->body_size = 5000;
}

static void draw_reply(struct plan *plan)
{
    static const enum manner GOOD[] = {MANNER_GOOD, MANNER_GOOD, MANNER_GOOD, MANNER_CLOSE,
                                       MANNER_SLOW};
    plan->framing = (enum framing_plan)world_below(REPLY_FRAMINGS);
    plan->reply_size = draw_size();
    plan->status = world_chance(5) ? 204 : world_chance(5) ? 404 : world_chance(3) ? 304 : 200;
    plan->interims = world_chance(8) ? 1 + world_below(3) : 0;
    plan->think =
        world_chance(80) ? world_between(0, MILLISECONDS(5)) : world_between(0, SECONDS(4));
    plan->manner = GOOD[world_below(5)];
    if (!drawn.is_calm && world_chance(40))
        plan->manner = (enum manner)world_below(MANNERS);
    if (plan->manner == MANNER_LONG && plan->framing == REPLY_CLOSE) /* it would be no more */
        plan->framing = REPLY_LENGTH;
    plan->manner_at = draw_size();
    plan->manner_stays = world_chance(30);
    if (plan->manner == MANNER_SLOW && plan->reply_size > 2000)
        plan->reply_size = 2000;
}

static void draw_tunnel(struct plan *plan)
{
    truth_end_within(DRAIN_S);
    *plan = (struct plan){.id = plan->id,
                          .method = "GET",
                          .status = 101,
                          .way = "",
                          .query = "",
                          .host = "sim.test",
                          .fields = "",
                          .reply_fields = "",
                          .upgrades = true};
    plan->body_size = draw_size();
    plan->reply_size = draw_size();
}

static void draw_manner(struct client_manner *manner)
{
    manner->pipelined = world_chance(30) ? 1 + world_below(8) : 1;
    manner->piece = world_chance(20) ? (drawn.is_calm ? 100 : 1) + world_below(2000) : 0;
    manner->pause = world_between(0, MILLISECONDS(20));
    if (world_chance(10)) {
        manner->sip = 500 + world_below(16000);
        manner->sip_pause = world_between(0, MILLISECONDS(100));
    }
    if (world_chance(15))
        manner->leaves_after = world_between(0, SECONDS(world_chance(50) ? 1 : 5));
    if (world_chance(10))
        manner->leaves_at = 1 + world_below(100000);
    manner->leaves_rudely = world_chance(50);
    if (world_chance(15)) {
        manner->pauses_at = 1 + world_below(30000);
        manner->pauses_for = world_between(0, SECONDS(3));
    }
    manner->lingers = world_chance(30) ? world_between(1, SECONDS(20)) : 0;
    manner->keeps_cookies = world_chance(40);
    manner->idles = world_chance(25) ? world_between(0, SECONDS(8)) : 0;
    if (!drawn.is_calm && world_chance(15)) {
        manner->ends_early = true;
        manner->pauses_for *= world_chance(50) ? 1 : 40;
    }
}

/* Who is introduced as itself, or in a way that no proxy should believe. */
static void draw_introduction(struct client *client, struct client_manner *manner)
{
    int version = 1 + (int)world_below(2);
    size_t extra = world_chance(30) ? world_below(200) : 0;
    char *text =
        introduction_text(version, &client->from, &client->to, extra, &manner->introduction_size);
    manner->introduction = text;
    manner->introduction_split = world_chance(50) ? world_below(28) : 0;
    uint32_t wrong = world_below(drawn.is_calm ? 1 : 20);
    manner->is_stranger = wrong == 1 || wrong == 2;
    if (wrong == 1)
        text[world_below(5)] ^= 0x20;
    if (wrong == 2)
        manner->introduction_size = 1 + world_below(20); /* and then a request */
    if (wrong == 3)
        manner->introduction_size = 0;
    manner->is_stranger = manner->is_stranger || wrong == 3;
    if (manner->introduction_split > manner->introduction_size)
        manner->introduction_split = 0;
}

static void draw_client(unsigned number)
{
    char from[32];
    struct client *client = world_alloc(sizeof *client);
    struct client_manner manner = {0};
    snprintf(from, sizeof from, "10.2.0.%u:%u", 1 + world_below(4), 20000 + number);
    client->from = scenario_address(from);
    client->to = scenario_address("10.1.0.1:80");
    client->network = &drawn.client_side;
    draw_manner(&manner);
    if (drawn.is_introduced)
        draw_introduction(client, &manner);
    unsigned wanted = 1 + world_below(world_chance(20) ? REQUESTS_MAX : 5);
    bool has_tunnel = world_chance(8);
    unsigned piece = number * PIECES_OF_CLIENT;
    for (unsigned i = 0; i < wanted; i++) {
        struct plan *plan = plan_new();
        if (plan == NULL)
            break;
        draw_request(plan);
        draw_reply(plan);
        bool has_content = world_chance(25) && plan->misframing == FRAMED_WELL;
        if (has_tunnel && i + 1 == wanted)
            draw_tunnel(plan);
        else if (has_content)
            content_take(plan);
        /* Weir may not come to see the method of whom it refuses. */
        if (manner.is_stranger && strcmp(plan->method, "HEAD") == 0)
            plan->method = "GET";
        if (drawn.front == FRONT_NONE && strstr(plan->fields, "X-Forwarded-For") == NULL)
            plan->from = &client->from, plan->to = &client->to;
        if (scenario_keeps(piece + 1 + i))
            client->plans[client->count++] = plan;
        if (plan->upgrades || plan->misframing != FRAMED_WELL)
            manner.pipelined = 1;
    }
    int64_t first = MILLISECONDS(generate_found() == FOUND_SERVICES ? 500 : 200);
    int64_t begins = world_between(first, SECONDS(world_chance(70) ? 3 : 30));
    client->manner = manner;
    if (scenario_keeps(piece) && client->count > 0)
        client_start(client, begins);
}

/* Trouble. */

static void server_falls(void *argument)
{
    static const enum service_state STATES[] = {SERVICE_REFUSES, SERVICE_SILENT,
                                                SERVICE_UNREACHABLE};
    server_stop(argument, STATES[world_below(3)], world_chance(60));
}

static void server_rises(void *argument)
{
    server_return(argument);
}

static void name_fails(void *unused)
{
    (void)unused;
    names_set("app.sim", NULL, 0);
}

static void name_returns(void *unused)
{
    (void)unused;
    struct address named = scenario_address("10.0.0.3:8000");
    names_set("app.sim", &named, 1);
}

static void clock_jumps(void *unused)
{
    (void)unused;
    world_jump_wall(SECONDS(world_between(-100000, 100000)));
}

static void log_moves(void *unused)
{
    (void)unused;
    signal_send(SIGUSR1);
}

/* In the middle of everything. */
static void weir_ends(void *unused)
{
    (void)unused;
    signal_send(SIGTERM);
}

/* What nobody should notice: servers, addresses and checks that no request has to do with. */
static void weir_reloads(void *unused)
{
    static char text[24576];
    (void)unused;
    uint32_t kind = world_below(8);
    int size = snprintf(text, sizeof text, "%s", drawn.config);
    if (kind & 1)
        size +=
            snprintf(text + size, sizeof text - (size_t)size,
                     "upstream spare%u {\n    server 10.0.0.%u:8000\n    server spare.sim:8000\n"
                     "    health_check tcp interval=1s\n}\n",
                     world_below(3), 1 + world_below(9));
    if (kind & 2)
        size += snprintf(text + size, sizeof text - (size_t)size,
                         "site spare.test {\n    listen 10.1.0.1:%u\n    respond 200\n}\n",
                         8100 + world_below(3));
    if (kind & 4 && world_chance(30))
        snprintf(text + size, sizeof text - (size_t)size, "}\n");
    if (kind & 1)
        truth_also_looks(SPARE_SERVERS);
    files_set("/weir.conf", text);
    signal_send(SIGHUP);
}

static void draw_reloads(void)
{
    size_t size;
    drawn.config = files_text("/weir.conf", &size);
    char *copy = world_alloc(size + 1);
    memcpy(copy, drawn.config, size);
    drawn.config = copy;
    unsigned count = world_chance(60) ? world_below(20) : 0;
    int64_t at = world_between(MILLISECONDS(200), SECONDS(2));
    for (unsigned i = 0; i < count; i++) {
        at += world_between(0, world_chance(30) ? MILLISECONDS(3) : SECONDS(1));
        if (scenario_keeps(PIECE_RELOAD))
            world_after(at, weir_reloads, NULL);
    }
}

static void draw_trouble(unsigned number)
{
    unsigned kind = world_below(22);
    int64_t at = world_between(MILLISECONDS(100), SECONDS(10));
    int64_t until = at + world_between(MILLISECONDS(100), SECONDS(30));
    struct server_actor *server = &drawn.servers[world_below(drawn.servers_count)];
    enum fault fault = (enum fault)world_below(FAULTS);
    uint32_t nth = 1 + world_below(60);
    int64_t disk = world_between(0, 20000);
    if (!scenario_keeps(PIECE_TROUBLES + number))
        return;
    if (kind <= 5) {
        world_after(at, server_falls, server);
        world_after(until, server_rises, server);
    } else if (kind <= 8) {
        world_after(at, name_fails, NULL);
        world_after(until, name_returns, NULL);
    } else if (kind <= 11) {
        if (!content_has_disk())
            world_after(at, clock_jumps, NULL);
    } else if (kind == 12) {
        world_after(at, log_moves, NULL);
    } else if (kind == 13) {
        world_after(until, weir_ends, NULL);
    } else if (kind <= 15) {
        world_after(at, generate_discovery_changes, NULL);
        world_after(at, generate_health_changes, NULL);
        world_after(until, generate_discovery_changes, NULL);
        world_after(until, generate_health_changes, NULL);
    } else if (kind <= 18) {
        if (fault != FAULT_OPEN && fault != FAULT_FILE_READ && fault != FAULT_POLL)
            world_plan_fault(fault, nth, false);
    } else {
        files_disk_left(disk);
    }
}

void scenario_generate(void)
{
    drawn.is_calm = world_chance(CALM_PERCENT);
    drawn.servers_count = 1 + world_below(SERVERS_MAX);
    draw_network(&drawn.client_side);
    draw_network(&drawn.server_side);
    draw_network(&drawn.inside);
    if (world_chance(50))
        net_inside(&drawn.inside);
    draw_config();
    if (!drawn.is_calm) {
        actors_expect_trouble();
        truth_end_within(DRAIN_S); /* a client may have left behind bytes that nobody takes */
    }
    unsigned clients = 1 + world_below(world_chance(20) ? CLIENTS_MAX : 8);
    for (unsigned i = 0; i < clients; i++)
        draw_client(i);
    draw_reloads();
    unsigned troubles = drawn.is_calm ? 0 : world_below(TROUBLES_MAX);
    for (unsigned i = 0; i < troubles; i++)
        draw_trouble(i);
    if (world_chance(25)) /* an end in the middle of what is idle */
        scenario_end_after(world_between(0, SECONDS(3)));
}
