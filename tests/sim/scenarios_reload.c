/* SPDX-License-Identifier: Apache-2.0 */
/* One configuration after the other while everybody is served. */
#include "scenarios.h"

#include "truth.h"
#include "world.h"

#include <signal.h>

enum {
    CROWD = 16,
    REQUESTS = 10,
    SERVERS = 4,
    RELOADS = 40,
};

static struct client *crowd[CROWD];
static unsigned version;
static unsigned applied;

static void write_config(unsigned number)
{
    unsigned first = number % SERVERS;
    scenario_config("workers 3\n"
                    "log access {\n    to file:/var/log/access%u.log\n}\n"
                    "upstream app {\n"
                    "    balance %s\n"
                    "    server 10.0.0.%u:8000 weight=%u\n"
                    "    server 10.0.0.%u:8000\n"
                    "%s"
                    "    health_check tcp interval=%ums\n"
                    "}\n"
                    "site * {\n    listen 10.1.0.1:80\n%s    header set X-Version %u\n"
                    "    proxy app\n}\n",
                    number % 2, number % 3 == 0 ? "uri_hash" : "round_robin", 1 + first,
                    1 + number % 5, 1 + (first + 1) % SERVERS,
                    number % 4 == 0 ? "    server app.sim:8000\n" : "", 2000 + number % 2,
                    number % 5 == 0 ? "    listen 10.1.0.1:8080\n" : "", number);
}

static void reload(void *unused)
{
    (void)unused;
    write_config(++version);
    signal_send(SIGHUP);
    if (version < RELOADS)
        world_after(world_between(0, MILLISECONDS(150)), reload, NULL);
}

static void begin(void)
{
    write_config(0);
    truth_looks(SERVERS + 1);
    for (unsigned i = 1; i <= SERVERS; i++)
        scenario_server(i);
    struct address named = scenario_address("10.0.0.3:8000");
    names_set("app.sim", &named, 1);
    for (unsigned i = 0; i < CROWD; i++) {
        crowd[i] = scenario_client(REQUESTS);
        crowd[i]->manner.pipelined = 1;
        crowd[i]->manner.idles = MILLISECONDS(i % 3 * 100);
        for (unsigned r = 0; r < REQUESTS; r++)
            crowd[i]->plans[r]->think = MILLISECONDS(world_below(300));
        client_start(crowd[i], MILLISECONDS(200 + 10 * i));
    }
}

static void check_crowd(void)
{
    for (unsigned i = 0; i < CROWD; i++) {
        for (unsigned r = 0; r < crowd[i]->count; r++)
            if (crowd[i]->plans[r]->outcome != OUTCOME_WHOLE ||
                crowd[i]->plans[r]->got_status != 200)
                world_broken("service", "request %u was lost, with status %d",
                             crowd[i]->plans[r]->id, crowd[i]->plans[r]->got_status);
        if (crowd[i]->connections != 1)
            world_broken("service", "a client had to connect %u times", crowd[i]->connections);
    }
}

void reload_under_load(void)
{
    version = 0;
    begin();
    world_after(MILLISECONDS(300), reload, NULL);
}
void reload_under_load_check(void)
{
    check_crowd();
    if (log_count("reload_applied") < RELOADS / 2)
        world_broken("reload", "only %u were applied", log_count("reload_applied"));
    if (log_count("reload_refused") > 0)
        world_broken("reload", "%u were refused", log_count("reload_refused"));
}

static void reload_badly(void *unused)
{
    (void)unused;
    static const char *const BAD[] = {
        "}", "site * {\n    listen 10.1.0.1:80\n    proxy nobody x=1\n}\n",
        "site * {\n    listen 192.0.2.1:80\n    respond 999\n}\n", ""};
    unsigned which = applied++ % 3;
    scenario_config("%s", BAD[which]);
    signal_send(SIGHUP);
    if (applied < RELOADS)
        world_after(world_between(0, MILLISECONDS(100)), reload_badly, NULL);
}

void reload_is_refused(void)
{
    applied = 0;
    begin();
    world_after(MILLISECONDS(300), reload_badly, NULL);
}
void reload_is_refused_check(void)
{
    check_crowd();
    if (log_count("reload_applied") > 0 || log_count("reload_refused") < RELOADS / 2)
        world_broken("reload", "%u applied, %u refused", log_count("reload_applied"),
                     log_count("reload_refused"));
}

static void end_now(void *unused)
{
    (void)unused;
    signal_send(SIGTERM);
}

/* The end comes while a reload is under way. */
void reload_and_end(void)
{
    version = RELOADS - 5;
    begin();
    for (unsigned i = 0; i < 5; i++)
        world_after(MILLISECONDS(300) + world_between(0, MILLISECONDS(20)), reload, NULL);
    world_after(MILLISECONDS(300) + world_between(0, MILLISECONDS(60)), end_now, NULL);
    actors_expect_trouble();
}
void reload_and_end_check(void)
{
    if (log_count("reload_refused") > 0)
        world_broken("reload", "%u were refused", log_count("reload_refused"));
}

static void write_with_certificates(const char *server)
{
    scenario_config("workers 1\n"
                    "upstream app {\n    server 10.0.0.1:8000\n%s}\n"
                    "site * {\n    listen 10.1.0.1:80\n    proxy app\n}\n"
                    "site sim.test {\n    listen 10.1.0.1:443\n    tls local\n    respond 200\n}\n",
                    server);
}

/* The new configuration waits for a name, and the end comes before it. */
static void end_before_names(void *argument)
{
    if (names_are_awaited("slow.sim"))
        signal_send(SIGTERM);
    else
        world_after(MILLISECONDS(1), end_before_names, argument);
}

static void reload_with_name(void *unused)
{
    (void)unused;
    write_with_certificates("    server slow.sim:8000\n");
    signal_send(SIGHUP);
    world_after(MILLISECONDS(1), end_before_names, NULL);
}

void reload_ends_before_names(void)
{
    write_with_certificates("");
    scenario_server(1);
    crowd[0] = scenario_client(1);
    scenario_start(crowd[0]);
    world_after(SECONDS(1), reload_with_name, NULL);
    scenario_end_after(SECONDS(10));
}
