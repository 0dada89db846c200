/* SPDX-License-Identifier: Apache-2.0 */
/* Clients that speak HTTP/2 by hand, and wrongly. */
#include "scenarios.h"

#include "h2_visitor.h"

#include <stdio.h>
#include <string.h>

/* Deeds that are wrong: the connection ends with an error. */

static void says_another_hello(struct h2_peer *peer)
{
    peer->expects_other = true;
    h2_write(peer, "PRI * HTTP/2.0\r\n\r\nSX\r\n\r\n", 24);
    h2_setting(peer, 0, 0);
    visitor_asks_first(peer);
}

static void says_no_settings(struct h2_peer *peer)
{
    h2_write(peer, H2_HELLO, strlen(H2_HELLO));
    visitor_asks_first(peer);
}

static void grows_its_window_by_nothing(struct h2_peer *peer)
{
    visitor_hello(peer);
    h2_number(peer, FRAME_WINDOW_UPDATE, 0, 0);
}

static void grows_a_window_by_nothing(struct h2_peer *peer)
{
    visitor_gets(peer);
    h2_number(peer, FRAME_WINDOW_UPDATE, 1, 0);
}

static void grows_its_window_too_far(struct h2_peer *peer)
{
    visitor_hello(peer);
    h2_number(peer, FRAME_WINDOW_UPDATE, 0, INT32_MAX);
}

static void grows_a_window_too_far(struct h2_peer *peer)
{
    visitor_gets(peer);
    h2_number(peer, FRAME_WINDOW_UPDATE, 1, INT32_MAX);
}

static void sends_data_to_nobody(struct h2_peer *peer)
{
    visitor_hello(peer);
    h2_frame(peer, FRAME_DATA, 0, 0, "abc", 3);
}

static void sends_data_to_an_idle_stream(struct h2_peer *peer)
{
    visitor_hello(peer);
    h2_frame(peer, FRAME_DATA, 0, 5, "abc", 3);
}

static void opens_no_stream(struct h2_peer *peer)
{
    visitor_hello(peer);
    h2_head(peer, 0, FLAG_END_HEADERS | FLAG_END_STREAM, visitor_head(visitor_of(peer)->plan));
}

static void opens_an_even_stream(struct h2_peer *peer)
{
    visitor_hello(peer);
    h2_head(peer, 2, FLAG_END_HEADERS | FLAG_END_STREAM, visitor_head(visitor_of(peer)->plan));
}

static void uses_a_stream_again(struct h2_peer *peer)
{
    struct h2_visitor *visitor = visitor_of(peer);
    visitor_gets(peer);
    visitor->second = plan_new();
    visitor->second->is_unheard = true;
    h2_head(peer, 1, FLAG_END_HEADERS | FLAG_END_STREAM, visitor_head(visitor->second));
}

static void opens_a_stream_too_late(struct h2_peer *peer)
{
    struct h2_visitor *visitor = visitor_of(peer);
    visitor_hello(peer);
    visitor_asks(peer, 5, visitor->plan);
    visitor->second = plan_new();
    visitor->second->is_unheard = true;
    h2_head(peer, 3, FLAG_END_HEADERS | FLAG_END_STREAM, visitor_head(visitor->second));
}

static void goes_on_with_nothing(struct h2_peer *peer)
{
    visitor_hello(peer);
    h2_frame(peer, FRAME_CONTINUATION, FLAG_END_HEADERS, 1, "", 0);
}

static void pings_within_a_head(struct h2_peer *peer)
{
    visitor_hello(peer);
    h2_head(peer, 1, FLAG_END_STREAM, visitor_head(visitor_of(peer)->plan));
    h2_frame(peer, FRAME_PING, 0, 0, "12345678", 8);
}

static void sends_a_large_frame(struct h2_peer *peer)
{
    visitor_hello(peer);
    h2_frame(peer, FRAME_DATA, 0, 1, VISITOR_ZEROS, sizeof VISITOR_ZEROS);
}

static void sends_half_a_setting(struct h2_peer *peer)
{
    visitor_hello(peer);
    h2_frame(peer, FRAME_SETTINGS, 0, 0, "12345", 5);
}

static void sets_a_stream(struct h2_peer *peer)
{
    visitor_hello(peer);
    h2_frame(peer, FRAME_SETTINGS, 0, 1, "", 0);
}

static void acknowledges_with_words(struct h2_peer *peer)
{
    visitor_hello(peer);
    h2_frame(peer, FRAME_SETTINGS, FLAG_ACK, 0, "123456", 6);
}

static void sets_a_huge_window(struct h2_peer *peer)
{
    visitor_hello(peer);
    h2_frame(peer, FRAME_SETTINGS, 0, 0, "\0\4\xff\xff\xff\xff", 6);
}

static void sets_a_tiny_frame(struct h2_peer *peer)
{
    visitor_hello(peer);
    h2_setting(peer, SETTING_FRAME, 1);
}

static void sets_another_push(struct h2_peer *peer)
{
    visitor_hello(peer);
    h2_setting(peer, SETTING_PUSH, 2);
}

static void pings_short(struct h2_peer *peer)
{
    visitor_hello(peer);
    h2_frame(peer, FRAME_PING, 0, 0, "1234567", 7);
}

static void resets_an_idle_stream(struct h2_peer *peer)
{
    visitor_hello(peer);
    h2_number(peer, FRAME_RST_STREAM, 9, 8);
}

static void resets_short(struct h2_peer *peer)
{
    visitor_gets(peer);
    h2_frame(peer, FRAME_RST_STREAM, 0, 1, "123", 3);
}

static void pushes(struct h2_peer *peer)
{
    char block[1024] = {0, 0, 0, 2};
    visitor_gets(peer);
    size_t size = 4 + h2_pack(visitor_head(visitor_of(peer)->plan), block + 4);
    h2_frame(peer, FRAME_PUSH_PROMISE, FLAG_END_HEADERS, 1, block, size);
}

static void pads_too_much(struct h2_peer *peer)
{
    visitor_hello(peer);
    h2_frame(peer, FRAME_HEADERS, FLAG_END_HEADERS | FLAG_END_STREAM | FLAG_PADDED, 1, "\xff\1", 2);
}

static void packs_garbage(struct h2_peer *peer)
{
    visitor_hello(peer);
    h2_frame(peer, FRAME_HEADERS, FLAG_END_HEADERS | FLAG_END_STREAM, 1, "\xff\xff\xff\xff\xff\xff",
             6);
}

static void says_a_short_goodbye(struct h2_peer *peer)
{
    visitor_hello(peer);
    h2_frame(peer, FRAME_GOAWAY, 0, 0, "1234567", 7);
}

static void speaks_http_1(struct h2_peer *peer)
{
    visitor_hello(peer);
    h2_write(peer, "GET / HTTP/1.1\r\nHost: sim.test\r\n\r\n", 34);
}

/* Heads that must not be forwarded. */

static void ask_with(struct h2_peer *peer, const char *pseudo_fields)
{
    char lines[1024];
    struct plan *plan = visitor_of(peer)->plan;
    snprintf(lines, sizeof lines, "%sx-sim: %u\n", pseudo_fields, plan->id);
    plan->is_unheard = true;
    visitor_hello(peer);
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
    visitor_hello(peer);
    snprintf(lines, sizeof lines, "%scontent-length: 3\n", visitor_head(plan));
    h2_head(peer, 1, FLAG_END_HEADERS, lines);
    h2_stream(peer, 1)->owner = plan;
    h2_frame(peer, FRAME_DATA, FLAG_END_STREAM, 1, "abcdefg", 7);
}

static void stops_within_a_frame(struct h2_peer *peer)
{
    visitor_hello(peer);
    h2_write(peer, "\0\0\100\1\5", 5);
}

static void stops_within_a_head(struct h2_peer *peer)
{
    visitor_hello(peer);
    h2_head(peer, 1, FLAG_END_STREAM, visitor_head(visitor_of(peer)->plan));
}

static const struct h2_deed WRONG[] = {
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

void h2_misdeeds(void)
{
    visitors_do(WRONG);
}
void h2_misdeeds_check(void)
{
    visitors_check();
}
