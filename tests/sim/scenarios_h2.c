/* SPDX-License-Identifier: Apache-2.0 */
/* Clients that speak HTTP/2 by hand: unusual and right, and too much of it. */
#include "scenarios.h"

#include "h2_visitor.h"

#include <string.h>

enum {
    STORM = 3000, /* more than any limit */
};

/* Deeds that are right. */

static void speaks_of_unknown_things(struct h2_peer *peer)
{
    visitor_hello(peer);
    h2_setting(peer, 0x0a0a, 7);
    h2_frame(peer, 0x42, 0xff, 0, "what", 4);
    visitor_asks_first(peer);
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
    visitor_hello(peer);
    size_t size = 1 + h2_pack(visitor_head(plan), block + 1);
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
    visitor_hello(peer);
    size_t size = h2_pack(visitor_head(visitor_of(peer)->plan), block);
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
    visitor_gets(peer);
}

static void opens_its_window_later(struct h2_peer *peer)
{
    h2_write(peer, H2_HELLO, strlen(H2_HELLO));
    h2_setting(peer, SETTING_WINDOW, 1);
    visitor_asks_first(peer);
}

static void adds_trailers(struct h2_peer *peer)
{
    struct plan *plan = visitor_of(peer)->plan;
    plan->method = "PUT";
    plan->body = BODY_CHUNKED;
    plan->body_size = 3;
    visitor_hello(peer);
    h2_head(peer, 1, FLAG_END_HEADERS, visitor_head(plan));
    h2_stream(peer, 1)->owner = plan;
    char data[3] = {plan_byte(plan, false, 0), plan_byte(plan, false, 1),
                    plan_byte(plan, false, 2)};
    h2_frame(peer, FRAME_DATA, 0, 1, data, 0);
    h2_frame(peer, FRAME_DATA, 0, 1, data, 3);
    h2_head(peer, 1, FLAG_END_HEADERS | FLAG_END_STREAM, "x-checksum: 7\n");
}

static void says_goodbye_first(struct h2_peer *peer)
{
    visitor_gets(peer);
    h2_frame(peer, FRAME_GOAWAY, 0, 0, "\0\0\0\0\0\0\0\0", 8);
}

static void skips_numbers(struct h2_peer *peer)
{
    struct h2_visitor *visitor = visitor_of(peer);
    visitor_hello(peer);
    visitor_asks(peer, 7, visitor->plan);
    visitor->second = plan_new();
    visitor->second->reply_size = VISITOR_REPLY;
    visitor_asks(peer, 0x7ffffffd, visitor->second);
}

/* Too much. */

static void on_room_resets(struct h2_peer *peer)
{
    const struct h2_seen *last = peer->streams;
    uint32_t next = last == NULL ? 1 : last->id + 2;
    if (next > 2 * STORM)
        return;
    struct plan *plan = visitor_of(peer)->plan;
    h2_head(peer, next, FLAG_END_HEADERS | FLAG_END_STREAM, visitor_head(plan));
    h2_number(peer, FRAME_RST_STREAM, next, 8);
}
static void resets_for_ever(struct h2_peer *peer)
{
    visitor_hello(peer);
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
        visitor_hello(peer);                                                                       \
        peer->on_room = on_room_##name;                                                            \
    }
FLOOD(pings_for_ever, h2_frame(peer, FRAME_PING, 0, 0, "12345678", 8))
FLOOD(sets_for_ever, h2_setting(peer, SETTING_STREAMS, 7))
FLOOD(prioritises_for_ever, h2_frame(peer, FRAME_PRIORITY, 0, 3, "\0\0\0\0\7", 5))
FLOOD(sends_unknown_things_for_ever, h2_frame(peer, 0x42, 0, 0, VISITOR_ZEROS, 4000))
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
    visitor_hello(peer);
    h2_head(peer, 1, FLAG_END_STREAM, visitor_head(visitor_of(peer)->plan));
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
    visitor_hello(peer);
    h2_head(peer, 1, FLAG_END_HEADERS, visitor_head(plan));
    peer->on_room = on_room_says_nothing;
}

static void pings_and_reads_nothing(struct h2_peer *peer)
{
    pings_for_ever(peer);
    peer->reads_nothing = true;
}

static const struct h2_deed RIGHT[] = {
    {"gets", visitor_gets, SERVED},
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

static const struct h2_deed FLOODS[] = {
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

void h2_by_hand(void)
{
    visitors_do(RIGHT);
}
void h2_by_hand_check(void)
{
    visitors_check();
}

void h2_floods(void)
{
    visitors_do(FLOODS);
}
void h2_floods_check(void)
{
    visitors_check();
}
