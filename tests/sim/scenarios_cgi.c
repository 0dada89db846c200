/* SPDX-License-Identifier: Apache-2.0 */
/* Programs behind FastCGI, good ones and others. */
#include "base/clock.h"
#include "scenarios.h"
#include "server_cgi.h"
#include "world.h"

#include <string.h>

static struct client *client;
static struct cgi_server *server;

static void begin(unsigned count, const char *options)
{
    scenario_config("workers 1\n"
                    "log access {\n    to file:/var/log/access.log\n    format json\n}\n"
                    "upstream app {\n    server 10.0.0.1:9000\n    server 10.0.0.2:9000\n}\n"
                    "site * {\n    listen 10.1.0.1:80\n    fastcgi app %s\n}\n",
                    options);
    server = world_alloc(sizeof *server);
    cgi_server_start(server, "10.0.0.1:9000", scenario_calm());
    struct cgi_server *other = world_alloc(sizeof *other);
    cgi_server_start(other, "10.0.0.2:9000", scenario_calm());
    client = scenario_client(count);
    for (unsigned i = 0; i < count; i++)
        client->plans[i]->reply_size = 100 + i * 5000;
    scenario_start(client);
}

static void body(unsigned i, enum plan_body kind, size_t size)
{
    client->plans[i]->method = "POST";
    client->plans[i]->body = kind;
    client->plans[i]->body_size = size;
}

static void manner(unsigned i, enum manner manner, size_t at)
{
    client->plans[i]->manner = manner;
    client->plans[i]->manner_at = at;
}

/* One connection for all. */
void programs_are_asked(void)
{
    begin(12, "");
    for (unsigned i = 0; i < 12; i++) {
        client->plans[i]->framing = (enum framing_plan)(i % REPLY_FRAMINGS);
        if (i % 4 == 1)
            body(i, i % 8 == 1 ? BODY_LENGTH : BODY_CHUNKED, 1000 + i * 3000);
    }
    client->plans[6]->method = "HEAD";
    client->plans[10]->status = 204;
}
void programs_are_asked_check(void)
{
    if (server->connections > 2)
        world_broken("expectation", "%u connections were made for 12 requests",
                     server->connections);
}

/* It ends before it has read what it was sent: the connection is of no use. */
void programs_answer_early(void)
{
    begin(8, "");
    for (unsigned i = 0; i < 8; i++) {
        body(i, BODY_LENGTH, 300000);
        manner(i, i % 2 == 0 ? MANNER_EARLY : MANNER_GOOD, 0);
    }
}
void programs_answer_early_check(void)
{
    for (unsigned i = 0; i < 8; i++)
        if (client->plans[i]->outcome != OUTCOME_WHOLE)
            world_broken("expectation", "request %u had no answer", client->plans[i]->id);
}

/* What breaks off is never taken for whole; what is no record is an error. */
void programs_misbehave(void)
{
    static const enum manner MANNERS_OF[] = {
        MANNER_SHORT,   MANNER_RESET,        MANNER_GARBAGE,     MANNER_CLOSE,
        MANNER_HANG_UP, MANNER_CLOSE_UNSAID, MANNER_TWO_LENGTHS, MANNER_FAILS};
    begin(24, "tries=1");
    actors_expect_trouble();
    for (unsigned i = 0; i < 24; i++) {
        manner(i, MANNERS_OF[i % 8], 2000);
        client->plans[i]->manner_stays = true;
        client->plans[i]->framing = i < 12 ? REPLY_LENGTH : REPLY_CHUNKED;
        client->plans[i]->reply_size = 30000;
    }
}
void programs_misbehave_check(void)
{
    for (unsigned i = 0; i < 24; i++) {
        bool is_good = client->plans[i]->manner == MANNER_CLOSE ||
                       client->plans[i]->manner == MANNER_CLOSE_UNSAID;
        if ((client->plans[i]->outcome == OUTCOME_WHOLE) != is_good && i % 8 != 7)
            world_broken("expectation", "request %u ended otherwise", client->plans[i]->id);
    }
}

/* One that has too much to do has done nothing: a POST may be sent again. */
void programs_have_too_much(void)
{
    begin(6, "tries=3 retry_on=connect,503");
    actors_expect_trouble();
    for (unsigned i = 0; i < 6; i++) {
        manner(i, MANNER_TWO_LENGTHS, 0);
    }
}
void programs_have_too_much_check(void)
{
    for (unsigned i = 0; i < 6; i++)
        if (client->plans[i]->outcome != OUTCOME_WHOLE)
            world_broken("expectation", "request %u was not tried again", client->plans[i]->id);
}

/* It reads slowly, speaks slowly, to who reads slowly. */
void programs_are_slow(void)
{
    begin(4, "");
    for (unsigned i = 0; i < 4; i++) {
        body(i, BODY_LENGTH, 50000);
        manner(i, MANNER_SLOW, 0);
        client->plans[i]->reply_size = 3000;
    }
    client->manner.sip = 50;
    client->manner.sip_pause = MILLISECONDS(20);
}
