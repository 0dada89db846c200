/* SPDX-License-Identifier: Apache-2.0 */
/* Servers: each connection is a conversation that reads strictly and answers as planned. */
#include "actor.h"
#include "introduction.h"
#include "wish.h"
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct server_conversation {
    struct server_actor *server;
    struct end *end;
    struct reader reader;
    struct introduction_heard heard;
    struct plan *plan;  /* the request that is being read or answered; NULL: idle */
    enum manner manner; /* of its answer: the plan's, or a good one when it is asked again */
    bool is_whole;      /* the request was read to its end */
    bool is_answering, is_answered;
    bool was_read_early;                /* weir had the answer's head … */
    uint64_t answer_head, written_then; /* … when it had written so much of the request */
    uint64_t long_end;                  /* of what it said beyond an answer; 0: nothing */
    const char *tainted;                /* why weir must not use this connection again */
    char *out;
    size_t out_size, out_at, out_stop; /* where it stops, and how */
    bool closes, resets, stalls, is_slow, is_waiting, is_tunnel;
    uint64_t tunnel_sent, tunnel_got;
    unsigned requests;
    char condition[64]; /* If-None-Match of the request */
    struct server_conversation *next;
};

static void answer(void *argument);
static void send_more(struct server_conversation *c);

static void hang_up(struct server_conversation *c, bool rudely)
{
    if (c->end->is_closed)
        return;
    if (rudely)
        end_reset(c->end);
    else
        end_close(c->end);
}

static void send_later(void *argument)
{
    struct server_conversation *c = argument;
    c->is_waiting = false;
    if (!c->end->is_closed)
        send_more(c);
}

/* The whole answer has been written. */
static void answered(struct server_conversation *c)
{
    if (c->resets || c->closes) {
        hang_up(c, c->resets);
        return;
    }
    if (c->stalls || c->is_tunnel)
        return;
    c->is_answered = true;
    if (c->manner == MANNER_LONG)
        c->long_end = c->end->other->in.written;
    if (c->is_whole) {
        c->plan = NULL;
        c->is_answering = false;
    }
}

static void send_tunnel(struct server_conversation *c)
{
    char piece[4096];
    while (c->tunnel_sent < c->plan->reply_size && end_room(c->end) > 0) {
        size_t size = 0;
        while (size < sizeof piece && c->tunnel_sent + size < c->plan->reply_size) {
            piece[size] = plan_byte(c->plan, true, c->tunnel_sent + size);
            size++;
        }
        c->tunnel_sent += end_write(c->end, piece, size);
    }
    if (c->tunnel_sent == c->plan->reply_size && !c->server->keeps_tunnels)
        end_shutdown(c->end);
    else
        c->end->wants_room = true;
}

static void send_more(struct server_conversation *c)
{
    while (c->out_at < c->out_stop && !c->is_waiting) {
        size_t size = c->out_stop - c->out_at;
        if (c->is_slow && size > 200)
            size = 1 + world_below(200);
        size_t sent = end_write(c->end, c->out + c->out_at, size);
        c->out_at += sent;
        if (sent == 0)
            return;
        if (c->is_slow && c->out_at < c->out_stop) {
            c->is_waiting = true;
            world_after(world_between(0, MILLISECONDS(300)), send_later, c);
        }
    }
    if (c->out_at < c->out_stop)
        return;
    if (c->is_tunnel)
        send_tunnel(c);
    else if (c->is_answering && !c->is_answered)
        answered(c);
}

/* How the manner of the plan shows in this answer. */
static void take_on(struct server_conversation *c, enum manner manner)
{
    const struct plan *plan = c->plan;
    size_t part = plan->manner_at < c->out_size ? plan->manner_at : c->out_size - 1;
    switch (manner) {
    case MANNER_SHORT:
    case MANNER_RESET:
    case MANNER_STALL_INSIDE:
        c->out_stop = part;
        c->closes = manner == MANNER_SHORT;
        c->resets = manner == MANNER_RESET;
        c->stalls = manner == MANNER_STALL_INSIDE;
        break;
    case MANNER_STALL:
        c->out_stop = 0;
        c->stalls = true;
        break;
    case MANNER_HANG_UP:
        c->out_stop = 0;
        c->closes = true;
        break;
    case MANNER_RESET_AT_HEAD:
        c->out_stop = 0;
        c->resets = true;
        break;
    case MANNER_EARLY_CLOSE:
    case MANNER_CLOSE:
    case MANNER_CLOSE_UNSAID:
    case MANNER_GARBAGE:
    case MANNER_OLD:
        c->closes = true;
        break;
    default:
        break;
    }
    c->is_slow = manner == MANNER_SLOW;
    if (manner == MANNER_CLOSE || manner == MANNER_EARLY_CLOSE || manner == MANNER_OLD ||
        manner == MANNER_SAYS_CLOSE)
        c->tainted = "its server said that it would close";
}

/* Up to the end of the final head, behind interim ones. */
static size_t head_size(const char *text, size_t size)
{
    size_t at = 0;
    for (bool is_interim = true; is_interim;) {
        is_interim = size - at > 12 && memcmp(text + at, "HTTP/1.1 1", 10) == 0;
        const char *end = memmem(text + at, size - at, "\r\n\r\n", 4);
        at = end == NULL ? size : (size_t)(end - text) + 4;
    }
    return at;
}

static void answer(void *argument)
{
    struct server_conversation *c = argument;
    if (c->end->is_closed || c->plan == NULL || c->is_answering)
        return;
    struct plan *plan = c->plan;
    c->is_answering = true;
    c->is_answered = false;
    plan->answered = world_now();
    if (plan->wish != NULL)
        wish_answer(plan, c->manner, c->condition);
    c->out = plan_reply(plan, c->manner, &c->out_size);
    c->out_at = 0;
    c->out_stop = c->out_size;
    c->answer_head = c->end->other->in.written + head_size(c->out, c->out_size);
    c->closes = plan->framing == REPLY_CLOSE && !plan->upgrades && plan->status != 204 &&
                plan->status != 304;
    if (c->closes)
        c->tainted = "its server said that it would close";
    c->is_tunnel = plan->upgrades && c->manner != MANNER_GARBAGE;
    take_on(c, c->manner);
    send_more(c);
}

/* Whom weir has spoken for is who asks. */
static void check_introduction(const struct server_conversation *c, const struct plan *plan)
{
    const struct introduction_heard *heard = &c->heard;
    if (heard->version == 0)
        return;
    if (c->requests > 0)
        world_broken("pooling", "request %u came over a connection that was of another client",
                     plan->id);
    bool is_named =
        plan->from == NULL || (heard->has_names && address_equal(plan->from, &heard->from) &&
                               (plan->to == NULL || address_equal(plan->to, &heard->to)));
    if (heard->is_local || !is_named)
        world_broken("fields", "request %u: another client was introduced to its server", plan->id);
}

static void on_head(struct reader *reader)
{
    struct server_conversation *c = reader->owner;
    const char *id = reader_field(reader, "X-Sim");
    struct plan *plan = id == NULL ? NULL : plan_of((unsigned)atoi(id));
    if (plan == NULL)
        world_broken("strictness", "a server got a request that nobody sent: %s %s", reader->method,
                     reader->target);
    if (c->plan != NULL)
        world_broken("pooling", "request %u came while %u was not answered", plan->id, c->plan->id);
    if (c->tainted != NULL)
        world_broken("pooling", "request %u came over a connection that is of no use: %s", plan->id,
                     c->tainted);
    if (c->long_end > 0 && plan->body == BODY_NONE && c->end->other->read_at_write >= c->long_end)
        world_broken("pooling", "request %u came behind bytes that nobody had asked for", plan->id);
    char target[128];
    if (plan->is_unheard)
        world_broken("strictness", "request %u came by a stranger and was forwarded", plan->id);
    check_introduction(c, plan);
    if (plan->own_status != 0)
        world_broken("route", "request %u reached a server: weir had to answer it", plan->id);
    plan_target(plan, true, target, sizeof target);
    bool may_be_get = plan->path != NULL && strcmp(reader->method, "GET") == 0 &&
                      strcmp(plan->method, "HEAD") == 0; /* a cache asks for the whole */
    if (strcmp(reader->target, target) != 0 ||
        (strcmp(reader->method, plan->method) != 0 && !may_be_get))
        world_broken("strictness", "request %u came as %s %s", plan->id, reader->method,
                     reader->target);
    if (plan->server_field != NULL)
        reader_expect(reader, plan->id, plan->server_field, plan->server_value);
    if (plan->misframing != FRAMED_WELL && plan->misframing != CUT_OFF &&
        plan->misframing != BAD_CHUNK_SIZE)
        world_broken("strictness", "request %u was misframed and forwarded", plan->id);
    if (reader->has_length && plan->body == BODY_LENGTH && plan->misframing == FRAMED_WELL &&
        reader->length != plan->body_size)
        world_broken("strictness", "request %u has another length", plan->id);
    if (++plan->heads > 1 && !plan_is_idempotent(plan))
        world_broken("once", "%s %u reached servers %u times", plan->method, plan->id, plan->heads);
    world_trace("server: %s %u, time %u", plan->method, plan->id, plan->heads);
    if (plan->upgrades && reader_field(reader, "Upgrade") != NULL)
        reader->state = READ_TUNNEL;
    const char *condition = reader_field(reader, "If-None-Match");
    snprintf(c->condition, sizeof c->condition, "%.63s", condition == NULL ? "" : condition);
    plan->is_got_whole = may_be_get;
    plan->server = c->server;
    c->server->requests++;
    c->requests++;
    c->plan = plan;
    c->manner = plan->heads > 1 && !plan->manner_stays ? MANNER_GOOD : plan->manner;
    if (c->server->fails)
        c->manner = MANNER_FAILS;
    c->is_whole = false;
    c->is_answering = c->is_answered = c->was_read_early = false;
    enum manner manner = c->manner;
    if (manner == MANNER_EARLY || manner == MANNER_EARLY_CLOSE || manner == MANNER_RESET_AT_HEAD ||
        plan->upgrades)
        world_after(plan->think, answer, c);
}

static void on_body(struct reader *reader, const char *data, size_t size)
{
    struct server_conversation *c = reader->owner;
    uint64_t at = reader->body;
    size_t same = plan_same(c->plan, false, at, data, size);
    if (same < size && c->plan->misframing == FRAMED_WELL)
        world_broken("pairing", "byte %llu of the body of request %u is another",
                     (unsigned long long)(at + same), c->plan->id);
    if (at + size > c->plan->body_size && c->plan->misframing == FRAMED_WELL)
        world_broken("pairing", "the body of request %u is longer than it was", c->plan->id);
    c->plan->arrived = (size_t)at + size;
}

static void on_end(struct reader *reader)
{
    struct server_conversation *c = reader->owner;
    if (c->plan->misframing != FRAMED_WELL)
        world_broken("strictness", "request %u was misframed, and reached a server whole",
                     c->plan->id);
    if (reader->body != c->plan->body_size && !c->plan->upgrades)
        world_broken("pairing", "the body of request %u has %llu of %zu bytes", c->plan->id,
                     (unsigned long long)reader->body, c->plan->body_size);
    c->plan->wholes++;
    c->is_whole = true;
    if (c->was_read_early && reader->taken > c->written_then)
        c->tainted = "weir had the answer before it had sent the request";
    if (c->is_answered) {
        c->plan = NULL;
        c->is_answering = false;
    } else if (!c->is_answering) {
        world_after(c->plan->think, answer, c);
    }
}

static void on_event(struct end *end)
{
    struct server_conversation *c = end->owner;
    char data[16 * 1024];
    size_t got;
    if (c->server->reads_nothing && !end_is_over(end))
        return;
    if (c->is_answering && !c->is_whole && !c->was_read_early &&
        end->other->in.read >= c->answer_head) {
        c->was_read_early = true;
        c->written_then = end->in.written - c->heard.size;
    }
    while ((got = end_read(end, data, sizeof data)) > 0) {
        size_t said;
        const char *wrong = introduction_hear(&c->heard, data, got, &said);
        if (wrong == NULL)
            wrong = reader_feed(&c->reader, data + said, got - said);
        if (wrong != NULL)
            world_broken("strictness", "a server read %s", wrong);
        if (end->is_closed)
            return;
    }
    if (end_is_over(end)) {
        if (c->server->on_end != NULL)
            c->server->on_end();
        if (c->is_tunnel && !end->is_broken)
            send_more(c);
        if (c->is_tunnel && c->reader.body != c->plan->body_size && !end->is_broken &&
            !actors_trouble() && c->plan->outcome != OUTCOME_LEFT)
            world_broken("pairing", "tunnel %u: the server got %llu of %zu bytes", c->plan->id,
                         (unsigned long long)c->reader.body, c->plan->body_size);
        if (end->is_broken || !c->is_tunnel || c->tunnel_sent == c->plan->reply_size)
            hang_up(c, false);
        return;
    }
    send_more(c);
}

static void on_accept(struct service *service, struct end *end)
{
    struct server_actor *server = service->owner;
    struct server_conversation *c = world_alloc(sizeof *c);
    c->server = server;
    c->end = end;
    c->heard.version = server->introduced;
    c->next = server->conversations;
    server->conversations = c;
    server->connections++;
    end->owner = c;
    end->on_event = on_event;
    reader_init(&c->reader, true, c);
    c->reader.on_head = on_head;
    c->reader.on_body = on_body;
    c->reader.on_end = on_end;
}

void server_start(struct server_actor *server, const struct address *address,
                  const struct network *network)
{
    *server = (struct server_actor){
        .service = {.address = *address, .network = network, .on_accept = on_accept},
    };
    server->service.owner = server;
    service_add(&server->service);
}

void server_stop(struct server_actor *server, enum service_state state, bool rudely)
{
    world_trace("a server stops");
    server->service.state = state;
    for (struct server_conversation *c = server->conversations; c != NULL; c = c->next)
        if (state == SERVICE_SILENT)
            end_vanish(c->end);
        else if (rudely)
            hang_up(c, true);
}

void server_return(struct server_actor *server)
{
    world_trace("a server is back");
    server->service.state = SERVICE_UP;
}

uint64_t server_written(const struct server_actor *server)
{
    uint64_t written = 0;
    for (const struct server_conversation *c = server->conversations; c != NULL; c = c->next)
        written += c->end->other->in.written;
    return written;
}

unsigned server_open_connections(const struct server_actor *server)
{
    unsigned open = 0;
    for (const struct server_conversation *c = server->conversations; c != NULL; c = c->next)
        open += !c->end->is_closed && !c->end->is_dead && !c->end->is_broken;
    return open;
}
