/* SPDX-License-Identifier: Apache-2.0 */
/* The servers' side of a generated configuration: how they are found, chosen, looked at, spared. */
#include "generate.h"

#include "net/resolver.h"
#include "outside.h"
#include "routes.h"
#include "scenario.h"
#include "truth.h"
#include "world.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    TEXT_MAX = 2048,
    LOOKED_AT_PORT = 8001,
};

static const char FILE_PATH[] = "/servers.txt";
static const char SERVICE[] = "_http._tcp.app.sim";
static const char COPIES[] = "10.0.0.9:8000";

static struct {
    enum found found;
    unsigned first, count;
    struct aside looked_at[SERVERS_MAX], copies;
} drawn;

struct text {
    char data[TEXT_MAX];
    size_t size;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    text->size +=
        (size_t)vsnprintf(text->data + text->size, TEXT_MAX - text->size, format, arguments);
    va_end(arguments);
}

/* The server's address as the configuration names it. */
static const char *server_text(unsigned i)
{
    static const char *const TEXTS[] = {"10.0.0.1:8000", "10.0.0.2:8000", "app.sim:8000",
                                        "unix:/run/app.sock"};
    return TEXTS[i];
}

const char *generate_server_place(unsigned i)
{
    return i == 2 ? "10.0.0.3:8000" : server_text(i);
}

enum found generate_found(void)
{
    return drawn.found;
}

static void add_server(struct text *text, unsigned i, bool is_calm)
{
    static const char *const SHARES[] = {" weight=3", " weight=7", " priority=1", " backup"};
    uint32_t share = world_below(4);
    bool has_share = world_chance(20);
    bool is_limited = world_chance(20);
    add(text, "%s%s%s\n", server_text((drawn.first + i) % SERVERS_MAX),
        has_share && (i > 0 || share < 2) ? SHARES[share] : "",
        is_limited && !is_calm ? " max_conns=2" : "");
}

/* The servers of a file: all, or some, or nothing that is one. */
static void write_file(unsigned from, unsigned count, bool is_torn)
{
    struct text text = {.size = 0};
    add(&text, "# servers\n");
    for (unsigned i = from; i < from + count; i++)
        add(&text, "%s%s\n", server_text((drawn.first + i % drawn.count) % SERVERS_MAX),
            i % 2 == 1 ? " weight=2" : "");
    if (is_torn)
        add(&text, "10.0.0.1:80 00 {");
    files_set(FILE_PATH, text.data);
}

static void write_services(unsigned from, unsigned count)
{
    static const char *const HOSTS[] = {"one.app.sim", "two.app.sim", "app.sim", "one.app.sim"};
    struct resolver_service services[SERVERS_MAX];
    memset(services, 0, sizeof services);
    for (unsigned i = 0; i < count; i++) {
        unsigned which = (drawn.first + (from + i) % drawn.count) % SERVERS_MAX;
        snprintf(services[i].host, sizeof services[i].host, "%s", HOSTS[which]);
        services[i].port = 8000;
        services[i].weight = (uint16_t)(i * 10);
        services[i].priority = (uint16_t)(from % 2);
    }
    names_set_services(SERVICE, services, count);
}

static void draw_servers(struct text *text, bool is_calm)
{
    struct address one = scenario_address("10.0.0.1:8000");
    struct address two = scenario_address("10.0.0.2:8000");
    uint32_t how = world_below(10);
    drawn.found = how == 0 ? FOUND_FILE : how == 1 ? FOUND_SERVICES : FOUND_WRITTEN;
    /* A service is of hosts: the socket's place has a server of its own. */
    if (drawn.found == FOUND_SERVICES && drawn.first + drawn.count > 3)
        drawn.found = FOUND_FILE;
    names_set("one.app.sim", &one, 1);
    names_set("two.app.sim", &two, 1);
    for (unsigned i = 0; i < drawn.count; i++) {
        if (drawn.found == FOUND_WRITTEN)
            add(text, "    server ");
        struct text line = {.size = 0};
        add_server(&line, i, is_calm);
        if (drawn.found == FOUND_WRITTEN)
            add(text, "%s", line.data);
    }
    if (drawn.found == FOUND_FILE) {
        write_file(0, drawn.count, false);
        add(text, "    discover file %s\n", FILE_PATH);
    } else if (drawn.found == FOUND_SERVICES) {
        write_services(0, drawn.count);
        add(text, "    discover srv %s max_conns=%u\n", SERVICE, is_calm ? 1000 : 4);
    }
}

/* Somebody else changes what is found. */
void generate_discovery_changes(void *unused)
{
    (void)unused;
    unsigned from = world_below(drawn.count);
    unsigned count = world_below(drawn.count + 1);
    bool is_torn = world_chance(25);
    if (drawn.found == FOUND_FILE && world_chance(90))
        write_file(from, count, is_torn);
    else if (drawn.found == FOUND_FILE)
        files_set(FILE_PATH, NULL);
    else if (drawn.found == FOUND_SERVICES)
        write_services(from, count);
}

static void draw_checks(struct text *text, const struct network *network)
{
    static const char *const WHATS[] = {"/healthz", "/healthz expect=200,204 body=^I", "tcp",
                                        "/healthz rise=1 fall=1 host=health.sim"};
    for (unsigned i = 0; i < SERVERS_MAX; i++) {
        struct aside *aside = &drawn.looked_at[i];
        char place[32];
        if (i == 3) /* a check has no other socket there */
            continue;
        snprintf(place, sizeof place, "10.0.0.%u:%u", i + 1, LOOKED_AT_PORT);
        aside_start(aside, place, network);
    }
    const char *what = WHATS[world_below(4)];
    unsigned interval = 1 + world_below(6);
    unsigned port = LOOKED_AT_PORT;
    for (unsigned i = 0; i < drawn.count; i++)
        if (strchr(what, '/') != NULL && (drawn.first + i) % SERVERS_MAX == 3)
            what = "tcp";
    add(text, "    health_check %s interval=%us port=%u timeout=1s\n", what, interval, port);
    truth_looks(SERVERS_MAX);
}

void generate_introduced(int version)
{
    for (unsigned i = 0; i < SERVERS_MAX; i++)
        drawn.looked_at[i].introduced = version;
}

void generate_health_changes(void *unused)
{
    (void)unused;
    if (world_chance(30)) {
        routes_asked()->is_unwell = !routes_asked()->is_unwell;
        return;
    }
    struct aside *aside = &drawn.looked_at[world_below(3)];
    if (world_chance(70))
        aside->is_unwell = !aside->is_unwell;
    else
        aside->is_mute = !aside->is_mute;
}

static void draw_choice(struct text *text)
{
    static const char *const BALANCES[] = {
        "random_two", "round_robin", "least_conn",         "least_time",
        "ip_hash",    "uri_hash",    "header_hash X-Kind", "cookie_hash group",
    };
    static const char *const STICKIES[] = {"cookie", "cookie name=way ttl=1h secure=on",
                                           "client_ip", "cookie secret=file:/secret"};
    const char *balance = BALANCES[world_below(8)];
    const char *load = strstr(balance, "hash") != NULL && world_chance(50) ? " load=off" : "";
    bool is_sticky = world_chance(20);
    const char *sticky = STICKIES[world_below(4)];
    files_set("/secret", "0123456789abcdef0123456789abcdef");
    add(text, "    balance %s%s\n", balance, load);
    if (is_sticky && !(strcmp(sticky, "client_ip") == 0 && strstr(balance, "hash") != NULL))
        add(text, "    sticky %s\n", sticky);
}

static void draw_bounds(struct text *text, bool is_calm)
{
    unsigned kept = world_below(8);
    unsigned kept_for = 1 + world_below(60);
    unsigned requests = is_calm ? 1000 : 1 + world_below(20);
    unsigned least = is_calm ? 100 : 1 + world_below(10);
    unsigned queue = world_below(4);
    add(text, "    keepalive %u idle=%us\n", kept, kept_for);
    if (world_chance(15))
        add(text, "    breaker requests=%u connects=%u\n", requests, requests);
    if (world_chance(15))
        add(text, "    adaptive_limit %u min=%u\n", least + 100, least);
    if (world_chance(15))
        add(text, "    slow_start %us\n", 1 + queue * 10);
    if (world_chance(15) && !is_calm)
        add(text, "    queue %u timeout=%us\n", queue, 1 + queue);
}

const char *generate_upstream(unsigned first, unsigned count, bool is_calm,
                              const struct network *network)
{
    static struct text text;
    text.size = 0;
    drawn.first = first;
    drawn.count = count;
    add(&text, "upstream app {\n");
    draw_servers(&text, is_calm);
    draw_choice(&text);
    draw_bounds(&text, is_calm);
    if (world_chance(15))
        draw_checks(&text, network);
    add(&text, "}\n");
    return text.data;
}

const char *generate_options(bool is_calm)
{
    static struct text text;
    static const char *const REASONS[] = {
        "connect,reset,timeout,502-504", "connect", "5xx,reset", "off", "404,503,reset,connect",
    };
    static const char *const HEDGES[] = {"5ms", "1s", "p95"};
    text.size = 0;
    unsigned tries = 1 + world_below(3);
    unsigned first_byte = is_calm ? 60 : 5 + world_below(56);
    unsigned idle = is_calm ? 60 : 5 + world_below(56);
    const char *reasons = REASONS[world_below(is_calm ? 2 : 5)];
    const char *hedge = HEDGES[world_below(3)];
    unsigned time = 1 + world_below(5);
    add(&text, "tries=%u first_byte_timeout=%us idle_timeout=%us", tries, first_byte, idle);
    if (world_chance(25))
        add(&text, " retry_on=%s", reasons);
    if (world_chance(20))
        add(&text, " hedge=%s", hedge);
    if (world_chance(10))
        add(&text, " retry_body=%uKiB", time);
    if (world_chance(10))
        add(&text, " host=upstream");
    if (!is_calm && world_chance(15))
        add(&text, " try_timeout=%us", time);
    if (!is_calm && world_chance(15))
        add(&text, " timeout=%us", time);
    return text.data;
}

const char *generate_lines(bool is_calm, const struct network *network)
{
    static struct text text;
    text.size = 0;
    text.data[0] = '\0';
    unsigned sample = 1 + world_below(100);
    unsigned size = 1 + world_below(64);
    unsigned rate = is_calm ? 100000 : 1 + world_below(30);
    unsigned most = is_calm ? 1000 : 1 + world_below(5);
    const char *waits = world_chance(40) ? " delay=on" : "";
    bool is_limited = world_chance(20);
    unsigned burst = is_limited ? world_below(20) : 0;
    if (is_calm) /* any number of requests may come at the same moment */
        burst = 1000;
    if (is_limited)
        add(&text, "\n    rate_limit %ur/s burst=%u keys=1000%s", rate, burst, waits);
    if (world_chance(20))
        add(&text, "\n    conn_limit %u by={client_ip}{header.X-Canary}", most);
    if (!world_chance(20))
        return text.data;
    drawn.copies.gets_copies = true;
    aside_start(&drawn.copies, COPIES, network);
    drawn.copies.is_mute = !is_calm && world_chance(30);
    add(&text, "\n    mirror %s sample=%u%% body_size=%uKiB timeout=5s", COPIES, sample, size);
    return text.data;
}
