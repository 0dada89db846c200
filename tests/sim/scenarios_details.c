/* SPDX-License-Identifier: Apache-2.0 */
/* Single things that weir says or does, each looked at for itself. */
#include "base/clock.h"
#include "raw.h"
#include "scenarios.h"
#include "truth.h"
#include "world.h"

#include <stdio.h>
#include <string.h>

enum {
    QUERY_MAX = 16 * 1024, /* of one that is stored */
    QUERIES = 3,
};

static struct client *client;
static struct server_actor *servers[3];
static struct raw *raws[2];

/* Who leaves a stream is not taken for a server that breaks off. */
void stream_is_left(void)
{
    client = scenario_traffic(1, 1, servers);
    truth_log_has("client_closed");
    client->plans[0]->manner = MANNER_STALL_INSIDE;
    client->plans[0]->manner_at = 3000;
    client->plans[0]->reply_size = 10000;
    client->plans[0]->framing = REPLY_CHUNKED;
    client->manner.leaves_after = SECONDS(2);
    actors_expect_trouble();
}

/* Who leaves while it is written to. */
void chunks_are_left(void)
{
    client = scenario_traffic(1, 1, servers);
    truth_log_has("the client did not take the response");
    client->plans[0]->reply_size = 1000000;
    client->plans[0]->framing = REPLY_CHUNKED;
    client->manner.sip = 1000;
    client->manner.sip_pause = MILLISECONDS(10);
    client->manner.leaves_at = 50000;
    client->manner.leaves_rudely = true;
}

/* As long as nothing of an answer has left, its client can be told. */
void body_is_damaged_at_once(void)
{
    client = scenario_traffic(2, 1, servers);
    client->plans[0]->reply_fields = "Transfer-Encoding: chunked\r\n";
    client->plans[0]->framing = REPLY_CLOSE;
    client->plans[0]->is_text = true;
    actors_expect_trouble();
}
void body_is_damaged_at_once_check(void)
{
    scenario_expect(client->plans[0], 502, 0);
    scenario_expect(client->plans[1], 200, 0);
}

/* No bytes are so many, and not a chunk. */
void empty_answers(void)
{
    client = scenario_traffic(2, 1, servers);
    for (unsigned i = 0; i < 2; i++) {
        client->plans[i]->reply_size = 0;
        client->plans[i]->client_field = "Content-Length";
        client->plans[i]->client_value = "0";
    }
}

/* Comes when all others have been answered, and gets weir's own answer. */
static void ask_last(int64_t delay)
{
    client = scenario_client(1);
    client->plans[0]->own_status = 200;
    client_start(client, delay);
}

static const char *text_of_query(size_t size)
{
    char *text = world_alloc(256 + size);
    int head = snprintf(text, 256,
                        "QUERY /q HTTP/1.1\r\nHost: sim.test\r\nContent-Type: text/plain\r\n"
                        "Content-Length: %zu\r\n\r\n",
                        size);
    memset(text + head, 'q', size);
    return text;
}

static void expect(const struct raw *raw, const char *text)
{
    if (strncmp(raw->heard, text, strlen(text)) != 0)
        world_broken("expectation", "\"%.40s\" was said, and not \"%s\"", raw->heard, text);
}

/* The one that is asked again with the largest body that can be part of a key is a hit. */
void queries(void)
{
    char *text = world_alloc(QUERIES * (256 + QUERY_MAX));
    scenario_config("workers 1\ncache pages {\n    memory 1MiB\n}\n"
                    "site * {\n    listen 10.1.0.1:80\n"
                    "    cache pages methods=GET,QUERY ttl=60s\n    proxy 10.1.0.1:8080\n}\n"
                    "site * {\n    listen 10.1.0.1:8080\n    respond 200 said\n}\n");
    ask_last(SECONDS(40));
    for (unsigned i = 0; i < QUERIES; i++)
        strcat(text, text_of_query(QUERY_MAX));
    raws[0] = raw_new("10.1.0.1:80");
    raw_start(raws[0], SECONDS(1), text);
    /* A body that does not come. */
    text = world_alloc(512);
    strcat(text, text_of_query(100));
    text[strlen(text) - 50] = '\0';
    raws[1] = raw_new("10.1.0.1:80");
    raw_start(raws[1], SECONDS(1), text);
}
void queries_check(void)
{
    const char *second = strstr(raws[0]->heard + 1, "HTTP/1.1 200");
    expect(raws[0], "HTTP/1.1 200");
    if (second == NULL || strstr(second, "Cache-Status: weir; hit") == NULL)
        world_broken("cache", "a QUERY of %d bytes was not stored", QUERY_MAX);
    expect(raws[1], "HTTP/1.1 408");
}

/* Wherever it stands: the first field is one as well. */
void odd_name_comes_first(void)
{
    scenario_config(
        "workers 1\n"
        "site * {\n    listen 10.1.0.1:80\n    field_names reject\n    respond 200\n}\n"
        "site other.test {\n    listen 10.1.0.1:80\n    field_names allow\n    respond 200\n}\n");
    ask_last(SECONDS(2));
    raws[0] = raw_new("10.1.0.1:80");
    raw_start(raws[0], SECONDS(1), "GET / HTTP/1.1\r\nodd_name: 1\r\nHost: sim.test\r\n\r\n");
}
void odd_name_comes_first_check(void)
{
    expect(raws[0], "HTTP/1.1 400");
}

/* The fields of who asked go on to where the answer is, and not what the way to a server has made
 * of them. */
void answer_is_elsewhere(void)
{
    scenario_config("workers 1\nsite * {\n    listen 10.1.0.1:80\n"
                    "    route /away/* {\n        proxy 10.1.0.1:8080 accel=on\n    }\n"
                    "    route /here/* {\n        internal\n"
                    "        respond 200 \"<{header.X-Forwarded-For}>\"\n    }\n"
                    "    respond 200\n}\n"
                    "site * {\n    listen 10.1.0.1:8080\n"
                    "    header set X-Accel-Redirect /here/it\n    respond 200\n}\n");
    ask_last(SECONDS(2));
    raws[0] = raw_new("10.1.0.1:80");
    raw_start(raws[0], SECONDS(1), "GET /away/it HTTP/1.1\r\nHost: a\r\n\r\n");
}
void answer_is_elsewhere_check(void)
{
    expect(raws[0], "HTTP/1.1 200");
    if (strstr(raws[0]->heard, "\r\n\r\n<>") == NULL)
        world_broken("expectation", "\"%s\" was said", raws[0]->heard);
}
