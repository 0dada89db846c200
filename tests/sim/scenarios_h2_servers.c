/* SPDX-License-Identifier: Apache-2.0 */
/* Servers that speak HTTP/2 by hand: unusual and right, and wrong in every way. Each is asked for a
 * GET and then for a POST. */
#include "scenarios.h"

#include "h2_peer.h"
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DEEDS_MAX = 48,
    REPLY = 100,
    POSTED = 3000,
    STORM = 3000,
    FIRST_WINDOW = 700,   /* less than is posted */
    CONNECTIONS_MAX = 30, /* for two requests, and looks at one that is down once a second */
};

struct host;
struct deed {
    const char *name;
    void (*connected)(struct h2_peer *peer);                     /* NULL: it says its settings */
    void (*asked)(struct h2_peer *peer, struct h2_seen *stream); /* NULL: it answers */
    bool is_right;
    bool is_either; /* it may be served, if the others are */
    bool refuses;   /* what it refuses it has not done: a POST too may be asked again */
};

static struct host {
    struct service service;
    const struct deed *deed;
    struct client *client;
    unsigned connections, asked, said;
} hosts[DEEDS_MAX];
static unsigned hosts_count;

static struct host *host_of(struct h2_peer *peer)
{
    return peer->owner;
}

static struct plan *plan_of_stream(const struct h2_seen *stream)
{
    return stream->owner;
}

/* Answers. */

static void head(struct h2_peer *peer, struct h2_seen *stream, unsigned flags, const char *more)
{
    char lines[512];
    snprintf(lines, sizeof lines, ":status: 200\nx-sim: %u\n%s", plan_of_stream(stream)->id, more);
    h2_head(peer, stream->id, flags | FLAG_END_HEADERS, lines);
}

static void data(struct h2_peer *peer, struct h2_seen *stream, unsigned flags, size_t from,
                 size_t size)
{
    char bytes[REPLY * 4];
    for (size_t i = 0; i < size; i++)
        bytes[i] = plan_byte(plan_of_stream(stream), true, from + i);
    h2_frame(peer, FRAME_DATA, flags, stream->id, bytes, size);
}

static void answer(struct h2_peer *peer, struct h2_seen *stream)
{
    head(peer, stream, 0, "");
    data(peer, stream, FLAG_END_STREAM, 0, REPLY);
}

/* Right. */

static void answers_in_pieces(struct h2_peer *peer, struct h2_seen *stream)
{
    h2_head(peer, stream->id, FLAG_END_HEADERS, ":status: 103\nlink: </a>\n");
    head(peer, stream, 0, "content-length: 100\n");
    for (size_t at = 0; at < REPLY; at += 10)
        data(peer, stream, 0, at, 10);
    h2_head(peer, stream->id, FLAG_END_HEADERS | FLAG_END_STREAM, "x-checksum: 7\n");
}

static void speaks_of_unknown_things(struct h2_peer *peer, struct h2_seen *stream)
{
    h2_frame(peer, 0x42, 0xff, 0, "what", 4);
    h2_setting(peer, 0x0a0a, 7);
    head(peer, stream, 0, "");
    h2_frame(peer, 0x43, 0x05, stream->id, "what", 4);
    data(peer, stream, 0, 0, REPLY);
    h2_frame(peer, FRAME_PING, 0, 0, "12345678", 8);
    h2_frame(peer, FRAME_DATA, FLAG_END_STREAM, stream->id, "", 0);
}

static void says_goodbye(struct h2_peer *peer, struct h2_seen *stream)
{
    char last[8] = {0, 0, 0, (char)stream->id};
    h2_frame(peer, FRAME_GOAWAY, 0, 0, last, 8);
    answer(peer, stream);
}

static void has_a_small_window(struct h2_peer *peer)
{
    h2_setting(peer, SETTING_WINDOW, FIRST_WINDOW);
}

static void has_one_place(struct h2_peer *peer)
{
    h2_setting(peer, SETTING_STREAMS, 1);
}

static void drips(struct h2_peer *peer)
{
    peer->piece = 1;
    h2_setting(peer, 0, 0);
}

static void refuses_once(struct h2_peer *peer, struct h2_seen *stream)
{
    if (host_of(peer)->asked++ % 2 == 1)
        answer(peer, stream);
    else
        h2_number(peer, FRAME_RST_STREAM, stream->id, 7);
}

static void leaves_once(struct h2_peer *peer, struct h2_seen *stream)
{
    if (host_of(peer)->asked++ % 2 == 1)
        answer(peer, stream);
    else
        h2_frame(peer, FRAME_GOAWAY, 0, 0, "\0\0\0\0\0\0\0\0", 8);
}

/* Wrong: on connecting. */

static void speaks_http_1(struct h2_peer *peer)
{
    h2_write(peer, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 38);
}

static void closes(struct h2_peer *peer)
{
    h2_close(peer, false);
}

static void resets(struct h2_peer *peer)
{
    h2_close(peer, true);
}

static void says_no_settings(struct h2_peer *peer)
{
    h2_frame(peer, FRAME_PING, 0, 0, "12345678", 8);
}

static void grows_by_nothing(struct h2_peer *peer)
{
    h2_setting(peer, 0, 0);
    h2_number(peer, FRAME_WINDOW_UPDATE, 0, 0);
}

static void sets_too_much(struct h2_peer *peer)
{
    h2_setting(peer, SETTING_WINDOW, UINT32_MAX);
}

static void pushes_on(struct h2_peer *peer)
{
    h2_setting(peer, SETTING_PUSH, 1);
}

static void stops_within_a_frame(struct h2_peer *peer)
{
    h2_write(peer, "\0\0\6\4\0", 5);
}

#define FLOOD(name, what)                                                                          \
    static void on_room_##name(struct h2_peer *peer)                                               \
    {                                                                                              \
        if (host_of(peer)->said++ < STORM) {                                                       \
            what;                                                                                  \
        }                                                                                          \
    }                                                                                              \
    static void name(struct h2_peer *peer)                                                         \
    {                                                                                              \
        h2_setting(peer, 0, 0);                                                                    \
        peer->on_room = on_room_##name;                                                            \
    }
FLOOD(pings_for_ever, h2_frame(peer, FRAME_PING, 0, 0, "12345678", 8))
FLOOD(sets_for_ever, h2_setting(peer, SETTING_STREAMS, 7))

/* Wrong: when asked. */

static void sends_data_first(struct h2_peer *peer, struct h2_seen *stream)
{
    data(peer, stream, FLAG_END_STREAM, 0, REPLY);
}

static void answers_somebody_else(struct h2_peer *peer, struct h2_seen *stream)
{
    (void)stream;
    h2_head(peer, 101, FLAG_END_HEADERS | FLAG_END_STREAM, ":status: 200\n");
}

static void opens_a_stream(struct h2_peer *peer, struct h2_seen *stream)
{
    (void)stream;
    h2_head(peer, 2, FLAG_END_HEADERS | FLAG_END_STREAM, ":status: 200\n");
}

static void pushes(struct h2_peer *peer, struct h2_seen *stream)
{
    h2_frame(peer, FRAME_PUSH_PROMISE, FLAG_END_HEADERS, stream->id, "\0\0\0\2\x82\x84\x86", 7);
    answer(peer, stream);
}

static void packs_garbage(struct h2_peer *peer, struct h2_seen *stream)
{
    h2_frame(peer, FRAME_HEADERS, FLAG_END_HEADERS, stream->id, "\xff\xff\xff\xff\xff\xff", 6);
}

static void sends_a_large_frame(struct h2_peer *peer, struct h2_seen *stream)
{
    static const char ZEROS[20000];
    head(peer, stream, 0, "");
    h2_frame(peer, FRAME_DATA, 0, stream->id, ZEROS, sizeof ZEROS);
}

#define HEAD(name, lines)                                                                          \
    static void name(struct h2_peer *peer, struct h2_seen *stream)                                 \
    {                                                                                              \
        h2_head(peer, stream->id, FLAG_END_HEADERS | FLAG_END_STREAM, lines);                      \
    }
HEAD(has_no_status, "x-a: b\n")
HEAD(has_a_strange_status, ":status: abc\n")
HEAD(has_two_statuses, ":status: 200\n:status: 200\n")
HEAD(answers_in_capitals, ":status: 200\nX-Capital: b\n")
HEAD(has_a_connection, ":status: 200\nconnection: close\n")
HEAD(has_an_encoding, ":status: 200\ntransfer-encoding: chunked\n")
HEAD(has_a_late_status, "x-a: b\n:status: 200\n")
HEAD(has_a_path, ":status: 200\n:path: /\n")
HEAD(has_a_line_end, ":status: 200\nx-a: b\rc\n")
HEAD(says_more_than_it_sends, ":status: 200\ncontent-length: 7\n")
HEAD(switches_protocols, ":status: 101\n")

static void sends_more_than_it_says(struct h2_peer *peer, struct h2_seen *stream)
{
    head(peer, stream, 0, "content-length: 7\n");
    data(peer, stream, FLAG_END_STREAM, 0, REPLY);
}

static void never_ends_its_head(struct h2_peer *peer, struct h2_seen *stream)
{
    h2_head(peer, stream->id, 0, ":status: 200\n");
}

static void pings_within_a_head(struct h2_peer *peer, struct h2_seen *stream)
{
    h2_head(peer, stream->id, 0, ":status: 200\n");
    h2_frame(peer, FRAME_PING, 0, 0, "12345678", 8);
}

static void on_room_goes_on(struct h2_peer *peer)
{
    char block[64];
    size_t size = h2_pack("x-more: and more\n", block);
    if (host_of(peer)->said++ < STORM)
        h2_frame(peer, FRAME_CONTINUATION, 0, peer->opened, block, size);
}
static void goes_on_for_ever(struct h2_peer *peer, struct h2_seen *stream)
{
    h2_head(peer, stream->id, 0, ":status: 200\n");
    peer->on_room = on_room_goes_on;
}

static void resets_the_stream(struct h2_peer *peer, struct h2_seen *stream)
{
    h2_number(peer, FRAME_RST_STREAM, stream->id, 2);
}

static void resets_within(struct h2_peer *peer, struct h2_seen *stream)
{
    head(peer, stream, 0, "");
    data(peer, stream, 0, 0, REPLY / 2);
    h2_number(peer, FRAME_RST_STREAM, stream->id, 2);
}

static void goes_away(struct h2_peer *peer, struct h2_seen *stream)
{
    char last[8] = {0, 0, 0, (char)stream->id, 0, 0, 0, 2};
    h2_frame(peer, FRAME_GOAWAY, 0, 0, last, 8);
    peer->on_room = closes;
}

static void stops_within(struct h2_peer *peer, struct h2_seen *stream)
{
    head(peer, stream, 0, "");
    data(peer, stream, 0, 0, REPLY / 2);
}

static const struct deed DEEDS[] = {
    {"answers", NULL, NULL, .is_right = true},
    {"answers in pieces", NULL, answers_in_pieces, .is_right = true},
    {"speaks of unknown things", NULL, speaks_of_unknown_things, .is_right = true},
    {"says goodbye", NULL, says_goodbye, .is_right = true},
    {"has a small window", has_a_small_window, NULL, .is_right = true},
    {"has one place", has_one_place, NULL, .is_right = true},
    {"drips", drips, NULL, .is_right = true},
    {"refuses once", NULL, refuses_once, .is_right = true, .refuses = true},
    {"leaves once", NULL, leaves_once, .is_right = true, .refuses = true},
    {"speaks HTTP/1", speaks_http_1, NULL, .is_right = false},
    {"closes", closes, NULL, .is_right = false},
    {"resets", resets, NULL, .is_right = false},
    {"says no settings", says_no_settings, NULL, .is_right = false},
    {"grows by nothing", grows_by_nothing, NULL, .is_right = false},
    {"sets too much", sets_too_much, NULL, .is_right = false},
    {"pushes on", pushes_on, NULL, .is_right = false},
    {"stops within a frame", stops_within_a_frame, NULL, .is_right = false},
    {"pings for ever", pings_for_ever, NULL, .is_either = true},
    {"sets for ever", sets_for_ever, NULL, .is_either = true},
    {"sends data first", NULL, sends_data_first, .is_right = false},
    {"answers somebody else", NULL, answers_somebody_else, .is_right = false},
    {"opens a stream", NULL, opens_a_stream, .is_right = false},
    {"pushes", NULL, pushes, .is_right = false},
    {"packs garbage", NULL, packs_garbage, .is_right = false},
    {"sends a large frame", NULL, sends_a_large_frame, .is_right = false},
    {"has no status", NULL, has_no_status, .is_right = false},
    {"has a strange status", NULL, has_a_strange_status, .is_right = false},
    {"has two statuses", NULL, has_two_statuses, .is_right = false},
    {"answers in capitals", NULL, answers_in_capitals, .is_right = false},
    {"has a connection", NULL, has_a_connection, .is_right = false},
    {"has an encoding", NULL, has_an_encoding, .is_right = false},
    {"has a late status", NULL, has_a_late_status, .is_right = false},
    {"has a path", NULL, has_a_path, .is_right = false},
    {"has a line end", NULL, has_a_line_end, .is_right = false},
    {"says more than it sends", NULL, says_more_than_it_sends, .is_right = false},
    {"switches protocols", NULL, switches_protocols, .is_right = false},
    {"sends more than it says", NULL, sends_more_than_it_says, .is_right = false},
    {"never ends its head", NULL, never_ends_its_head, .is_right = false},
    {"pings within a head", NULL, pings_within_a_head, .is_right = false},
    {"goes on for ever", NULL, goes_on_for_ever, .is_right = false},
    {"resets the stream", NULL, resets_the_stream, .is_right = false},
    {"resets within", NULL, resets_within, .is_right = false},
    {"goes away", NULL, goes_away, .is_right = false},
    {"stops within", NULL, stops_within, .is_right = false},
};

/* What weir asks for. */

static void on_head(struct h2_peer *peer, struct h2_seen *stream)
{
    struct plan *plan = plan_of(stream->number);
    const struct host *host = host_of(peer);
    char path[64];
    if (plan == NULL || (plan != host->client->plans[0] && plan != host->client->plans[1]))
        world_broken("pairing", "a server got a request that is not for it: %s", stream->path);
    snprintf(path, sizeof path, "%s/r/%u", plan->way, plan->id);
    if (strcmp(stream->path, path) != 0 || strcmp(stream->method, plan->method) != 0)
        world_broken("strictness", "request %u came as %s %s", plan->id, stream->method,
                     stream->path);
    if (++plan->heads > 1 && !plan_is_idempotent(plan) && !host->deed->refuses)
        world_broken("once", "%s %u reached servers %u times", plan->method, plan->id, plan->heads);
    world_trace("h2 server: %s %u, time %u", plan->method, plan->id, plan->heads);
    stream->owner = plan;
}

static void on_data(struct h2_peer *peer, struct h2_seen *stream, const char *bytes, size_t size)
{
    const struct plan *plan = plan_of_stream(stream);
    (void)peer;
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != plan_byte(plan, false, stream->body + i))
            world_broken("pairing", "byte %llu of the body of request %u is another",
                         (unsigned long long)(stream->body + i), plan->id);
}

static void on_end(struct h2_peer *peer, struct h2_seen *stream)
{
    struct plan *plan = plan_of_stream(stream);
    const struct deed *deed = host_of(peer)->deed;
    if (stream->is_reset)
        return;
    if (stream->body != plan->body_size)
        world_broken("pairing", "the body of request %u has %llu of %zu bytes", plan->id,
                     (unsigned long long)stream->body, plan->body_size);
    plan->wholes++;
    (deed->asked == NULL ? answer : deed->asked)(peer, stream);
}

static void on_accept(struct service *service, struct end *end)
{
    struct host *host = service->owner;
    struct h2_peer *peer = world_alloc(sizeof *peer);
    peer->is_server = true;
    peer->owner = host;
    peer->on_head = on_head;
    peer->on_data = on_data;
    peer->on_end = on_end;
    host->connections++;
    h2_begin(peer, end);
    if (host->deed->connected == NULL)
        h2_setting(peer, 0, 0);
    else
        host->deed->connected(peer);
    end_tell(end, 0);
}

static void add_host(unsigned number, char *routes, size_t room)
{
    struct host *host = &hosts[number];
    char place[32], *way = world_alloc(16);
    *host = (struct host){.deed = &DEEDS[number]};
    snprintf(place, sizeof place, "10.0.1.%u:8000", number + 1);
    snprintf(way, 16, "/m%u", number);
    host->service = (struct service){.address = scenario_address(place),
                                     .network = scenario_calm(),
                                     .on_accept = on_accept,
                                     .owner = host};
    service_add(&host->service);
    size_t size = strlen(routes);
    snprintf(routes + size, room - size,
             "    route %s/* {\n        proxy %s http=2 first_byte_timeout=5s idle_timeout=5s\n"
             "    }\n",
             way, place);
    struct client *client = host->client = scenario_client(2);
    char from[32];
    snprintf(from, sizeof from, "10.2.3.%u:4000", number + 1);
    client->from = scenario_address(from);
    client->plans[0]->way = client->plans[1]->way = way;
    client->plans[1]->method = "POST";
    client->plans[1]->body = BODY_LENGTH;
    client->plans[1]->body_size = POSTED;
    client_start(client, MILLISECONDS(200) + MILLISECONDS(40) * number);
}

void h2_servers_by_hand(void)
{
    static char routes[12 * 1024];
    routes[0] = '\0';
    hosts_count = sizeof DEEDS / sizeof *DEEDS;
    for (unsigned i = 0; i < hosts_count; i++)
        add_host(i, routes, sizeof routes);
    scenario_config("workers 1\nlog access {\n    to file:/var/log/access.log\n    format json\n}\n"
                    "site * {\n    listen 10.1.0.1:80\n%s    respond 404\n}\n",
                    routes);
    actors_expect_trouble();
}
void h2_servers_by_hand_check(void)
{
    for (unsigned i = 0; i < hosts_count; i++)
        if (hosts[i].connections > CONNECTIONS_MAX)
            world_broken("expectation", "a server that %s was connected to %u times",
                         hosts[i].deed->name, hosts[i].connections);
    for (unsigned i = 0; i < hosts_count; i++)
        for (unsigned r = 0; r < 2; r++) {
            const struct plan *plan = hosts[i].client->plans[r];
            bool is_whole = plan->outcome == OUTCOME_WHOLE;
            if (is_whole != hosts[i].deed->is_right && !hosts[i].deed->is_either)
                world_broken("expectation", "a server %s: its %s ends %d, status %d",
                             hosts[i].deed->name, plan->method, plan->outcome, plan->got_status);
        }
}
