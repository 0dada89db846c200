/* SPDX-License-Identifier: Apache-2.0 */
/* Clients: send what is planned as their manner is, and hold every answer against the ledger. */
#include "client.h"
#include "outside.h"
#include "wish.h"
#include "world.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum {
    PATIENCE_S = 240, /* longer than all of weir's waits for one request together */
    CONNECTIONS_MAX = 8,
};

static struct client *clients;
static bool has_trouble;

void actors_expect_trouble(void)
{
    has_trouble = true;
}

bool actors_trouble(void)
{
    return has_trouble;
}

bool clients_are_done(void)
{
    for (const struct client *client = clients; client != NULL; client = client->next)
        if (!client->is_done)
            return false;
    return true;
}

struct client *clients_first(void)
{
    return clients;
}

static void connect_client(void *argument);

static void settle(struct client *client, struct plan *plan, enum outcome outcome)
{
    static const char *const WORDS[] = {"none", "whole", "cut", "refused", "closed", "left"};
    plan->outcome = outcome;
    plan->is_done = true;
    plan->ended = world_now();
    world_trace("client: %s %u ends %s, %d, %zu bytes", plan->method, plan->id, WORDS[outcome],
                plan->got_status, plan->got_bytes);
    bool may_fail = has_trouble || plan->misframing != FRAMED_WELL;
    if (!may_fail && outcome != OUTCOME_WHOLE && outcome != OUTCOME_LEFT)
        world_broken("service", "request %u ends %s (%d) though nothing was wrong", plan->id,
                     WORDS[outcome], plan->got_status);
    (void)client;
}

static void finish(struct client *client)
{
    client->is_done = true;
    client->done_at = world_now();
}

/* The connection is over: what was not answered is settled, what was not sent has another. */
static void conclude(struct client *client, enum outcome outcome)
{
    struct end *end = client->end;
    if (end == NULL)
        return;
    client->end = NULL;
    client->ended_first = client->ended_first > 0 ? client->ended_first : world_now();
    if (outcome == OUTCOME_LEFT && client->manner.leaves_rudely)
        end_reset(end);
    else
        end_close(end);
    bool is_first = true;
    while (client->reading < client->count) {
        struct plan *plan = client->plans[client->reading];
        if (client->was_told_to_go && outcome != OUTCOME_LEFT) {
            /* What was sent behind that must not have been served, and may be sent again. */
            if (plan->heads > 0)
                world_broken("once", "request %u was served behind an announced end", plan->id);
            for (unsigned i = client->reading; i < client->count; i++)
                client->plans[i]->was_sent = false;
        }
        if (!plan->was_sent && outcome != OUTCOME_LEFT)
            break;
        bool was_cut = is_first && plan->got_status >= 200;
        settle(client, plan,
               outcome == OUTCOME_LEFT ? outcome
               : was_cut               ? OUTCOME_CUT
                                       : OUTCOME_CLOSED);
        client->reading++;
        is_first = false;
    }
    client->sending = client->reading;
    if (client->reading >= client->count || client->connections >= CONNECTIONS_MAX)
        finish(client);
    else
        world_after(MILLISECONDS(5), connect_client, client);
}

static void leave(void *argument)
{
    struct client *client = argument;
    if (client->end != NULL && !client->is_done)
        conclude(client, OUTCOME_LEFT);
}

struct plan *client_awaited(struct client *client)
{
    return client->reading < client->count ? client->plans[client->reading] : NULL;
}

/* Weir was to end long before it had this answer. */
static bool was_told_to_end(const struct plan *plan)
{
    int64_t told = signal_sent_at(SIGTERM);
    return told > 0 && plan->answered > told + SECONDS(1) && !world_was_struck();
}

static void keep_cookie(struct client *client, const struct reader *reader)
{
    const char *given = reader_field(reader, "Set-Cookie");
    if (given == NULL || !client->manner.keeps_cookies)
        return;
    size_t size = strcspn(given, ";");
    client->cookie = world_alloc(size + 1);
    memcpy(client->cookie, given, size);
}

static void on_head(struct reader *reader)
{
    struct client *client = reader->owner;
    struct plan *plan = client_awaited(client);
    if (plan == NULL || !plan->was_sent) {
        /* A connection may be refused, or given up on, before anything was asked. */
        if (plan == NULL || (reader->status != 408 && reader->status != 503))
            world_broken("pairing", "an answer %d that nobody asked for", reader->status);
        plan->was_sent = true;
    }
    if (reader->status == 100)
        client->may_go_on = true;
    if (reader->status < 200 && reader->status != 101)
        return;
    if (was_told_to_end(plan) && !reader->says_close && reader->status != 101)
        world_broken("end", "request %u was answered after the end had begun, without a goodbye",
                     plan->id);
    keep_cookie(client, reader);
    const char *id = reader_field(reader, "X-Sim");
    plan->got_status = reader->status;
    unsigned number = id == NULL ? 0 : (unsigned)atoi(id);
    client->is_own = false;
    client->is_wish = plan->wish != NULL && wish_head(plan, reader);
    client->is_of_server = number != 0 && !client->is_wish;
    if (client->is_wish)
        return;
    if (number != 0 && plan->own_status != 0)
        world_broken("route", "request %u is answered by a server: weir had to", plan->id);
    /* What a stranger gets is no answer to what it asked. */
    bool is_expected =
        reader->status == (number == 0 ? plan->own_status : plan->status) && !plan->is_unheard;
    if (is_expected && plan->client_field != NULL)
        reader_expect(reader, plan->id, plan->client_field, plan->client_value);
    if (number == 0 && is_expected) {
        client->is_own = true;
        return;
    }
    if (number == 0) {
        bool is_grpc = strstr(plan->fields, "application/grpc") != NULL;
        bool is_known = (reader->status >= 400 && reader->status < 600) ||
                        (is_grpc && reader_field(reader, "grpc-status") != NULL);
        if (!is_known)
            world_broken("pairing", "request %u is answered with a %d of nobody's", plan->id,
                         reader->status);
        return;
    }
    if (number != plan->id)
        world_broken("pairing", "request %u got the answer of %u", plan->id, number);
    if (plan->misframing != FRAMED_WELL && plan->misframing != CUT_OFF &&
        plan->misframing != BAD_CHUNK_SIZE)
        world_broken("strictness", "request %u was misframed and answered", plan->id);
    if (reader->status == 101)
        reader->state = READ_TUNNEL;
}

static void on_body(struct reader *reader, const char *data, size_t size)
{
    struct client *client = reader->owner;
    struct plan *plan = client_awaited(client);
    plan->got_bytes += size;
    if (client->is_wish)
        wish_body(plan, data, size);
    if (client->is_own && plan->own_text != NULL &&
        (plan->got_bytes > plan->own_size ||
         memcmp(plan->own_text + reader->body, data, size) != 0))
        world_broken("pairing", "the answer to %u for %s is another at byte %llu", plan->id,
                     plan->way, (unsigned long long)reader->body);
    if (!client->is_of_server)
        return;
    size_t same = plan_same(plan, true, reader->body, data, size);
    if (same < size)
        world_broken("pairing", "byte %llu of the answer to %u is another",
                     (unsigned long long)(reader->body + same), plan->id);
    if (plan->got_bytes > plan->reply_size)
        world_broken("pairing", "the answer to %u is longer than it was", plan->id);
}

static void on_end(struct reader *reader)
{
    struct client *client = reader->owner;
    struct plan *plan = client_awaited(client);
    if (plan == NULL)
        world_broken("pairing", "an answer ends that nobody asked for");
    bool is_whole = client->is_of_server;
    bool is_head = strcmp(plan->method, "HEAD") == 0;
    bool has_none = plan->status == 204 || plan->status == 304 || is_head;
    bool can_be_short = plan->framing == REPLY_CLOSE || plan->manner == MANNER_OLD;
    if (is_whole && !has_none && plan->got_bytes != plan->reply_size && !can_be_short)
        world_broken("pairing", "the answer to %u seems whole with %zu of %zu bytes", plan->id,
                     plan->got_bytes, plan->reply_size);
    bool was_cut = is_whole && !has_none && plan->got_bytes != plan->reply_size;
    if (client->is_own && plan->own_text != NULL && plan->got_bytes != plan->own_size)
        world_broken("pairing", "the answer to %u for %s seems whole with %zu of %zu bytes",
                     plan->id, plan->way, plan->got_bytes, plan->own_size);
    is_whole = is_whole || client->is_own;
    settle(client, plan,
           client->is_wish ? wish_end(plan)
           : was_cut       ? OUTCOME_CUT
           : is_whole      ? OUTCOME_WHOLE
                           : OUTCOME_REFUSED);
    client->reading++;
    if (client->sending < client->reading && reader->says_close) { /* no use in sending the rest */
        client->sending = client->reading;
        client->out = NULL;
    }
    client->was_told_to_go = plan->got_goodbye = reader->says_close;
    const struct plan *next = client_awaited(client);
    reader->expects_no_body = next != NULL && strcmp(next->method, "HEAD") == 0;
}

static void on_event(struct end *end);

static void sip(void *argument)
{
    struct client *client = argument;
    client->is_sipping = false;
    client->is_paused = false;
    if (client->end != NULL)
        on_event(client->end);
    if (client->end != NULL && client->has_paused && client->manner.ends_after_pause)
        end_shutdown(client->end);
}

/* Whether the client reads now; else it comes back to it. */
static bool does_read(struct client *client)
{
    const struct client_manner *manner = &client->manner;
    if (manner->pauses_at > 0 && !client->has_paused && client->got >= (size_t)manner->pauses_at) {
        client->has_paused = client->is_paused = true;
        world_after(manner->pauses_for, sip, client);
    }
    return !client->is_paused && !client->is_sipping;
}

static bool read_some(struct client *client)
{
    char data[16 * 1024];
    size_t most = client->manner.sip > 0 && client->manner.sip < sizeof data ? client->manner.sip
                                                                             : sizeof data;
    struct end *end = client->end;
    size_t got = end_read(end, data, most);
    if (got == 0)
        return false;
    client->got += got;
    client->active_at = world_now();
    const char *wrong = reader_feed(&client->reader, data, got);
    if (wrong != NULL)
        world_broken("strictness", "a client read %s", wrong);
    if (client->manner.leaves_at > 0 && client->got >= client->manner.leaves_at)
        conclude(client, OUTCOME_LEFT);
    if (client->manner.sip > 0 && client->end != NULL) {
        client->is_sipping = true;
        world_after(client->manner.sip_pause, sip, client);
        return false;
    }
    return client->end != NULL;
}

/* The end of weir's bytes. */
static void over(struct client *client)
{
    struct plan *plan = client_awaited(client);
    if (plan != NULL && client->reader.state == READ_TUNNEL) {
        bool is_whole = client->reader.body == plan->reply_size;
        if (!is_whole && !has_trouble && !client->end->is_broken)
            world_broken("pairing", "tunnel %u: the client got %llu of %zu bytes", plan->id,
                         (unsigned long long)client->reader.body, plan->reply_size);
        settle(client, plan, is_whole ? OUTCOME_WHOLE : OUTCOME_CUT);
        client->reading++;
    } else if (client->reader.state == READ_CLOSE && !client->end->is_broken) {
        client->reader.state = READ_HEAD;
        on_end(&client->reader);
    }
    conclude(client, OUTCOME_CLOSED);
}

static void on_event(struct end *end)
{
    struct client *client = end->owner;
    if (client->end != end)
        return;
    if (end->error != OK) {
        if (!has_trouble)
            world_broken("service", "weir does not accept connections");
        client->connections = CONNECTIONS_MAX;
        client->plans[client->reading]->was_sent = true;
        conclude(client, OUTCOME_CLOSED);
        return;
    }
    if (end->other == NULL)
        return;
    client->connections_made += !end->was_seen;
    end->was_seen = true;
    while (does_read(client) && read_some(client))
        continue;
    if (client->end != end)
        return;
    bool has_more = client->reader.state == READ_TUNNEL && !end->is_broken && !end->is_shut &&
                    !client->manner.keeps_tunnel;
    if (end_is_over(end) && has_more)
        client_send(client);
    if (end_is_over(end) && !client->is_paused && !client->is_sipping) {
        if (!has_more || end->is_shut)
            over(client);
        return;
    }
    if (client->reading >= client->count && client->manner.lingers == 0) {
        conclude(client, OUTCOME_CLOSED);
        return;
    }
    if (client->reading >= client->count && !client->is_lingering) {
        client->is_lingering = true;
        world_after(client->manner.lingers, leave, client);
    }
    client_send(client);
}

_Noreturn static void give_account(const struct client *client)
{
    const struct end *end = client->end;
    const struct plan *plan = client->plans[client->reading < client->count ? client->reading : 0];
    world_note("  %s %u: body %d of %zu bytes, misframing %d, manner %d at %zu, %d, %zu bytes read",
               plan->method, plan->id, plan->body, plan->body_size, plan->misframing, plan->manner,
               plan->manner_at, plan->got_status, plan->got_bytes);
    world_note("  %u of %u read, %u sent, %zu of %zu bytes of the next%s%s", client->reading,
               client->count, client->sending, client->out == NULL ? 0 : client->out_at,
               client->out == NULL ? 0 : client->out_size, client->is_paused ? ", paused" : "",
               client->is_sending_later ? ", sends later" : "");
    if (end != NULL && end->other != NULL)
        world_note("  descriptor %d of weir, %zu bytes to read there, room for %zu", end->other->fd,
                   end_readable(end->other), end_room(end));
    world_broken("deadline", "nobody ends request %u", plan->id);
}

/* Whatever happens to a request, it does so in time: weir has ended it, or it moves. */
static void lose_patience(void *argument)
{
    struct client *client = argument;
    if (client->is_done)
        return;
    int64_t left = client->active_at + SECONDS(PATIENCE_S) - world_now();
    bool was_accepted =
        client->end == NULL || client->end->other == NULL || client->end->other->fd >= 0;
    if (left <= 0 && !was_accepted && world_was_struck()) {
        conclude(client, OUTCOME_LEFT);
        left = SECONDS(PATIENCE_S);
    }
    if (left <= 0)
        give_account(client);
    world_after(left, lose_patience, client);
}

static void connect_client(void *argument)
{
    struct client *client = argument;
    if (client->is_done)
        return;
    client->connections++;
    client->introduced = 0;
    client->end = net_dial(client->network, &client->from, &client->to, on_event, client);
    client->is_paused = client->is_sipping = false;
    client->is_idling = client->waits_for_continue = client->was_told_to_go = false;
    client->out = NULL;
    reader_init(&client->reader, false, client);
    client->reader.on_head = on_head;
    client->reader.on_body = on_body;
    client->reader.on_end = on_end;
    client->reader.expects_no_body = strcmp(client->plans[client->reading]->method, "HEAD") == 0;
    if (client->connections == 1 && client->manner.leaves_after > 0)
        world_after(client->manner.leaves_after, leave, client);
}

void client_start(struct client *client, int64_t delay)
{
    client->next = clients;
    clients = client;
    for (unsigned i = 0; i < client->count; i++)
        client->plans[i]->is_unheard = client->manner.is_stranger;
    world_after(delay, connect_client, client);
    client->active_at = world_now() + delay;
    world_after(delay, lose_patience, client);
}
