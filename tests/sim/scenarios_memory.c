/* SPDX-License-Identifier: Apache-2.0 */
/* More is wanted than there is of memory: who holds the most goes, others do not notice, and all is
 * as usual afterwards. Nobody can tell here what the process has; what clients hold stands for it.
 */
#include "base/clock.h"
#include "control/memory_watch.h"
#include "scenarios.h"
#include "truth.h"
#include "world.h"

#include <signal.h>
#include <stdio.h>

enum {
    BUDGET_MIB = 16,
    CROWD = 450, /* holds more than the budget */
    SMALL = 3,
    GREEDY = 420,
    LOOK_MS = 100,
    SPARE_MIB = 1, /* what comes between two looks */
    SETTLED_S = 60,
    SETTLED_SMALL_S = 15,
    ANSWER = 400000, /* more than all buffers between a server and a client hold */
    PART = 16,       /* a small world has that part of the memory, and of the crowd */
    ANSWER_SMALL = 150000,
    SHARE = 80, /* hundredths of what the system allows are the budget */
};

static struct client *modest, *greedy[CROWD], *small[SMALL];
static int64_t budget, spare; /* bytes */
static unsigned crowd;
static struct memory_state seen;
static int64_t most;
static bool was_tight;

static int settled_s(void)
{
    return scenario_is_small() ? SETTLED_SMALL_S : SETTLED_S;
}

static void look(void *unused)
{
    struct memory_state state;
    memory_watch_look(&state);
    seen = state;
    most = state.used > most ? state.used : most;
    was_tight = was_tight || state.level == PRESSURE_END;
    if (!clients_are_done())
        world_after(MILLISECONDS(LOOK_MS), look, unused);
}

static void configure(const char *memory)
{
    scenario_config("workers 2\nlimits memory=%s\n"
                    "log access {\n    to file:/var/log/access.log\n    format json\n}\n"
                    "upstream app {\n    server 10.0.0.1:8000\n}\n"
                    "site * {\n    listen 10.1.0.1:80\n    proxy app\n}\n",
                    memory);
}

/* A budget that is written is of 16 MiB or more; the system may allow less. */
static void begin(const char *memory, unsigned count)
{
    int part = scenario_is_small() ? PART : 1;
    char limit[32];
    configure(memory);
    budget = (int64_t)BUDGET_MIB * 1024 * 1024 / part;
    spare = (int64_t)SPARE_MIB * 1024 * 1024 / part;
    crowd = count / (unsigned)part;
    (void)snprintf(limit, sizeof limit, "%lld\n", (long long)budget / SHARE * 100);
    if (scenario_is_small()) {
        files_set("/proc/self/cgroup", "0::/weir\n");
        files_set("/sys/fs/cgroup/weir/memory.max", limit);
    }
    scenario_server(1);
    most = 0;
    was_tight = false;
    actors_expect_trouble();
    modest = scenario_client(40);
    modest->manner.idles = MILLISECONDS(700);
    scenario_start(modest);
}

/* One address, many connections, answers that nobody reads. */
static struct client *come(unsigned i, const char *from)
{
    struct client *client = scenario_client(1);
    char text[48];
    (void)snprintf(text, sizeof text, "%s:%u", from, 1000 + i);
    client->from = scenario_address(text);
    client->plans[0]->reply_size = scenario_is_small() ? ANSWER_SMALL : ANSWER;
    client->manner.pauses_at = 1;
    client->manner.pauses_for = SECONDS(settled_s());
    client_start(client, SECONDS(1) + MILLISECONDS((int64_t)i * 8));
    return client;
}

static void check_recovery(void)
{
    struct memory_state state;
    memory_watch_look(&state);
    if (most > budget + spare)
        world_broken("memory", "clients held %lld KiB of a budget of %lld KiB",
                     (long long)most / 1024, (long long)budget / 1024);
    if (state.level == PRESSURE_END || state.level == PRESSURE_REFUSE)
        world_broken("memory", "%s, and nobody wants anything", pressure_name(state.level));
}

static unsigned ended(const struct client *client)
{
    unsigned count = 0;
    for (unsigned i = 0; i < client->count; i++)
        count +=
            client->plans[i]->outcome == OUTCOME_CUT || client->plans[i]->outcome == OUTCOME_CLOSED;
    return count;
}

static void settled(void *unused)
{
    struct memory_state state;
    (void)unused;
    memory_watch_look(&state);
    if (state.level != PRESSURE_NONE)
        world_broken("memory", "the level is still \"%s\"", pressure_name(state.level));
}

void memory_is_short(void)
{
    begin("16MiB", GREEDY);
    for (unsigned i = 0; i < crowd; i++)
        greedy[i] = come(i, "10.2.7.7");
    world_after(MILLISECONDS(300), look, NULL);
    world_after(SECONDS(settled_s() + 120), settled, NULL);
}
void memory_is_short_check(void)
{
    unsigned gone = 0;
    for (unsigned i = 0; i < crowd; i++)
        gone += ended(greedy[i]) > 0 || greedy[i]->plans[0]->outcome == OUTCOME_REFUSED;
    check_recovery();
    if (gone == 0)
        world_broken("expectation", "nobody was refused or ended");
    if (ended(modest) > 0)
        world_broken("memory", "%u requests of somebody who holds little were ended",
                     ended(modest));
}

/* Connections that were opened before it is tight, and grow all at once. */
void memory_is_gone(void)
{
    begin("16MiB", GREEDY);
    for (unsigned i = 0; i < crowd; i++) {
        greedy[i] = come(i, i % 3 == 0 ? "10.2.7.8" : "10.2.7.7");
        greedy[i]->plans[0]->think = SECONDS(6) - MILLISECONDS((int64_t)i * 8);
    }
    world_after(MILLISECONDS(300), look, NULL);
    world_after(SECONDS(settled_s() + 120), settled, NULL);
}
void memory_is_gone_check(void)
{
    unsigned of_most = 0;
    unsigned of_less = 0;
    check_recovery();
    for (unsigned i = 0; i < crowd; i++)
        *(i % 3 == 0 ? &of_less : &of_most) += ended(greedy[i]) > 0;
    if (was_tight && of_most == 0)
        world_broken("memory", "it was tight, and who held the most was not ended");
    if (of_less > of_most)
        world_broken("memory", "%u were ended of who held less, %u of who held most", of_less,
                     of_most);
    if (ended(modest) > 0)
        world_broken("memory", "%u requests of somebody who holds little were ended",
                     ended(modest));
}

static void lower(void *unused)
{
    (void)unused;
    configure("16MiB");
    signal_send(SIGHUP);
}

static void look_at_lowered(void *unused)
{
    struct memory_state state;
    (void)unused;
    memory_watch_look(&state);
    /* Who is tortured may not have been able to read what his control group allows. */
    int64_t allowed = world_is_tortured() && state.budget > budget ? state.budget : budget;
    if (state.used > allowed)
        world_broken("memory", "clients hold %lld KiB long after the budget became %lld KiB",
                     (long long)state.used / 1024, (long long)allowed / 1024);
}

/* A reload leaves less memory than clients hold: who holds the most makes room, others who wait as
 * they do stay. */
void memory_is_lowered(void)
{
    static const char *const FROM[SMALL] = {"10.2.7.6", "10.2.7.8", "10.2.8.7"};
    begin(scenario_is_small() ? "off" : "32MiB", CROWD);
    for (unsigned i = 0; i < crowd; i++)
        greedy[i] = come(i, "10.2.7.7");
    for (unsigned i = 0; i < SMALL; i++) {
        small[i] = come(i, FROM[i]);
        small[i]->manner.pauses_for = SECONDS(20);
    }
    world_after(SECONDS(5), lower, NULL);
    world_after(SECONDS(10), look_at_lowered, NULL);
    world_after(SECONDS(settled_s() + 120), settled, NULL);
}
void memory_is_lowered_check(void)
{
    unsigned gone = 0;
    for (unsigned i = 0; i < crowd; i++)
        gone += ended(greedy[i]);
    if (gone == 0 || log_count("client_ended") == 0)
        world_broken("expectation", "nobody was ended");
    if (gone == crowd)
        world_broken("memory", "all were ended, and not what was too much");
    if (ended(modest) > 0)
        world_broken("memory", "somebody who holds little was ended");
    for (unsigned i = 0; i < SMALL; i++)
        if (ended(small[i]) > 0)
            world_broken("memory", "client %u holds little, and was ended", i);
}
