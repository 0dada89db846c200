/* SPDX-License-Identifier: Apache-2.0 */
/* What a proxy does all day: one thing in each scenario. The torture goes through all of them. */
#include "scenarios.h"

#include "truth.h"
#include "world.h"

#include <string.h>

static struct client *client;
static struct server_actor *servers[3];

static void begin(unsigned count, unsigned servers_count)
{
    client = scenario_traffic(count, servers_count, servers);
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
    scenario_body(client->plans[0], "POST", BODY_LENGTH, 1000);
}

void empty_post(void)
{
    begin(1, 1);
    scenario_body(client->plans[0], "POST", BODY_LENGTH, 0);
}

void large_post(void)
{
    begin(2, 1);
    scenario_body(client->plans[0], "POST", BODY_LENGTH, 300000);
}

void chunked_post(void)
{
    begin(2, 1);
    scenario_body(client->plans[0], "POST", BODY_CHUNKED, 30000);
}

void patient_post(void)
{
    begin(2, 1);
    scenario_body(client->plans[0], "PUT", BODY_LENGTH, 5000);
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
void too_many_interims_check(void)
{
    scenario_expect(client->plans[0], 502, 0);
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
    scenario_body(client->plans[3], "POST", BODY_CHUNKED, 3000);
}

void byte_by_byte(void)
{
    static struct network split;
    begin(3, 1);
    split = *scenario_calm();
    split.split = 1;
    client->network = &split;
    scenario_body(client->plans[1], "POST", BODY_CHUNKED, 100);
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
    truth_log_has("client_closed");
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
    scenario_body(client->plans[0], "POST", BODY_LENGTH, 200000);
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
    scenario_body(client->plans[2], "POST", BODY_LENGTH, 100000);
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
