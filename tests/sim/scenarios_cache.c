/* SPDX-License-Identifier: Apache-2.0 */
/* What is stored, and who may have it: one fetch for many, what is stale, what is private. */
#include "base/clock.h"
#include "scenarios.h"
#include "wish.h"
#include "world.h"

#include <stdio.h>
#include <string.h>

enum {
    CLIENTS_MAX = 64,
    LATE_MS = 300, /* after its first byte has left the server, it is with everybody */
};

static struct client *clients[CLIENTS_MAX];
static unsigned count;
static struct server_actor *server;
static struct page *page;

/* A cache with these lines, and a step with these options, before one server. */
static void begin(const char *lines, const char *options)
{
    scenario_config("workers 3\n"
                    "log access {\n    to file:/var/log/access.log\n    format json\n}\n"
                    "cache pages {\n    memory 4MiB\n%s}\n"
                    "upstream app {\n    server 10.0.0.1:8000\n}\n"
                    "site * {\n    listen 10.1.0.1:80\n    cache pages %s\n"
                    "    proxy app tries=1\n}\n",
                    lines, options);
    server = scenario_server(1);
    count = 0;
}

/* One more client that asks for the page, `ms` after the others begin. */
static struct plan *ask(int64_t ms)
{
    struct client *client = scenario_client(1);
    char from[32];
    (void)snprintf(from, sizeof from, "10.2.0.%u:%u", 1 + count, 40000 + count);
    client->from = scenario_address(from);
    wish_page(client->plans[0], page);
    clients[count++] = client;
    client_start(client, MILLISECONDS(200 + ms));
    return client->plans[0];
}

static void ask_plainly(int64_t ms)
{
    wish_say(ask(ms));
}

static struct plan *plan_at(unsigned i)
{
    return clients[i]->plans[0];
}

static void expect_asked(unsigned times)
{
    if (page->asked != times)
        world_broken("expectation", "servers were asked %u times instead of %u", page->asked,
                     times);
}

static void expect_version(unsigned i, unsigned version)
{
    if (plan_at(i)->wish->version != version)
        world_broken("expectation", "client %u got version %u instead of %u", i,
                     plan_at(i)->wish->version, version);
}

static void change(void *unused)
{
    (void)unused;
    page_change(page);
}

static void many_ask(bool is_chunked)
{
    begin("", "");
    page = page_new("", &PAGE_FRESH);
    page->versions[1].size = 3000;
    page->is_chunked = is_chunked;
    for (int i = 0; i < 40; i++) {
        struct plan *plan = ask(i * 20);
        plan->manner = MANNER_SLOW;
        wish_say(plan);
    }
}

/* Who comes while it is fetched gets what is there at once, and the rest as it comes. */
void one_fetch_for_many(void)
{
    many_ask(false);
}
void one_fetch_for_many_check(void)
{
    const struct plan *first = plan_at(0);
    expect_asked(1);
    for (unsigned i = 0; i < count; i++) {
        const struct plan *plan = plan_at(i);
        int64_t begins =
            plan->began > first->wish->first_byte ? plan->began : first->wish->first_byte;
        if (plan->outcome != OUTCOME_WHOLE ||
            plan->wish->first_byte > begins + MILLISECONDS(LATE_MS))
            world_broken("expectation", "follower %u began to read %.3f s late", i,
                         (double)(plan->wish->first_byte - begins) / (double)SECONDS(1));
        if (plan->wish->waited > MILLISECONDS(LATE_MS))
            world_broken("expectation", "follower %u waited %.3f s for what was there", i,
                         (double)plan->wish->waited / (double)SECONDS(1));
        int64_t ends = plan->began > first->ended ? plan->began : first->ended;
        if (plan->ended > ends + MILLISECONDS(LATE_MS))
            world_broken("expectation", "follower %u had all %.3f s late", i,
                         (double)(plan->ended - ends) / (double)SECONDS(1));
    }
}

/* The same where only its end says how long it is. */
void one_fetch_of_chunks(void)
{
    many_ask(true);
}
void one_fetch_of_chunks_check(void)
{
    one_fetch_for_many_check();
}

/* The first leaves before anything has come: another has its place. */
void first_leaves_early(void)
{
    begin("", "");
    page = page_new("", &PAGE_FRESH);
    for (int i = 0; i < 12; i++) {
        struct plan *plan = ask(i == 0 ? 0 : 100 + i);
        plan->think = SECONDS(2);
        wish_say(plan);
    }
    clients[0]->manner.leaves_after = MILLISECONDS(700);
    clients[0]->manner.leaves_rudely = true;
}
void first_leaves_early_check(void)
{
    expect_asked(1);
    if (server->requests != 1)
        world_broken("expectation", "it was asked %u times for, as the first had left",
                     server->requests);
}

/* Nobody else wants it: it is not fetched for nobody. */
void one_leaves_early(void)
{
    begin("", "");
    page = page_new("", &PAGE_FRESH);
    for (int i = 0; i < 2; i++) {
        struct plan *plan = ask(i * 5000);
        plan->think = SECONDS(2);
        wish_say(plan);
    }
    clients[0]->manner.leaves_after = MILLISECONDS(700);
    clients[0]->manner.leaves_rudely = true;
}
void one_leaves_early_check(void)
{
    if (clients[1]->plans[0]->wish->is_hit || server->requests != 2)
        world_broken("expectation", "what nobody waited for any more was fetched");
}

void first_leaves_inside(void)
{
    begin("", "");
    page = page_new("", &PAGE_FRESH);
    page->versions[1].size = 5000;
    for (int i = 0; i < 12; i++) {
        struct plan *plan = ask(i == 0 ? 0 : 50 + i);
        plan->manner = MANNER_SLOW;
        wish_say(plan);
    }
    clients[0]->manner.leaves_at = 1000;
}
void first_leaves_inside_check(void)
{
    expect_asked(1);
}

/* Nobody is left who waits for the beginning: the server need not go on. The next one asks anew. */
void all_leave_early(void)
{
    begin("", "");
    page = page_new("", &PAGE_FRESH);
    for (int i = 0; i < 4; i++) {
        struct plan *plan = ask(i < 3 ? i : 2000);
        plan->think = i < 3 ? SECONDS(10) : 0;
        wish_say(plan);
        clients[i]->manner.leaves_after = i < 3 ? MILLISECONDS(i == 0 ? 700 : 500) : 0;
    }
}
void all_leave_early_check(void)
{
    expect_asked(1); /* that of the others was given up before its answer */
    if (server->requests != 2)
        world_broken("expectation", "%u requests came", server->requests);
}

/* What has begun is fetched to its end though nobody reads it any more. */
void all_leave_inside(void)
{
    begin("", "");
    page = page_new("", &PAGE_FRESH);
    page->versions[1].size = 5000;
    for (int i = 0; i < 4; i++) {
        struct plan *plan = ask(i < 3 ? i : 20000);
        plan->manner = MANNER_SLOW;
        wish_say(plan);
        clients[i]->manner.leaves_at = i < 3 ? 600 : 0;
    }
}
void all_leave_inside_check(void)
{
    expect_asked(1);
    if (!plan_at(3)->wish->is_hit)
        world_broken("expectation", "what was fetched for nobody is not there");
}

/* Told to end while that goes on: whoever fetches wakes the threads of those who waited, and some
 * of these are done with all else by then. */
void end_inside_a_fetch(void)
{
    begin("", "");
    page = page_new("", &PAGE_FRESH);
    page->versions[1].size = 50000;
    for (int i = 0; i < 12; i++) {
        struct plan *plan = ask(i * 10);
        plan->manner = MANNER_SLOW;
        wish_say(plan);
        clients[i]->manner.leaves_at = 600;
    }
    scenario_end_after(MILLISECONDS(500));
}

/* The same of one who was alone with it. */
void one_leaves_inside(void)
{
    begin("", "");
    page = page_new("", &PAGE_FRESH);
    page->versions[1].size = 5000;
    for (int i = 0; i < 2; i++) {
        struct plan *plan = ask(i * 20000);
        plan->manner = MANNER_SLOW;
        wish_say(plan);
    }
    clients[0]->manner.leaves_at = 600;
}
void one_leaves_inside_check(void)
{
    expect_asked(1);
    if (plan_at(0)->outcome == OUTCOME_WHOLE || !plan_at(1)->wish->is_hit)
        world_broken("expectation", "what was fetched for nobody is not there");
}

/* A server that breaks off inside: nobody takes that for the whole, and it is not stored. */
void fetch_is_torn(void)
{
    begin("", "");
    actors_expect_trouble();
    page = page_new("", &PAGE_FRESH);
    page->versions[1].size = 40000;
    page->is_chunked = true;
    for (int i = 0; i < 8; i++) {
        struct plan *plan = ask(i < 7 ? 0 : 5000);
        plan->manner = i < 7 ? i % 2 == 0 ? MANNER_SHORT : MANNER_RESET : MANNER_GOOD;
        plan->manner_at = 20000;
        plan->manner_stays = true;
        wish_say(plan);
    }
}
void fetch_is_torn_check(void)
{
    if (plan_at(7)->outcome != OUTCOME_WHOLE || plan_at(7)->wish->is_hit)
        world_broken("expectation", "a part was stored");
}

/* Stale: given at once, and fetched behind it, once. */
void stale_while_fetched(void)
{
    begin("", "");
    page = page_new("", &PAGE_SHORT);
    for (int i = 0; i < 8; i++) {
        struct plan *plan = ask(i == 0 ? 0 : i < 7 ? 3000 : 6000);
        plan->think = MILLISECONDS(1000);
        wish_say(plan);
    }
    world_after(MILLISECONDS(2500), change, NULL);
}
void stale_while_fetched_check(void)
{
    if (server->requests != 3) /* the last finds it stale again */
        world_broken("expectation", "%u requests came", server->requests);
    expect_version(1, 1);
    expect_version(7, 2);
    if (plan_at(1)->ended - plan_at(1)->began > MILLISECONDS(500))
        world_broken("expectation", "who may have what is stale had to wait");
}

/* It has to be asked about, by all who come together, and is still good. */
void stored_is_asked_about(void)
{
    begin("", "");
    page = page_new("", &PAGE_STRICT);
    for (int i = 0; i < 9; i++)
        ask_plainly(i == 0 ? 0 : i < 6 ? 3000 : 9000);
    world_after(MILLISECONDS(7000), change, NULL);
}
void stored_is_asked_about_check(void)
{
    expect_asked(3);
    expect_version(5, 1);
    expect_version(8, 2);
}

/* In place of an error, as long as that is allowed. */
void stale_if_error(void)
{
    begin("", "stale_if_error=20s");
    actors_expect_trouble();
    pages_allow(0, SECONDS(20));
    page = page_new("", &PAGE_FRESH);
    for (int i = 0; i < 4; i++) {
        struct plan *plan = ask(i == 0 ? 0 : 50000 + 15000 * i);
        plan->manner = i == 0 ? MANNER_GOOD : i == 1 ? MANNER_FAILS : MANNER_HANG_UP;
        plan->manner_stays = true;
        wish_say(plan);
    }
}
void stale_if_error_check(void)
{
    expect_version(1, 1);
    expect_version(2, 0);
    if (plan_at(2)->outcome != OUTCOME_REFUSED || plan_at(2)->got_status != 502)
        world_broken("expectation", "what is too old stood in for an error");
    if (server->requests != 4)
        world_broken("expectation", "servers were asked %u times by four requests",
                     server->requests);
}

/* What is for one alone makes nobody wait for another, once that is known. */
void private_pages(void)
{
    begin("", "");
    page = page_new("", &PAGE_PRIVATE);
    for (int i = 0; i < 20; i++) {
        struct plan *plan = ask(i < 10 ? 0 : 8000);
        plan->think = SECONDS(1);
        wish_say(plan);
    }
}
void private_pages_check(void)
{
    expect_asked(20);
    for (unsigned i = 0; i < count; i++)
        if (plan_at(i)->ended - plan_at(i)->began > MILLISECONDS(i < 10 ? 2500 : 1500))
            world_broken("expectation", "who gets an answer of his own had to wait for others'");
}

/* Who has a name gets what was made for him; who has none gets nothing of that. */
void names_and_cookies(void)
{
    begin("", "");
    page = page_new("", &PAGE_FRESH);
    page->fields = "Set-Cookie: a=b\r\n";
    for (int i = 0; i < 6; i++)
        ask_plainly(i * 700);
    page = page_new("", &PAGE_FRESH);
    for (int i = 0; i < 12; i++) {
        struct plan *plan = ask(i / 2 * 500);
        plan->wish->is_authorized = i < 6;
        plan->think = MILLISECONDS(300);
        wish_say(plan);
    }
}
void names_and_cookies_check(void)
{
    expect_asked(7);
}

/* Kinds that come together do not get each other's. */
void kinds_of_requests(void)
{
    begin("", "");
    page = page_new("", &PAGE_FRESH);
    page->varies = true;
    page->versions[1].size = 3000;
    for (int i = 0; i < 32; i++) {
        struct plan *plan = ask(i < 12 ? 10 * i : 4000 + 50 * i);
        plan->wish->kind = (char)('a' + i % 4);
        plan->think = MILLISECONDS(500);
        wish_say(plan);
    }
}
void kinds_of_requests_check(void)
{
    if (page->asked < 4 || page->asked > 12)
        world_broken("expectation", "servers were asked %u times for four kinds", page->asked);
    if (!plan_at(31)->wish->is_hit)
        world_broken("expectation", "a kind that is stored was asked for");
}

/* A page that is older than it may be while the rest of it still comes. */
void slower_than_it_lives(void)
{
    begin("", "");
    page = page_new("", &PAGE_STRICT);
    page->versions[1].size = 12000;
    for (int i = 0; i < 6; i++) {
        struct plan *plan = ask(i * 2000);
        plan->manner = i == 0 ? MANNER_SLOW : MANNER_GOOD;
        wish_say(plan);
    }
    world_after(MILLISECONDS(1500), change, NULL);
}
void slower_than_it_lives_check(void)
{
    expect_version(0, 1);
    expect_version(5, 2);
}

/* Somebody changes it: nobody who comes after that is told gets what was before. */
void page_is_changed(void)
{
    begin("", "");
    page = page_new("", &PAGE_FRESH);
    for (int i = 0; i < 40; i++) {
        struct plan *plan = ask(i * 60);
        if (i % 10 == 7) {
            plan->method = "POST";
            plan->wish->changes = true;
        }
        plan->think = MILLISECONDS(i % 3 * 40);
        wish_say(plan);
    }
}
void page_is_changed_check(void)
{
    expect_version(39, 5);
}

/* The same while what was before is still on its way: whole at last, it is of no use any more. */
void changed_while_fetched(void)
{
    begin("", "");
    page = page_new("", &PAGE_FRESH);
    page->versions[1].size = 5000;
    for (int i = 0; i < 3; i++) {
        struct plan *plan = ask(i == 0 ? 0 : i == 1 ? 1000 : 25000);
        plan->manner = i == 0 ? MANNER_SLOW : MANNER_GOOD;
        plan->method = i == 1 ? "POST" : "GET";
        plan->wish->changes = i == 1;
        wish_say(plan);
    }
}
void changed_while_fetched_check(void)
{
    if (plan_at(0)->ended < plan_at(1)->ended || plan_at(0)->ended > plan_at(2)->began)
        world_broken("expectation", "it was not changed while it was fetched");
    expect_version(0, 1);
    expect_version(2, 2);
}

/* Parts, heads, and what the client has already, of what is stored. */
void shapes_of_answers(void)
{
    begin("", "");
    page = page_new("", &PAGE_FRESH);
    page->versions[1].size = 30000;
    for (int i = 0; i < 24; i++) {
        struct plan *plan = ask(i < 4 ? i * 5 : 1000 + i * 10);
        struct wish *wish = plan->wish;
        plan->method = i % 6 == 5 ? "HEAD" : "GET";
        wish->has = i % 6 == 4 ? 1 : 0;
        wish->from = i % 3 == 1 ? i * 1300 : -1;
        wish->to = wish->from + 5000;
        wish_say(plan);
    }
}
void shapes_of_answers_check(void)
{
    expect_asked(1);
}

/* Larger than may be stored: it flows by, and who does not read holds it up. */
void too_large_to_store(void)
{
    begin("    max_object 64KiB\n", "");
    page = page_new("", &PAGE_FRESH);
    page->is_chunked = true;
    page->sizes = 9000000;
    page_change(page);
    for (int i = 0; i < 4; i++) /* the last, when the beginning is not there any more */
        ask_plainly(i < 3 ? i : 8000);
    clients[1]->manner.pauses_at = 20000;
    clients[1]->manner.pauses_for = SECONDS(20);
    clients[2]->manner.leaves_at = 200000;
}
void too_large_to_store_check(void)
{
    if (plan_at(1)->outcome != OUTCOME_WHOLE)
        world_broken("expectation", "who reads slowly did not get all");
    if (plan_at(3)->outcome != OUTCOME_WHOLE || plan_at(3)->ended - plan_at(3)->began > SECONDS(10))
        world_broken("expectation", "who came later had to do with who reads slowly");
}

/* What is stored is still good, says the server to somebody with a name: how it says that is not
 * for those who wait beside him. */
void told_to_one_alone(void)
{
    begin("", "");
    page = page_new("", &PAGE_SHORT);
    for (int i = 0; i < 10; i++) {
        struct plan *plan = ask(i == 0 ? 0 : 8000 + i);
        plan->wish->is_authorized = i == 1;
        plan->think = MILLISECONDS(800);
        wish_say(plan);
    }
}
void told_to_one_alone_check(void)
{
    if (plan_at(9)->outcome != OUTCOME_WHOLE || page->asked > 12)
        world_broken("expectation", "servers were asked %u times", page->asked);
}
