/* SPDX-License-Identifier: Apache-2.0 */
#include "h2_visitor.h"

#include "scenario.h"
#include "world.h"

#include <stdio.h>
#include <string.h>

enum {
    VISITORS_MAX = 80,
    OVER_S = 12, /* a connection that is refused is over then */
};

const char VISITOR_ZEROS[VISITOR_ZEROS_SIZE];
static struct client *client;
static struct server_actor *server;
static struct h2_visitor *visitors[VISITORS_MAX];
static unsigned visitors_count;

struct h2_visitor *visitor_of(struct h2_peer *peer)
{
    return (struct h2_visitor *)peer->owner;
}

/* The head of a plan's request. */
const char *visitor_head(const struct plan *plan)
{
    static char text[1024];
    snprintf(text, sizeof text,
             ":method: %s\n:scheme: http\n:authority: sim.test\n:path: %s/r/%u\nx-sim: %u\n",
             plan->method, plan->way, plan->id, plan->id);
    return text;
}

void visitor_hello(struct h2_peer *peer)
{
    h2_write(peer, H2_HELLO, strlen(H2_HELLO));
    h2_setting(peer, 0, 0);
}

void visitor_asks(struct h2_peer *peer, uint32_t id, struct plan *plan)
{
    h2_head(peer, id, FLAG_END_HEADERS | FLAG_END_STREAM, visitor_head(plan));
    h2_stream(peer, id)->owner = plan;
    plan->was_sent = true;
}

void visitor_asks_first(struct h2_peer *peer)
{
    visitor_asks(peer, 1, visitor_of(peer)->plan);
}

void visitor_gets(struct h2_peer *peer)
{
    visitor_hello(peer);
    visitor_asks_first(peer);
}

/* What weir says. */

static void on_data(struct h2_peer *peer, struct h2_seen *stream, const char *data, size_t size)
{
    const struct plan *plan = stream->owner;
    (void)peer;
    for (size_t i = 0; plan != NULL && stream->number != 0 && i < size; i++)
        if (data[i] != plan_byte(plan, true, stream->body + i))
            world_broken("pairing", "byte %llu of the answer to %u is another",
                         (unsigned long long)(stream->body + i), plan->id);
}

static void settle(struct plan *plan, enum outcome outcome)
{
    plan->outcome = outcome;
    plan->is_done = true;
    plan->ended = world_now();
    world_trace("h2: %u ends: %d, status %d, %zu bytes", plan->id, outcome, plan->got_status,
                plan->got_bytes);
}

static void on_end(struct h2_peer *peer, struct h2_seen *stream)
{
    struct plan *plan = stream->owner;
    (void)peer;
    if (plan == NULL)
        return;
    plan->got_status = stream->status;
    plan->got_bytes = (size_t)stream->body;
    if (stream->number != 0 && stream->number != plan->id)
        world_broken("pairing", "request %u got the answer of %u", plan->id, stream->number);
    if (stream->is_reset && !stream->is_ended) {
        settle(plan, stream->status > 0 ? OUTCOME_CUT : OUTCOME_CLOSED);
        return;
    }
    if (stream->number != 0 && stream->body != plan->reply_size)
        world_broken("pairing", "the answer to %u seems whole with %llu of %zu bytes", plan->id,
                     (unsigned long long)stream->body, plan->reply_size);
    settle(plan, stream->number != 0 ? OUTCOME_WHOLE : OUTCOME_REFUSED);
}

static void on_over(struct h2_peer *peer)
{
    struct h2_visitor *visitor = visitor_of(peer);
    world_trace("h2: %s is over, error %u", visitor->deed->name, peer->goaway_error);
}

static void arrive(void *argument)
{
    struct h2_visitor *visitor = argument;
    char text[32];
    snprintf(text, sizeof text, "10.2.8.%u:7000", visitor->number);
    struct address from = scenario_address(text), to = scenario_address("10.1.0.1:80");
    struct h2_peer *peer = &visitor->peer;
    peer->owner = visitor;
    peer->on_data = on_data;
    peer->on_end = on_end;
    peer->on_over = on_over;
    world_trace("h2: %s", visitor->deed->name);
    h2_begin(peer, net_dial(scenario_calm(), &from, &to, h2_event, peer));
    visitor->deed->does(peer);
}

/* It has what it came for. */
static void leave(void *argument)
{
    struct h2_visitor *visitor = argument;
    visitor->was_over = visitor->peer.is_over;
    if (visitor->peer.end != NULL)
        h2_close(&visitor->peer, false);
}

struct server_actor *visitors_do(const struct h2_deed *deeds)
{
    scenario_site("upstream app {\n    server 10.0.0.1:8000\n}\n", "app");
    server = scenario_server(1);
    client = scenario_client(8);
    client->manner.idles = SECONDS(2);
    scenario_start(client);
    visitors_count = 0;
    for (const struct h2_deed *deed = deeds; deed->name != NULL; deed++) {
        struct h2_visitor *visitor = visitors[visitors_count++] = world_alloc(sizeof *visitor);
        visitor->number = visitors_count;
        visitor->deed = deed;
        visitor->plan = plan_new();
        visitor->plan->reply_size = VISITOR_REPLY;
        world_after(MILLISECONDS(300) + MILLISECONDS(20) * visitors_count, arrive, visitor);
        world_after(SECONDS(OVER_S), leave, visitor);
    }
    actors_expect_trouble();
    return server;
}

static void expect_ending(const struct h2_visitor *visitor)
{
    const struct h2_peer *peer = &visitor->peer;
    const struct h2_deed *deed = visitor->deed;
    bool is_served = visitor->plan->outcome == OUTCOME_WHOLE;
    bool is_second_served = visitor->second == NULL || visitor->second->outcome == OUTCOME_WHOLE;
    if (deed->ending == SERVED && (!is_served || !is_second_served || peer->goaway_error != 0))
        world_broken("expectation", "who %s is not served: %d, error %u", deed->name,
                     visitor->plan->outcome, peer->goaway_error);
    if (deed->ending == NOT_SERVED && is_served)
        world_broken("expectation", "who %s is served", deed->name);
    if (deed->ending == SENT_AWAY && !visitor->was_over)
        world_broken("expectation", "who %s is not sent away", deed->name);
    if (deed->ending == SENT_AWAY && peer->has_goaway && peer->goaway_error == 0)
        world_broken("expectation", "who %s is sent away without an error", deed->name);
}

void visitors_check(void)
{
    for (unsigned i = 0; i < visitors_count; i++)
        expect_ending(visitors[i]);
    for (unsigned i = 0; i < client->count; i++)
        if (client->plans[i]->outcome != OUTCOME_WHOLE)
            world_broken("service", "request %u of somebody else was not served",
                         client->plans[i]->id);
}
