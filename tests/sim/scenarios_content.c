/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies that become others on their way. */
#include "base/clock.h"
#include "content.h"
#include "scenarios.h"
#include "server_cgi.h"
#include "wish.h"
#include "world.h"

static struct client *client;

static void begin(unsigned count, const char *steps)
{
    scenario_config("workers 1\n"
                    "log access {\n    to file:/var/log/access.log\n    format json\n}\n"
                    "site * {\n    listen 10.1.0.1:80\n%s}\n",
                    steps);
    client = scenario_client(count);
    scenario_start(client);
}

/* Pieces end inside words that begin like themselves. */
void words_across_seams(void)
{
    static struct network split;
    static struct server_actor server;
    split = *scenario_calm();
    split.split = 5;
    begin(12, "    replace ananas haystacks\n    proxy 10.0.0.1:8000\n");
    struct address address = scenario_address("10.0.0.1:8000");
    server_start(&server, &address, &split);
    for (unsigned i = 0; i < 12; i++) {
        content_replace(client->plans[i], 1200, "ananas", "haystacks");
        client->plans[i]->framing = i % 2 == 0 ? REPLY_LENGTH : REPLY_CHUNKED;
    }
}

/* What a slow server has said can be read, though it is encoded, and long before its end. */
void encoded_as_it_comes(void)
{
    static const char *const CODINGS[] = {"gzip", "br", "zstd"};
    begin(6, "    compress br gzip zstd min_size=1B\n    proxy 10.0.0.1:8000\n");
    scenario_server(1);
    for (unsigned i = 0; i < 6; i++) {
        client->plans[i]->manner = MANNER_SLOW;
        client->plans[i]->reply_size = 6000;
        client->plans[i]->framing = i < 3 ? REPLY_LENGTH : REPLY_CHUNKED;
        content_encode(client->plans[i], CODINGS[i % 3]);
        wish_of(client->plans[i])->must_be_encoded = true;
    }
}
void encoded_as_it_comes_check(void)
{
    for (unsigned i = 0; i < 6; i++) {
        const struct plan *plan = client->plans[i];
        int64_t longest = MILLISECONDS(plan->framing == REPLY_LENGTH ? 600 : 310);
        if (plan->outcome != OUTCOME_WHOLE)
            world_broken("expectation", "request %u had no answer", plan->id);
        if (plan->wish->waited > longest)
            world_broken("expectation", "request %u waited %.3f s for what was there", plan->id,
                         (double)plan->wish->waited / (double)SECONDS(1));
        if (plan->ended - plan->wish->first_byte < SECONDS(3))
            world_broken("expectation", "the answer to %u came at its end", plan->id);
    }
}

/* A program dies, with fewer bytes than it has said. Its client is told another way of framing, and
 * must not take that for the whole. */
void programs_die_while_replaced(void)
{
    static struct cgi_server server;
    begin(8, "    replace ananas haystacks types=*\n    fastcgi 10.0.0.1:9000\n");
    cgi_server_start(&server, "10.0.0.1:9000", scenario_calm());
    actors_expect_trouble();
    for (unsigned i = 0; i < 8; i++) {
        client->plans[i]->manner = i % 4 == 3 ? MANNER_GOOD : MANNER_SHORT;
        client->plans[i]->manner_at = 2000;
        client->plans[i]->manner_stays = true;
        client->plans[i]->reply_size = 30000;
    }
}
void programs_die_while_replaced_check(void)
{
    for (unsigned i = 0; i < 8; i++)
        if ((client->plans[i]->outcome == OUTCOME_WHOLE) != (i % 4 == 3))
            world_broken("expectation", "request %u ended otherwise", client->plans[i]->id);
}
