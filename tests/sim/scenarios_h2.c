/* SPDX-License-Identifier: Apache-2.0 */
/* Clients that speak HTTP/2 by hand: unusual and right, wrong in every way, and too much of it. */
#include "scenarios.h"

#include "h2_peer.h"
#include "world.h"

#include <stdio.h>
#include <string.h>

enum {
    DEEDS_MAX = 80,
    REPLY = 100,
    STORM = 3000, /* more than any limit */
    OVER_S = 12,  /* a connection that is refused is over then */
};

/* What has to become of it. */
enum ending {
    SERVED,
    NOT_SERVED, /* the stream, or the connection with it */
    SENT_AWAY,  /* the connection, with an error */
    BOUNDED,    /* it may be served, sent away: weir and the others are well */
};

struct deed {
    const char *name;
    void (*does)(struct h2_peer *peer);
    enum ending ending;
};

static const char ZEROS[20000];
static struct client *client;
static struct server_actor *server;
static struct h2_visitor {
    struct h2_peer peer;
    const struct deed *deed;
    struct plan *plan;
    struct plan *second;
    unsigned said; /* of a flood */
    bool was_over; /* before it left by itself */
} visitors[DEEDS_MAX];
static unsigned visitors_count;

static struct h2_visitor *visitor_of(struct h2_peer *peer)
{
    return (struct h2_visitor *)peer->owner;
}

/* The head of a plan's request. */
static const char *head_of(const struct plan *plan)
{
    static char text[1024];
    snprintf(text, sizeof text,
             ":method: %s\n:scheme: http\n:authority: sim.test\n:path: %s/r/%u\nx-sim: %u\n",
             plan->method, plan->way, plan->id, plan->id);
    return text;
}

static void hello(struct h2_peer *peer)
{
    h2_write(peer, H2_HELLO, strlen(H2_HELLO));
    h2_setting(peer, 0, 0);
}

static void ask(struct h2_peer *peer, uint32_t id, struct plan *plan)
{
    h2_head(peer, id, FLAG_END_HEADERS | FLAG_END_STREAM, head_of(plan));
    h2_stream(peer, id)->owner = plan;
    plan->was_sent = true;
}

static void ask_first(struct h2_peer *peer)
{
    ask(peer, 1, visitor_of(peer)->plan);
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

/* Deeds that are right. */

static void gets(struct h2_peer *peer)
{
    hello(peer);
    ask_first(peer);
}

static void speaks_of_unknown_things(struct h2_peer *peer)
{
    hello(peer);
    h2_setting(peer, 0x0a0a, 7);
    h2_frame(peer, 0x42, 0xff, 0, "what", 4);
    ask_first(peer);
    h2_frame(peer, 0x43, 0x04, 1, "", 0);
    h2_frame(peer, FRAME_PRIORITY, 0, 9, "\0\0\0\0\7", 5);
    h2_frame(peer, FRAME_PING, 0, 0, "12345678", 8);
}

static void pads(struct h2_peer *peer)
{
    struct plan *plan = visitor_of(peer)->plan;
    char block[1024] = {9};
    plan->method = "PUT";
    plan->body = BODY_CHUNKED;
    plan->body_size = 50;
    hello(peer);
    size_t size = 1 + h2_pack(head_of(plan), block + 1);
    h2_frame(peer, FRAME_HEADERS, FLAG_END_HEADERS | FLAG_PADDED, 1, block, size + 9);
    h2_stream(peer, 1)->owner = plan;
    for (size_t at = 0; at < 50; at += 10) {
        char data[1 + 10 + 200] = {(char)200};
        for (size_t i = 0; i < 10; i++)
            data[1 + i] = plan_byte(plan, false, at + i);
        h2_frame(peer, FRAME_DATA, FLAG_PADDED | (at == 40 ? FLAG_END_STREAM : 0), 1, data,
                 sizeof data);
    }
}

static void goes_on_byte_by_byte(struct h2_peer *peer)
{
    char block[1024];
    hello(peer);
    size_t size = h2_pack(head_of(visitor_of(peer)->plan), block);
    h2_frame(peer, FRAME_HEADERS, FLAG_END_STREAM, 1, block, 1);
    h2_stream(peer, 1)->owner = visitor_of(peer)->plan;
    size_t at = 1;
    for (; at < size && at < 8; at++) /* few: many are a flood */
        h2_frame(peer, FRAME_CONTINUATION, 0, 1, block + at, 1);
    h2_frame(peer, FRAME_CONTINUATION, FLAG_END_HEADERS, 1, block + at, size - at);
}

static void drips(struct h2_peer *peer)
{
    peer->piece = 1;
    gets(peer);
}

static void opens_its_window_later(struct h2_peer *peer)
{
    h2_write(peer, H2_HELLO, strlen(H2_HELLO));
    h2_setting(peer, SETTING_WINDOW, 1);
    ask_first(peer);
}

static void adds_trailers(struct h2_peer *peer)
{
    struct plan *plan = visitor_of(peer)->plan;
    plan->method = "PUT";
    plan->body = BODY_CHUNKED;
    plan->body_size = 3;
    hello(peer);
    h2_head(peer, 1, FLAG_END_HEADERS, head_of(plan));
    h2_stream(peer, 1)->owner = plan;
    char data[3] = {plan_byte(plan, false, 0), plan_byte(plan, false, 1),
                    plan_byte(plan, false, 2)};
    h2_frame(peer, FRAME_DATA, 0, 1, data, 0);
    h2_frame(peer, FRAME_DATA, 0, 1, data, 3);
    h2_head(peer, 1, FLAG_END_HEADERS | FLAG_END_STREAM, "x-checksum: 7\n");
}

static void says_goodbye_first(struct h2_peer *peer)
{
    gets(peer);
    h2_frame(peer, FRAME_GOAWAY, 0, 0, "\0\0\0\0\0\0\0\0", 8);
}

static void skips_numbers(struct h2_peer *peer)
{
    struct h2_visitor *visitor = visitor_of(peer);
    hello(peer);
    ask(peer, 7, visitor->plan);
    visitor->second = plan_new();
    visitor->second->reply_size = REPLY;
    ask(peer, 0x7ffffffd, visitor->second);
}

/* Deeds that are wrong: the connection ends with an error. */

static void says_another_hello(struct h2_peer *peer)
{
    peer->expects_other = true;
    h2_write(peer, "PRI * HTTP/2.0\r\n\r\nSX\r\n\r\n", 24);
    h2_setting(peer, 0, 0);
    ask_first(peer);
}

static void says_no_settings(struct h2_peer *peer)
{
    h2_write(peer, H2_HELLO, strlen(H2_HELLO));
    ask_first(peer);
}

static void grows_its_window_by_nothing(struct h2_peer *peer)
{
    hello(peer);
    h2_number(peer, FRAME_WINDOW_UPDATE, 0, 0);
}

static void grows_a_window_by_nothing(struct h2_peer *peer)
{
    gets(peer);
    h2_number(peer, FRAME_WINDOW_UPDATE, 1, 0);
}

static void grows_its_window_too_far(struct h2_peer *peer)
{
    hello(peer);
    h2_number(peer, FRAME_WINDOW_UPDATE, 0, INT32_MAX);
}

static void grows_a_window_too_far(struct h2_peer *peer)
{
    gets(peer);
    h2_number(peer, FRAME_WINDOW_UPDATE, 1, INT32_MAX);
}

static void sends_data_to_nobody(struct h2_peer *peer)
{
    hello(peer);
    h2_frame(peer, FRAME_DATA, 0, 0, "abc", 3);
}

static void sends_data_to_an_idle_stream(struct h2_peer *peer)
{
    hello(peer);
    h2_frame(peer, FRAME_DATA, 0, 5, "abc", 3);
}

static void opens_no_stream(struct h2_peer *peer)
{
    hello(peer);
    h2_head(peer, 0, FLAG_END_HEADERS | FLAG_END_STREAM, head_of(visitor_of(peer)->plan));
}

static void opens_an_even_stream(struct h2_peer *peer)
{
    hello(peer);
    h2_head(peer, 2, FLAG_END_HEADERS | FLAG_END_STREAM, head_of(visitor_of(peer)->plan));
}

static void uses_a_stream_again(struct h2_peer *peer)
{
    struct h2_visitor *visitor = visitor_of(peer);
    gets(peer);
    visitor->second = plan_new();
    visitor->second->is_unheard = true;
    h2_head(peer, 1, FLAG_END_HEADERS | FLAG_END_STREAM, head_of(visitor->second));
}

static void opens_a_stream_too_late(struct h2_peer *peer)
{
    struct h2_visitor *visitor = visitor_of(peer);
    hello(peer);
    ask(peer, 5, visitor->plan);
    visitor->second = plan_new();
    visitor->second->is_unheard = true;
    h2_head(peer, 3, FLAG_END_HEADERS | FLAG_END_STREAM, head_of(visitor->second));
}

static void goes_on_with_nothing(struct h2_peer *peer)
{
    hello(peer);
    h2_frame(peer, FRAME_CONTINUATION, FLAG_END_HEADERS, 1, "", 0);
}

static void pings_within_a_head(struct h2_peer *peer)
{
    hello(peer);
    h2_head(peer, 1, FLAG_END_STREAM, head_of(visitor_of(peer)->plan));
    h2_frame(peer, FRAME_PING, 0, 0, "12345678", 8);
}

static void sends_a_large_frame(struct h2_peer *peer)
{
    hello(peer);
    h2_frame(peer, FRAME_DATA, 0, 1, ZEROS, sizeof ZEROS);
}

static void sends_half_a_setting(struct h2_peer *peer)
{
    hello(peer);
    h2_frame(peer, FRAME_SETTINGS, 0, 0, "12345", 5);
}

static void sets_a_stream(struct h2_peer *peer)
{
    hello(peer);
    h2_frame(peer, FRAME_SETTINGS, 0, 1, "", 0);
}

static void acknowledges_with_words(struct h2_peer *peer)
{
    hello(peer);
    h2_frame(peer, FRAME_SETTINGS, FLAG_ACK, 0, "123456", 6);
}

static void sets_a_huge_window(struct h2_peer *peer)
{
    hello(peer);
    h2_frame(peer, FRAME_SETTINGS, 0, 0, "\0\4\xff\xff\xff\xff", 6);
}

static void sets_a_tiny_frame(struct h2_peer *peer)
{
    hello(peer);
    h2_setting(peer, SETTING_FRAME, 1);
}

static void sets_another_push(struct h2_peer *peer)
{
    hello(peer);
    h2_setting(peer, SETTING_PUSH, 2);
}

static void pings_short(struct h2_peer *peer)
{
    hello(peer);
    h2_frame(peer, FRAME_PING, 0, 0, "1234567", 7);
}

static void resets_an_idle_stream(struct h2_peer *peer)
{
    hello(peer);
    h2_number(peer, FRAME_RST_STREAM, 9, 8);
}

static void resets_short(struct h2_peer *peer)
{
    gets(peer);
    h2_frame(peer, FRAME_RST_STREAM, 0, 1, "123", 3);
}

static void pushes(struct h2_peer *peer)
{
    char block[1024] = {0, 0, 0, 2};
    gets(peer);
    size_t size = 4 + h2_pack(head_of(visitor_of(peer)->plan), block + 4);
    h2_frame(peer, FRAME_PUSH_PROMISE, FLAG_END_HEADERS, 1, block, size);
}

static void pads_too_much(struct h2_peer *peer)
{
    hello(peer);
    h2_frame(peer, FRAME_HEADERS, FLAG_END_HEADERS | FLAG_END_STREAM | FLAG_PADDED, 1, "\xff\1", 2);
}

static void packs_garbage(struct h2_peer *peer)
{
    hello(peer);
    h2_frame(peer, FRAME_HEADERS, FLAG_END_HEADERS | FLAG_END_STREAM, 1, "\xff\xff\xff\xff\xff\xff",
             6);
}

static void says_a_short_goodbye(struct h2_peer *peer)
{
    hello(peer);
    h2_frame(peer, FRAME_GOAWAY, 0, 0, "1234567", 7);
}

static void speaks_http_1(struct h2_peer *peer)
{
    hello(peer);
    h2_write(peer, "GET / HTTP/1.1\r\nHost: sim.test\r\n\r\n", 34);
}

/* Heads that must not be forwarded. */

static void ask_with(struct h2_peer *peer, const char *pseudo_fields)
{
    char lines[1024];
    struct plan *plan = visitor_of(peer)->plan;
    snprintf(lines, sizeof lines, "%sx-sim: %u\n", pseudo_fields, plan->id);
    plan->is_unheard = true;
    hello(peer);
    h2_head(peer, 1, FLAG_END_HEADERS | FLAG_END_STREAM, lines);
    h2_stream(peer, 1)->owner = plan;
}

#define HEAD(name, lines)                                                                          \
    static void name(struct h2_peer *peer)                                                         \
    {                                                                                              \
        ask_with(peer, lines);                                                                     \
    }
HEAD(asks_for_nothing, ":method: GET\n:scheme: http\n:authority: sim.test\n")
HEAD(asks_with_no_method, ":scheme: http\n:authority: sim.test\n:path: /\n")
HEAD(asks_with_two_methods,
     ":method: GET\n:method: PUT\n:scheme: http\n:authority: sim.test\n:path: /\n")
HEAD(asks_with_an_empty_path, ":method: GET\n:scheme: http\n:authority: sim.test\n:path: \n")
HEAD(asks_with_a_late_pseudo_field,
     ":method: GET\n:scheme: http\n:authority: sim.test\nx-a: b\n:path: /\n")
HEAD(asks_with_another_pseudo_field,
     ":method: GET\n:scheme: http\n:authority: sim.test\n:path: /\n:status: 200\n")
HEAD(asks_in_capitals,
     ":method: GET\n:scheme: http\n:authority: sim.test\n:path: /\nX-Capital: b\n")
HEAD(asks_with_a_connection,
     ":method: GET\n:scheme: http\n:authority: sim.test\n:path: /\nconnection: close\n")
HEAD(asks_with_an_encoding,
     ":method: GET\n:scheme: http\n:authority: sim.test\n:path: /\ntransfer-encoding: chunked\n")
HEAD(asks_with_te, ":method: GET\n:scheme: http\n:authority: sim.test\n:path: /\nte: gzip\n")
HEAD(asks_with_cr, ":method: GET\n:scheme: http\n:authority: sim.test\n:path: /\nx-a: b\rc\n")
HEAD(asks_with_a_length,
     ":method: PUT\n:scheme: http\n:authority: sim.test\n:path: /\ncontent-length: 7\n")
HEAD(asks_two_hosts,
     ":method: GET\n:scheme: http\n:authority: sim.test\n:path: /\nhost: other.test\n")

static void sends_more_than_it_said(struct h2_peer *peer)
{
    char lines[512];
    struct plan *plan = visitor_of(peer)->plan;
    plan->method = "POST";
    plan->body = BODY_LENGTH;
    plan->body_size = 3;
    plan->misframing = CUT_OFF;
    hello(peer);
    snprintf(lines, sizeof lines, "%scontent-length: 3\n", head_of(plan));
    h2_head(peer, 1, FLAG_END_HEADERS, lines);
    h2_stream(peer, 1)->owner = plan;
    h2_frame(peer, FRAME_DATA, FLAG_END_STREAM, 1, "abcdefg", 7);
}

/* Too much. */

static void on_room_resets(struct h2_peer *peer)
{
    const struct h2_seen *last = peer->streams;
    uint32_t next = last == NULL ? 1 : last->id + 2;
    if (next > 2 * STORM)
        return;
    struct plan *plan = visitor_of(peer)->plan;
    h2_head(peer, next, FLAG_END_HEADERS | FLAG_END_STREAM, head_of(plan));
    h2_number(peer, FRAME_RST_STREAM, next, 8);
}
static void resets_for_ever(struct h2_peer *peer)
{
    hello(peer);
    peer->on_room = on_room_resets;
}

#define FLOOD(name, what)                                                                          \
    static void on_room_##name(struct h2_peer *peer)                                               \
    {                                                                                              \
        if (visitor_of(peer)->said++ < STORM) {                                                    \
            what;                                                                                  \
        }                                                                                          \
    }                                                                                              \
    static void name(struct h2_peer *peer)                                                         \
    {                                                                                              \
        hello(peer);                                                                               \
        peer->on_room = on_room_##name;                                                            \
    }
FLOOD(pings_for_ever, h2_frame(peer, FRAME_PING, 0, 0, "12345678", 8))
FLOOD(sets_for_ever, h2_setting(peer, SETTING_STREAMS, 7))
FLOOD(prioritises_for_ever, h2_frame(peer, FRAME_PRIORITY, 0, 3, "\0\0\0\0\7", 5))
FLOOD(sends_unknown_things_for_ever, h2_frame(peer, 0x42, 0, 0, ZEROS, 4000))
FLOOD(grows_for_ever, h2_number(peer, FRAME_WINDOW_UPDATE, 0, 1))

static void on_room_goes_on(struct h2_peer *peer)
{
    char block[64];
    size_t size = h2_pack("x-more: and more\n", block);
    if (visitor_of(peer)->said++ < STORM)
        h2_frame(peer, FRAME_CONTINUATION, 0, 1, block, size);
}
static void goes_on_for_ever(struct h2_peer *peer)
{
    hello(peer);
    h2_head(peer, 1, FLAG_END_STREAM, head_of(visitor_of(peer)->plan));
    peer->on_room = on_room_goes_on;
}

static void on_room_says_nothing(struct h2_peer *peer)
{
    if (visitor_of(peer)->said++ < STORM)
        h2_frame(peer, FRAME_DATA, 0, 1, "", 0);
}
static void sends_nothing_for_ever(struct h2_peer *peer)
{
    struct plan *plan = visitor_of(peer)->plan;
    plan->method = "PUT";
    plan->body = BODY_CHUNKED;
    hello(peer);
    h2_head(peer, 1, FLAG_END_HEADERS, head_of(plan));
    peer->on_room = on_room_says_nothing;
}

static void pings_and_reads_nothing(struct h2_peer *peer)
{
    pings_for_ever(peer);
    peer->reads_nothing = true;
}

static void stops_within_a_frame(struct h2_peer *peer)
{
    hello(peer);
    h2_write(peer, "\0\0\100\1\5", 5);
}

static void stops_within_a_head(struct h2_peer *peer)
{
    hello(peer);
    h2_head(peer, 1, FLAG_END_STREAM, head_of(visitor_of(peer)->plan));
}

static const struct deed RIGHT[] = {
    {"gets", gets, SERVED},
    {"speaks of unknown things", speaks_of_unknown_things, SERVED},
    {"pads", pads, SERVED},
    {"goes on byte by byte", goes_on_byte_by_byte, SERVED},
    {"drips", drips, SERVED},
    {"opens its window later", opens_its_window_later, SERVED},
    {"adds trailers", adds_trailers, SERVED},
    {"says goodbye first", says_goodbye_first, SERVED},
    {"skips numbers", skips_numbers, SERVED},
    {NULL, NULL, SERVED},
};

static const struct deed WRONG[] = {
    {"says another hello", says_another_hello, SENT_AWAY},
    {"says no settings", says_no_settings, SENT_AWAY},
    {"grows its window by nothing", grows_its_window_by_nothing, SENT_AWAY},
    {"grows a window by nothing", grows_a_window_by_nothing, NOT_SERVED},
    {"grows its window too far", grows_its_window_too_far, SENT_AWAY},
    {"grows a window too far", grows_a_window_too_far, NOT_SERVED},
    {"sends data to nobody", sends_data_to_nobody, SENT_AWAY},
    {"sends data to an idle stream", sends_data_to_an_idle_stream, SENT_AWAY},
    {"opens no stream", opens_no_stream, SENT_AWAY},
    {"opens an even stream", opens_an_even_stream, SENT_AWAY},
    {"uses a stream again", uses_a_stream_again, BOUNDED},
    {"opens a stream too late", opens_a_stream_too_late, SENT_AWAY},
    {"goes on with nothing", goes_on_with_nothing, SENT_AWAY},
    {"pings within a head", pings_within_a_head, SENT_AWAY},
    {"sends a large frame", sends_a_large_frame, SENT_AWAY},
    {"sends half a setting", sends_half_a_setting, SENT_AWAY},
    {"sets a stream", sets_a_stream, SENT_AWAY},
    {"acknowledges with words", acknowledges_with_words, SENT_AWAY},
    {"sets a huge window", sets_a_huge_window, SENT_AWAY},
    {"sets a tiny frame", sets_a_tiny_frame, SENT_AWAY},
    {"sets another push", sets_another_push, SENT_AWAY},
    {"pings short", pings_short, SENT_AWAY},
    {"resets an idle stream", resets_an_idle_stream, SENT_AWAY},
    {"resets short", resets_short, SENT_AWAY},
    {"pushes", pushes, SENT_AWAY},
    {"pads too much", pads_too_much, SENT_AWAY},
    {"packs garbage", packs_garbage, SENT_AWAY},
    {"says a short goodbye", says_a_short_goodbye, SENT_AWAY},
    {"speaks HTTP/1", speaks_http_1, SENT_AWAY},
    {"asks for nothing", asks_for_nothing, NOT_SERVED},
    {"asks with no method", asks_with_no_method, NOT_SERVED},
    {"asks with two methods", asks_with_two_methods, NOT_SERVED},
    {"asks with an empty path", asks_with_an_empty_path, NOT_SERVED},
    {"asks with a late pseudo-field", asks_with_a_late_pseudo_field, NOT_SERVED},
    {"asks with another pseudo-field", asks_with_another_pseudo_field, NOT_SERVED},
    {"asks in capitals", asks_in_capitals, NOT_SERVED},
    {"asks with a connection", asks_with_a_connection, NOT_SERVED},
    {"asks with an encoding", asks_with_an_encoding, NOT_SERVED},
    {"asks with te", asks_with_te, NOT_SERVED},
    {"asks with cr", asks_with_cr, NOT_SERVED},
    {"asks with a length", asks_with_a_length, NOT_SERVED},
    {"asks two hosts", asks_two_hosts, NOT_SERVED},
    {"sends more than it said", sends_more_than_it_said, NOT_SERVED},
    {"stops within a frame", stops_within_a_frame, BOUNDED},
    {"stops within a head", stops_within_a_head, BOUNDED},
    {NULL, NULL, SERVED},
};

static const struct deed FLOODS[] = {
    {"resets for ever", resets_for_ever, SENT_AWAY},
    {"pings for ever", pings_for_ever, SENT_AWAY},
    {"sets for ever", sets_for_ever, SENT_AWAY},
    {"prioritises for ever", prioritises_for_ever, SENT_AWAY},
    {"sends unknown things for ever", sends_unknown_things_for_ever, SENT_AWAY},
    {"grows for ever", grows_for_ever, SENT_AWAY},
    {"goes on for ever", goes_on_for_ever, SENT_AWAY},
    {"sends nothing for ever", sends_nothing_for_ever, SENT_AWAY},
    {"pings and reads nothing", pings_and_reads_nothing, BOUNDED},
    {NULL, NULL, SERVED},
};

static void arrive(void *argument)
{
    struct h2_visitor *visitor = argument;
    char text[32];
    snprintf(text, sizeof text, "10.2.8.%u:7000", (unsigned)(visitor - visitors) + 1);
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

static void do_all(const struct deed *deeds)
{
    scenario_site("upstream app {\n    server 10.0.0.1:8000\n}\n", "app");
    server = scenario_server(1);
    client = scenario_client(8);
    client->manner.idles = SECONDS(2);
    scenario_start(client);
    visitors_count = 0;
    for (const struct deed *deed = deeds; deed->name != NULL; deed++) {
        struct h2_visitor *visitor = &visitors[visitors_count++];
        visitor->deed = deed;
        visitor->plan = plan_new();
        visitor->plan->reply_size = REPLY;
        world_after(MILLISECONDS(300) + MILLISECONDS(20) * visitors_count, arrive, visitor);
        world_after(SECONDS(OVER_S), leave, visitor);
    }
    actors_expect_trouble();
}

static void expect_ending(const struct h2_visitor *visitor)
{
    const struct h2_peer *peer = &visitor->peer;
    const struct deed *deed = visitor->deed;
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

static void check_all(void)
{
    for (unsigned i = 0; i < visitors_count; i++)
        expect_ending(&visitors[i]);
    for (unsigned i = 0; i < client->count; i++)
        if (client->plans[i]->outcome != OUTCOME_WHOLE)
            world_broken("service", "request %u of somebody else was not served",
                         client->plans[i]->id);
}

void h2_by_hand(void)
{
    do_all(RIGHT);
}
void h2_by_hand_check(void)
{
    check_all();
}

void h2_misdeeds(void)
{
    do_all(WRONG);
}
void h2_misdeeds_check(void)
{
    check_all();
}

void h2_floods(void)
{
    do_all(FLOODS);
}
void h2_floods_check(void)
{
    check_all();
}
