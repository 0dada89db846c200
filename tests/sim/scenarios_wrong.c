/* SPDX-License-Identifier: Apache-2.0 */
/* What servers do to a proxy: they close, fall silent, say too much or too little, and die. */
#include "scenarios.h"

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
    scenario_body(client->plans[0], "POST", BODY_LENGTH, 200000);
    manner(0, MANNER_EARLY, 0);
}

void early_answer_and_close(void)
{
    begin(2, 1);
    scenario_body(client->plans[0], "POST", BODY_CHUNKED, 200000);
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
    scenario_body(client->plans[0], "POST", BODY_LENGTH, 10);
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
    scenario_body(client->plans[0], "PUT", BODY_LENGTH, 100000);
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
