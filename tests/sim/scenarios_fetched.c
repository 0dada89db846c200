/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of tokens that weir fetches: rotated, and not there for a while in every way. */
#include "scenarios.h"

#include "net.h"
#include "reader.h"
#include "tokens_kinds.h"
#include "world.h"

#include <stdio.h>
#include <string.h>

enum mood {
    GIVES_OLD,
    GIVES_NEW,
    FAILS,
    GIVES_GARBAGE,
    GIVES_NO_HTTP,
    GIVES_A_PART,
    GIVES_CHUNKS,
    SAYS_NOTHING,
    MOODS,
};

enum {
    ASKS_MAX = 32,
    MOOD_S = 70, /* weir looks every minute */
    WAIT_S = 5,  /* a request for keys that are fetched */
};

/* A server of keys. */
static struct keeper {
    struct service service;
    const char *host;
    enum mood mood;
    bool ends_with_connection; /* and says no length */
    unsigned asked[MOODS];
} keeper, other_keeper;

struct keeper_conversation {
    struct keeper *keeper;
    struct end *end;
    struct reader reader;
    const char *left; /* to be said */
    size_t left_size;
};

static struct client *asks[ASKS_MAX];
static int statuses[ASKS_MAX];
static unsigned asks_count;
static unsigned waiting; /* for keys that do not come: which of these */

static void say_more(struct keeper_conversation *c)
{
    size_t said = end_write(c->end, c->left, c->left_size);
    c->left += said;
    c->left_size -= said;
    c->end->wants_room = c->left_size > 0;
    if (c->left_size == 0)
        end_shutdown(c->end);
}

static void say(struct keeper_conversation *c, const char *head, size_t length, const char *text)
{
    size_t size = strlen(text);
    char *said = world_alloc(size + 256);
    int head_size = sprintf(said, "HTTP/1.0 %s\r\nContent-Type: application/json\r\n", head);
    if (length > 0 && !c->keeper->ends_with_connection)
        head_size += sprintf(said + head_size, "Content-Length: %zu\r\n", length);
    c->left_size = (size_t)(head_size + sprintf(said + head_size, "\r\n%s", text));
    c->left = said;
    say_more(c);
}

static void on_end(struct reader *reader)
{
    struct keeper_conversation *c = reader->owner;
    const char *keys = c->keeper->mood == GIVES_OLD ? KEYS_OLD : KEYS_NEW;
    c->keeper->asked[c->keeper->mood]++;
    world_trace("keeper of keys: mood %d", c->keeper->mood);
    switch (c->keeper->mood) {
    case FAILS:
        say(c, "503 Unwell", strlen(KEYS_OLD), KEYS_OLD);
        break;
    case GIVES_GARBAGE:
        say(c, "200 OK", 9, "{\"keys\":[");
        break;
    case GIVES_NO_HTTP:
        end_write(c->end, "SSH-2.0-keys\r\n\r\n", 16);
        end_shutdown(c->end);
        break;
    case GIVES_A_PART:
        say(c, "200 OK", strlen(KEYS_OLD) + 1, KEYS_OLD);
        break;
    case GIVES_CHUNKS:
        say(c, "200 OK\r\nTransfer-Encoding: chunked", 0, "0\r\n\r\n");
        break;
    case SAYS_NOTHING:
        break;
    default:
        say(c, "200 OK", strlen(keys), keys);
        break;
    }
}

static void on_head(struct reader *reader)
{
    const struct keeper_conversation *c = reader->owner;
    reader_expect(reader, 0, "Host", c->keeper->host);
    reader_expect(reader, 0, "Authorization", NULL);
    if (strcmp(reader->target, "/jwks") != 0 || strcmp(reader->method, "GET") != 0)
        world_broken("fields", "keys are asked for by %s %s", reader->method, reader->target);
}

static void on_event(struct end *end)
{
    struct keeper_conversation *c = end->owner;
    char data[1024];
    size_t got;
    while (!end->is_closed && (got = end_read(end, data, sizeof data)) > 0) {
        const char *wrong = reader_feed(&c->reader, data, got);
        if (wrong != NULL)
            world_broken("strictness", "a keeper of keys read %s", wrong);
    }
    if (!end->is_closed && c->left_size > 0)
        say_more(c);
    if (!end->is_closed && end_is_over(end))
        end_close(end);
}

static void on_body(struct reader *reader, const char *data, size_t size)
{
    (void)reader, (void)data, (void)size;
    world_broken("strictness", "a question for keys has a body");
}

static void on_accept(struct service *service, struct end *end)
{
    struct keeper_conversation *c = world_alloc(sizeof *c);
    c->keeper = service->owner;
    c->end = end;
    end->owner = c;
    end->on_event = on_event;
    reader_init(&c->reader, true, c);
    c->reader.on_head = on_head;
    c->reader.on_body = on_body;
    c->reader.on_end = on_end;
}

static void keeper_start(struct keeper *made, const char *address, const char *host)
{
    *made = (struct keeper){.host = host};
    made->service = (struct service){.address = scenario_address(address),
                                     .network = scenario_calm(),
                                     .on_accept = on_accept,
                                     .owner = made};
    service_add(&made->service);
}

static void begin(void)
{
    struct address address = scenario_address("10.4.0.1:80");
    names_set("id.sim", &address, 1);
    keeper_start(&keeper, "10.4.0.1:80", "id.sim");
    keeper_start(&other_keeper, "[fd00::4]:8080", "[fd00::4]:8080");
    other_keeper.ends_with_connection = true;
    scenario_config(
        "workers 1\n"
        "log access {\n    to file:/var/log/access.log\n    format json\n}\n"
        "upstream app {\n    server 10.0.0.1:8000\n}\n"
        "site * {\n    listen 10.1.0.1:80\n"
        "    route /named/* {\n        jwt jwks=http://id.sim/jwks refresh=60s\n        proxy app\n"
        "    }\n"
        "    route /other/* {\n        jwt jwks=http://[fd00::4]:8080/jwks refresh=60s\n"
        "        proxy app\n    }\n    respond 410\n}\n");
    scenario_server(1);
    asks_count = 0;
    actors_expect_trouble();
}

/* So many seconds after the start somebody shows a token. What becomes of it is told at the end:
 * others than these keys may be in use where calls fail. */
static void show(int64_t at, const char *way, const char *token, int status)
{
    struct client *client = scenario_client(0);
    statuses[asks_count] = status;
    asks[asks_count++] = client;
    char *fields = world_alloc(strlen(token) + 64);
    sprintf(fields, "Authorization: Bearer %s\r\n", token);
    scenario_ask(client, way, fields, token == TOKEN_STRANGE ? 401 : 0);
    client_start(client, SECONDS(at));
}

static void is_there(void *unused)
{
    (void)unused;
    keeper.service.state = SERVICE_UP;
}
static void next_mood(void *unused)
{
    (void)unused;
    keeper.mood++;
}
static void is_as_before(void *unused)
{
    (void)unused;
    keeper.mood = GIVES_OLD;
}

/* Nobody passes before there are keys; a key that is new is fetched when it is first seen, but not
 * again and again; keys that cannot be fetched leave the last ones in use. */
void keys_are_fetched(void)
{
    begin();
    keeper.service.state = SERVICE_REFUSES;
    show(1, "/named", TOKEN_OLD, 503);
    show(1, "/other", TOKEN_OLD, 200);
    world_after(SECONDS(2), is_there, NULL);
    show(20, "/named", TOKEN_OLD, 200);
    show(21, "/named", TOKEN_NEW, 401);
    world_after(SECONDS(50), next_mood, NULL);
    show(51, "/named", TOKEN_NEW, 200);
    show(52, "/named", TOKEN_OLD, 401);
    show(53, "/named", TOKEN_STRANGE, 401);
    for (int mood = FAILS; mood < MOODS; mood++) {
        int64_t at = 60 + (mood - FAILS) * MOOD_S;
        world_after(SECONDS(at), next_mood, NULL);
        show(at + MOOD_S - 1, "/named", TOKEN_NEW, 200);
    }
    int64_t last = 60 + (MOODS - FAILS) * MOOD_S;
    waiting = asks_count;
    show(last - 3, "/named", TOKEN_STRANGE, 401);
    world_after(SECONDS(last), is_as_before, NULL);
    show(last + MOOD_S, "/named", TOKEN_OLD, 200);
    show(last + MOOD_S, "/named", TOKEN_NEW, 401);
}
void keys_are_fetched_check(void)
{
    for (unsigned i = 0; i < asks_count; i++)
        scenario_expect(asks[i]->plans[0], statuses[i], i == waiting ? WAIT_S : 0);
    for (int mood = 0; mood < MOODS; mood++)
        if (keeper.asked[mood] == 0 || keeper.asked[mood] > (mood <= GIVES_NEW ? 3 : 10))
            world_broken("expectation", "keys were asked for %u times in mood %d",
                         keeper.asked[mood], mood);
    /* Of the first keeper three times, as they changed; of the other one once. */
    if (log_count("fetched") != 4 || log_count("fetch_failed") != 2)
        world_broken("expectation",
                     "keys came %u times, and it was said %u times that they did not",
                     log_count("fetched"), log_count("fetch_failed"));
}
