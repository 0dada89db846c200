/* SPDX-License-Identifier: Apache-2.0 */
/* WebSocket over HTTP/2 (RFC 8441): streams that become tunnels to servers of HTTP/1. */
#include "scenarios.h"

#include "base/clock.h"
#include "h2_visitor.h"
#include "world.h"

#include <stdio.h>
#include <string.h>

enum {
    SAID = 20000,     /* bytes of a client */
    ANSWERED = 90000, /* and of its server: more than the window of a stream */
    MUCH = 250000,    /* more than all buffers between them */
    PIECE = 4000,
};

/* Asks for a tunnel and leaves its side of the stream open. */
static void open_tunnel(struct h2_peer *peer, const char *protocol, const char *more)
{
    struct plan *plan = visitor_of(peer)->plan;
    char lines[512];
    plan->upgrades = true;
    plan->protocol = protocol;
    plan->body_size = SAID;
    plan->reply_size = ANSWERED;
    visitor_hello(peer);
    snprintf(lines, sizeof lines,
             ":method: CONNECT\n:protocol: %s\n:scheme: http\n:authority: sim.test\n:path: /r/%u\n"
             "x-sim: %u\n%s",
             protocol, plan->id, plan->id, more);
    h2_head(peer, 1, FLAG_END_HEADERS, lines);
    h2_stream(peer, 1)->owner = plan;
    plan->was_sent = true;
}

/* Says a piece more every tenth of a second. */
static void say_more(void *argument)
{
    struct h2_visitor *visitor = argument;
    char piece[PIECE];
    if (visitor->peer.is_over || visitor->said == SAID)
        return;
    plan_bytes(visitor->plan, false, visitor->said, piece, sizeof piece);
    visitor->said += PIECE;
    h2_frame(&visitor->peer, FRAME_DATA, visitor->said == SAID ? FLAG_END_STREAM : 0, 1, piece,
             sizeof piece);
    h2_event(visitor->peer.end);
    world_after(MILLISECONDS(100), say_more, visitor);
}

static void talks(struct h2_peer *peer)
{
    open_tunnel(peer, "websocket", "sec-websocket-version: 13\n");
    visitor_of(peer)->plan->server_field = "Sec-WebSocket-Version";
    visitor_of(peer)->plan->server_value = "13";
    world_after(MILLISECONDS(50), say_more, visitor_of(peer));
}

static void talks_at_once(struct h2_peer *peer)
{
    open_tunnel(peer, "websocket", "");
    while (visitor_of(peer)->said < SAID)
        say_more(visitor_of(peer));
}

static void listens(struct h2_peer *peer)
{
    open_tunnel(peer, "websocket", "");
    visitor_of(peer)->plan->body_size = 0;
}

static void resets(void *argument)
{
    struct h2_visitor *visitor = argument;
    h2_number(&visitor->peer, FRAME_RST_STREAM, 1, 8);
    h2_event(visitor->peer.end);
}
static void resets_within(struct h2_peer *peer)
{
    talks(peer);
    world_after(MILLISECONDS(180), resets, visitor_of(peer));
}

static void goes_away(void *argument)
{
    h2_close(&((struct h2_visitor *)argument)->peer, true);
}
static void goes_away_within(struct h2_peer *peer)
{
    talks(peer);
    world_after(MILLISECONDS(180), goes_away, visitor_of(peer));
}

static void reads_slowly(struct h2_peer *peer)
{
    peer->keeps_windows = true; /* which end long before the answer does */
    talks(peer);
    visitor_of(peer)->plan->reply_size = MUCH;
}

static void is_refused(struct h2_peer *peer)
{
    visitor_of(peer)->plan->manner = MANNER_GARBAGE;
    visitor_of(peer)->plan->manner_stays = true;
    open_tunnel(peer, "websocket", "");
}

static void wants_another_protocol(struct h2_peer *peer)
{
    open_tunnel(peer, "sim", "");
}

static const struct h2_deed DEEDS[] = {
    {"talks through a tunnel", talks, SERVED},
    {"talks before there is a tunnel", talks_at_once, SERVED},
    {"only listens to a tunnel", listens, NOT_SERVED}, /* once all is said it is idle */
    {"resets a tunnel", resets_within, NOT_SERVED},
    {"leaves a tunnel", goes_away_within, NOT_SERVED},
    {"reads a tunnel slowly", reads_slowly, NOT_SERVED},
    {"gets no tunnel", is_refused, NOT_SERVED},
    {"wants another tunnel", wants_another_protocol, NOT_SERVED},
    {NULL, NULL, SERVED}};

void h2_tunnels(void)
{
    visitors_do(DEEDS)->keeps_tunnels = true;
    scenario_site("timeouts tunnel=4s client_write=3s\n"
                  "upstream app {\n    server 10.0.0.1:8000\n}\n",
                  "app");
}
void h2_tunnels_check(void)
{
    visitors_check();
    for (unsigned id = 1; id <= plans_count(); id++) {
        const struct plan *plan = plan_of(id);
        if (plan->upgrades && plan->outcome == OUTCOME_WHOLE && plan->arrived != plan->body_size)
            world_broken("pairing", "a server got %zu of %zu bytes through tunnel %u",
                         plan->arrived, plan->body_size, id);
    }
}
