/* SPDX-License-Identifier: Apache-2.0 */
/* What a proxy does all day, and what its neighbours do to it: one thing in each scenario. The
 * torture goes through all of them. */
#include "scenarios.h"

#include "world.h"

#include <string.h>

static struct client *client;
static struct server_actor *servers[3];

static void begin(unsigned count, unsigned servers_count)
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
    client = scenario_client(count);
    scenario_start(client);
}

static void body(struct plan *plan, const char *method, enum plan_body kind, size_t size)
{
    plan->method = method;
    plan->body = kind;
    plan->body_size = size;
}

static void manner(unsigned i, enum manner how, size_t at)
{
    client->plans[i]->manner = how;
    client->plans[i]->manner_at = at;
    actors_expect_trouble();
}

void one_get(void)
{
    begin(1, 1);
}

void many_gets(void)
{
    begin(20, 2);
}

void one_head(void)
{
    begin(2, 1);
    client->plans[0]->method = "HEAD";
}

void small_post(void)
{
    begin(2, 1);
    body(client->plans[0], "POST", BODY_LENGTH, 1000);
}

void empty_post(void)
{
    begin(1, 1);
    body(client->plans[0], "POST", BODY_LENGTH, 0);
}

void large_post(void)
{
    begin(2, 1);
    body(client->plans[0], "POST", BODY_LENGTH, 300000);
}

void chunked_post(void)
{
    begin(2, 1);
    body(client->plans[0], "POST", BODY_CHUNKED, 30000);
}

void patient_post(void)
{
    begin(2, 1);
    body(client->plans[0], "PUT", BODY_LENGTH, 5000);
    client->plans[0]->expects_continue = true;
}

void large_answer(void)
{
    begin(2, 1);
    client->plans[0]->reply_size = 500000;
}

void chunked_answer(void)
{
    begin(2, 1);
    client->plans[0]->reply_size = 50000;
    client->plans[0]->framing = REPLY_CHUNKED;
}

/* A head that fills the memory in which it arrives leaves the body to another block. */
void large_head(void)
{
    begin(4, 1);
    for (unsigned i = 0; i < 4; i++) {
        client->plans[i]->reply_head = 12000 + 1200 * i;
        client->plans[i]->reply_size = 20000;
        client->plans[i]->framing = i % 2 == 0 ? REPLY_LENGTH : REPLY_CHUNKED;
    }
}

void answer_until_close(void)
{
    begin(2, 1);
    client->plans[0]->framing = REPLY_CLOSE;
}

void old_client(void)
{
    begin(2, 1);
    client->plans[0]->is_minor_0 = true;
    client->plans[1]->framing = REPLY_CHUNKED;
}

void interim_answers(void)
{
    begin(2, 1);
    client->plans[0]->interims = 3;
}

void too_many_interims(void)
{
    begin(2, 1);
    client->plans[0]->interims = 9;
    actors_expect_trouble();
}

void no_content(void)
{
    begin(2, 1);
    client->plans[0]->status = 204;
    client->plans[1]->status = 304;
}

void pipelined(void)
{
    begin(12, 1);
    client->manner.pipelined = 12;
    body(client->plans[3], "POST", BODY_CHUNKED, 3000);
}

void byte_by_byte(void)
{
    static struct network split;
    begin(3, 1);
    split = *scenario_calm();
    split.split = 1;
    client->network = &split;
    body(client->plans[1], "POST", BODY_CHUNKED, 100);
}

void slow_reader(void)
{
    begin(1, 1);
    client->plans[0]->reply_size = 100000;
    client->manner.sip = 1000;
    client->manner.sip_pause = MILLISECONDS(50);
}

/* What weir takes in for a client that does not read is bounded. */
void paused_reader(void)
{
    begin(1, 1);
    client->plans[0]->reply_size = 1300000;
    client->manner.pauses_at = 1000;
    client->manner.pauses_for = SECONDS(20);
    scenario_expect_pause(servers[0], 10);
}

void client_leaves(void)
{
    begin(1, 1);
    client->plans[0]->think = SECONDS(3);
    client->manner.leaves_after = SECONDS(1);
}

void client_leaves_inside(void)
{
    begin(1, 1);
    client->plans[0]->reply_size = 300000;
    client->manner.leaves_at = 50000;
    client->manner.leaves_rudely = true;
}

void client_leaves_sending(void)
{
    begin(1, 1);
    body(client->plans[0], "POST", BODY_LENGTH, 200000);
    client->manner.piece = 5000;
    client->manner.pause = MILLISECONDS(100);
    client->manner.leaves_after = SECONDS(1);
}

void upgrade(void)
{
    begin(1, 1);
    client->plans[0]->upgrades = true;
    client->plans[0]->status = 101;
    client->plans[0]->body_size = 50000;
    client->plans[0]->reply_size = 40000;
}

void upgrade_refused(void)
{
    begin(2, 1);
    client->plans[0]->upgrades = true;
    manner(0, MANNER_GARBAGE, 0);
}

void server_says_close(void)
{
    begin(4, 1);
    for (unsigned i = 0; i < 4; i++)
        client->plans[i]->manner = MANNER_SAYS_CLOSE;
}

void server_closes(void)
{
    begin(4, 1);
    for (unsigned i = 0; i < 4; i++)
        client->plans[i]->manner = MANNER_CLOSE;
}

void server_closes_unsaid(void)
{
    begin(4, 1);
    for (unsigned i = 0; i < 4; i++)
        manner(i, MANNER_CLOSE_UNSAID, 0);
    client->manner.idles = MILLISECONDS(2);
}

void old_server(void)
{
    begin(2, 1);
    client->plans[0]->manner = MANNER_OLD;
}

void slow_server(void)
{
    begin(2, 1);
    client->plans[0]->manner = MANNER_SLOW;
    client->plans[0]->reply_size = 1500;
}

void early_answer(void)
{
    begin(2, 1);
    body(client->plans[0], "POST", BODY_LENGTH, 200000);
    manner(0, MANNER_EARLY, 0);
}

void early_answer_and_close(void)
{
    begin(2, 1);
    body(client->plans[0], "POST", BODY_CHUNKED, 200000);
    manner(0, MANNER_EARLY_CLOSE, 0);
}

void short_answer(void)
{
    begin(2, 1);
    manner(0, MANNER_SHORT, 150);
}

void short_head(void)
{
    begin(2, 2);
    manner(0, MANNER_SHORT, 10);
}

void reset_inside(void)
{
    begin(2, 1);
    client->plans[0]->reply_size = 100000;
    manner(0, MANNER_RESET, 50000);
}

void long_answer(void)
{
    begin(3, 1);
    manner(0, MANNER_LONG, 0);
}

void garbage(void)
{
    begin(2, 2);
    manner(0, MANNER_GARBAGE, 0);
}

void two_lengths(void)
{
    begin(2, 2);
    manner(0, MANNER_TWO_LENGTHS, 0);
}

/* A GET is asked again elsewhere, and answered. */
void hang_up(void)
{
    begin(2, 2);
    manner(0, MANNER_HANG_UP, 0);
}
void hang_up_check(void)
{
    if (client->plans[0]->heads != 2 || client->plans[0]->outcome != OUTCOME_WHOLE)
        world_broken("expectation", "a GET was not tried again");
}

/* A POST is not. */
void hang_up_on_post(void)
{
    begin(2, 2);
    body(client->plans[0], "POST", BODY_LENGTH, 10);
    manner(0, MANNER_HANG_UP, 0);
}
void hang_up_on_post_check(void)
{
    if (client->plans[0]->heads != 1 || client->plans[0]->got_status != 502)
        world_broken("expectation", "a POST came %u times and ended with %d",
                     client->plans[0]->heads, client->plans[0]->got_status);
}

void reset_at_head(void)
{
    begin(2, 2);
    body(client->plans[0], "PUT", BODY_LENGTH, 100000);
    manner(0, MANNER_RESET_AT_HEAD, 0);
}

void server_fails(void)
{
    begin(2, 2);
    manner(0, MANNER_FAILS, 0);
}
void server_fails_check(void)
{
    if (client->plans[0]->heads != 2)
        world_broken("expectation", "a 503 was not tried elsewhere");
}

void server_refuses(void)
{
    begin(4, 2);
    servers[0]->service.state = SERVICE_REFUSES;
}

void all_refuse(void)
{
    begin(2, 2);
    servers[0]->service.state = servers[1]->service.state = SERVICE_REFUSES;
    actors_expect_trouble();
}

void unreachable(void)
{
    begin(4, 2);
    servers[0]->service.state = SERVICE_UNREACHABLE;
    actors_expect_trouble();
}

static void fall(void *unused)
{
    (void)unused;
    server_stop(servers[0], SERVICE_REFUSES, true);
}

void server_dies(void)
{
    begin(10, 2);
    client->manner.idles = MILLISECONDS(300);
    client->plans[2]->think = MILLISECONDS(500);
    world_after(SECONDS(1), fall, NULL);
    actors_expect_trouble();
}

static void vanish(void *unused)
{
    (void)unused;
    server_stop(servers[0], SERVICE_SILENT, false);
}

void server_vanishes(void)
{
    begin(10, 2);
    client->manner.idles = MILLISECONDS(300);
    world_after(SECONDS(1), vanish, NULL);
    actors_expect_trouble();
}

void few_descriptors(void)
{
    begin(3, 1);
    for (int i = 0; i < 10; i++)
        client_start(scenario_client(2), MILLISECONDS(200 + i));
    scenario_descriptors(24);
    actors_expect_trouble();
}

void full_backlog(void)
{
    begin(2, 1);
    net_backlog(1);
    for (int i = 0; i < 20; i++)
        client_start(scenario_client(2), MILLISECONDS(200));
    actors_expect_trouble();
}

void full_disk(void)
{
    begin(5, 1);
    client->manner.idles = SECONDS(2);
    files_disk_left(700);
}

void unix_server(void)
{
    scenario_site("", "unix:/run/app.sock");
    servers[0] = world_alloc(sizeof *servers[0]);
    struct address address = scenario_address("unix:/run/app.sock");
    server_start(servers[0], &address, scenario_calm());
    client = scenario_client(3);
    client->plans[1]->reply_size = 200000;
    body(client->plans[2], "POST", BODY_LENGTH, 100000);
    scenario_start(client);
}

static void move_name(void *unused)
{
    (void)unused;
    struct address other = scenario_address("10.0.0.2:8000");
    names_set("app.sim", &other, 1);
}

static void lose_name(void *unused)
{
    (void)unused;
    names_set("app.sim", NULL, 0);
}

void name_changes(void)
{
    scenario_site("upstream app {\n    server app.sim:8000\n}\n", "app");
    servers[0] = scenario_server(1);
    servers[1] = scenario_server(2);
    struct address first = scenario_address("10.0.0.1:8000");
    names_set("app.sim", &first, 1);
    client = scenario_client(8);
    client->manner.idles = SECONDS(2);
    for (unsigned i = 0; i < 8; i++)
        client->plans[i]->manner = MANNER_CLOSE;
    client_start(client, SECONDS(1));
    world_after(SECONDS(5), move_name, NULL);
    world_after(SECONDS(12), lose_name, NULL);
}
void name_changes_check(void)
{
    if (servers[0]->requests == 0 || servers[1]->requests == 0)
        world_broken("expectation", "a name that moved was not followed");
}

void unknown_name(void)
{
    scenario_site("upstream app {\n    server app.sim:8000\n}\n", "app");
    client = scenario_client(1);
    client_start(client, SECONDS(1));
    actors_expect_trouble();
}

void several_workers(void)
{
    begin(3, 1);
    scenario_config("workers 3\nupstream app {\n    server 10.0.0.1:8000 max_conns=2\n}\n"
                    "site * {\n    listen 10.1.0.1:80\n    proxy app\n}\n");
    for (int i = 0; i < 12; i++) {
        struct client *other = scenario_client(4);
        other->manner.idles = MILLISECONDS(i);
        client_start(other, MILLISECONDS(200 + i));
    }
}

/* What no server may say is answered with 502. */
void garbage_check(void)
{
    scenario_expect(client->plans[0], 502, 0);
}
void two_lengths_check(void)
{
    scenario_expect(client->plans[0], 502, 0);
}
void short_head_check(void)
{
    scenario_expect(client->plans[0], 502, 0);
}
void too_many_interims_check(void)
{
    scenario_expect(client->plans[0], 502, 0);
}
