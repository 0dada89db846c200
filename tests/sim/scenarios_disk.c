/* SPDX-License-Identifier: Apache-2.0 */
/* A cache with a disk: found again after an end of any kind, full, slow, damaged, forgotten. */
#include "base/clock.h"
#include "scenarios.h"
#include "truth.h"
#include "wish.h"
#include "world.h"

#include <stdio.h>
#include <string.h>

enum {
    PAGES = 8,
    CLIENTS_MAX = 200,
};

static struct client *clients[CLIENTS_MAX];
static unsigned count;
static struct server_actor *server;
static struct page *first;

static void begin(const char *lines)
{
    scenario_config("workers 2\n"
                    "log access {\n    to file:/var/log/access.log\n    format json\n}\n"
                    "cache pages {\n    dir /cache\n%s}\n"
                    "upstream app {\n    server 10.0.0.1:8000\n}\n"
                    "site * {\n    listen 10.1.0.1:80\n    cache pages\n    proxy app\n}\n",
                    lines);
    server = scenario_server(1);
    count = 0;
    for (unsigned i = 0; i < PAGES; i++) {
        struct page *page = page_new("", &PAGE_FRESH);
        page->varies = i % 3 == 2;
        first = i == 0 ? page : first;
    }
}

static struct plan *ask(struct page *page, int64_t ms)
{
    struct client *client = scenario_client(1);
    char from[32];
    (void)snprintf(from, sizeof from, "10.2.%u.%u:%u", count / 200, 1 + count % 200, 40000 + count);
    client->from = scenario_address(from);
    wish_page(client->plans[0], page)->kind = (char)('a' + count % 2);
    clients[count++] = client;
    client_start(client, MILLISECONDS(500 + ms));
    return client->plans[0];
}

/* Each page a few times. */
static void ask_all(unsigned times, int64_t between)
{
    for (unsigned i = 0; i < times * PAGES; i++)
        wish_say(ask(first + i % PAGES, i * between));
}

static unsigned hits(unsigned from)
{
    unsigned found = 0;
    for (unsigned i = from; i < count; i++)
        found += clients[i]->plans[0]->wish->is_hit;
    return found;
}

static void go_on_as_it_was(void)
{
    ask_all(2, 20);
}

/* What was stored is there again, after an end as it should be. */
void disk_is_warm(void)
{
    begin("");
    scenario_end_after(SECONDS(2));
    ask_all(2, 20);
    for (unsigned i = 0; i < PAGES; i++)
        first[i].versions[1].size = 3000 * i;
    scenario_lives_again(go_on_as_it_was);
}
void disk_is_warm_check(void)
{
    if (hits(2 * PAGES) != 2 * PAGES)
        world_broken("expectation", "%u of %u were found on the disk", hits(2 * PAGES), 2 * PAGES);
}

static void keep_places(void *unused)
{
    (void)unused;
    files_keep_places();
}

static void go_on_after_kill(void)
{
    files_return_places(false);
    ask_all(3, 20);
}

/* Killed at any moment: nothing is found that is not whole. */
void disk_after_kill(void)
{
    begin("");
    scenario_end_after(SECONDS(2));
    for (unsigned i = 0; i < 3 * PAGES; i++) {
        struct plan *plan = ask(first + i % PAGES, i * 30);
        plan->manner = i % 4 == 3 && i < PAGES ? MANNER_SLOW : MANNER_GOOD;
        wish_say(plan);
    }
    first[3].versions[1].size = 4000;
    first[7].versions[1].size = 2000;
    world_after(world_between(MILLISECONDS(400), SECONDS(2)), keep_places, NULL);
    scenario_lives_again(go_on_after_kill);
}
void disk_after_kill_check(void)
{
    if (hits(3 * PAGES) < PAGES)
        world_broken("expectation", "%u were found", hits(3 * PAGES));
}

static void go_on_after_cut(void)
{
    files_return_places(true);
    ask_all(3, 20);
}

/* The power went: what is on the disk may be anything, and is given to nobody. */
void disk_after_power_cut(void)
{
    begin("");
    scenario_end_after(SECONDS(2));
    first[0].versions[1].size = 600000;
    first[1].versions[1].size = 300000;
    ask_all(2, 20);
    world_after(world_between(MILLISECONDS(800), SECONDS(3)), keep_places, NULL);
    actors_expect_trouble(); /* what has begun to be sent may break off */
    scenario_lives_again(go_on_after_cut);
}
void disk_after_power_cut_check(void)
{
    for (unsigned i = 2 * PAGES; i < count; i++)
        if (clients[i]->plans[0]->outcome != OUTCOME_WHOLE &&
            clients[i]->plans[0]->wish->page > first + 1)
            world_broken("expectation", "request %u failed for what lay on a disk",
                         clients[i]->plans[0]->id);
}

/* It fills while it is written to: nobody but the log hears of it. */
void disk_is_full(void)
{
    begin("    memory 1MiB\n");
    files_room_left(100000);
    ask_all(6, 100);
}
void disk_is_full_check(void)
{
    if (hits(0) < 2 * PAGES)
        world_broken("expectation", "without the disk %u were hits", hits(0));
}

static void disk_takes_its_time(void *unused)
{
    (void)unused;
    offload_takes(SECONDS(1));
}

static void go_on_impatiently(void)
{
    world_after(MILLISECONDS(1500), disk_takes_its_time, NULL);
    for (unsigned i = 0; i < PAGES; i++) {
        ask(first + i, 2500 + i * 20);
        clients[count - 1]->manner.leaves_after = MILLISECONDS(300);
    }
}

/* Who hangs up while the disk is looked through wants nothing of a server any more. */
void disk_is_left(void)
{
    begin("");
    scenario_end_after(SECONDS(2));
    ask_all(1, 20);
    scenario_lives_again(go_on_impatiently);
}
void disk_is_left_check(void)
{
    for (unsigned i = 0; i < PAGES; i++)
        if (first[i].asked > 1 && clients[PAGES + i]->plans[0]->outcome == OUTCOME_LEFT)
            world_broken("expectation", "page %u was fetched for nobody", first[i].id);
}

static void disk_stalls(void *unused)
{
    (void)unused;
    offload_takes(SECONDS(90));
}

static void go_on_slowly(void)
{
    world_after(MILLISECONDS(1500), disk_stalls, NULL);
    for (unsigned i = 0; i < 2 * PAGES; i++)
        wish_say(ask(first + i % PAGES, 2500 + i * 20));
}

/* It takes for ever: who asks is not to wait for it for longer than for a server. */
void disk_is_stalled(void)
{
    begin("");
    scenario_end_after(SECONDS(2));
    ask_all(1, 20);
    truth_end_within(200);
    scenario_lives_again(go_on_slowly);
}
void disk_is_stalled_check(void)
{
    for (unsigned i = PAGES; i < count; i++)
        if (clients[i]->plans[0]->ended - clients[i]->plans[0]->began > SECONDS(8))
            world_broken("expectation", "request %u waited %.1f s for a disk",
                         clients[i]->plans[0]->id,
                         (double)(clients[i]->plans[0]->ended - clients[i]->plans[0]->began) /
                             (double)SECONDS(1));
}

static void go_on_changing(void)
{
    for (unsigned i = 0; i < 20 * PAGES && count < CLIENTS_MAX; i++) {
        struct plan *plan = ask(first + i % PAGES, 600 + i * 7);
        plan->wish->changes = i / PAGES % 5 == 2;
        plan->method = plan->wish->changes ? "POST" : "GET";
        wish_say(plan);
    }
}

/* Pages change while what was stored of them is read from the disk: that does not come back. */
void disk_is_changed(void)
{
    begin("");
    scenario_end_after(SECONDS(2));
    ask_all(1, 20);
    for (unsigned i = 0; i < PAGES; i++)
        first[i].sizes = 3000;
    scenario_lives_again(go_on_changing);
}
void disk_is_changed_check(void)
{
    if (hits(PAGES) == 0)
        world_broken("expectation", "nothing was found");
}

static unsigned spoiled;
static void spoil(void *unused)
{
    (void)unused;
    for (unsigned i = 0; i < 5; i++)
        files_spoil(world_below(12));
    if (spoiled++ < 60)
        world_after(MILLISECONDS(50), spoil, NULL);
}

static void go_on_spoiled(void)
{
    spoiled = 0;
    spoil(NULL);
    for (unsigned i = 0; i < 4 * PAGES; i++) {
        struct plan *plan = ask(first + i % PAGES, i * 60);
        plan->wish->from = i % 2 == 0 ? (int)i * 10000 : -1;
        plan->wish->to = plan->wish->from + 100000;
        wish_say(plan);
    }
}

/* Bits turn over under what is read, in parts and as a whole. */
void disk_is_damaged(void)
{
    begin("");
    scenario_end_after(SECONDS(2));
    for (unsigned i = 0; i < PAGES; i++)
        first[i].versions[1].size = 90000 * i;
    ask_all(1, 50);
    actors_expect_trouble();
    scenario_lives_again(go_on_spoiled);
}
void disk_is_damaged_check(void)
{
    if (log_count("cache_disk") + log_count("cache_disk_damaged") == 0 && hits(PAGES) == 0)
        world_broken("expectation", "nobody noticed anything");
}
