/* SPDX-License-Identifier: Apache-2.0 */
/* timeouts and limits. What concerns a connection stands at the top level or at an address; what
 * concerns an exchange at the top level, in defaults, a site or a route. All fill the same
 * structs. */
#include "base/clock.h"
#include "control/config_keys.h"
#include "exchange/route.h"

#define TIMEOUT(member, value, text)                                                               \
    {                                                                                              \
        .name = #member, .type = OPTION_DURATION, .flags = OPTION_MAY_BE_OFF, .standard = value,   \
        .min = MILLISECONDS(1), .max = SECONDS(30 * 86400),                                        \
        .offset = offsetof(struct timeouts, member), .doc = text                                   \
    }
#define HANDSHAKE TIMEOUT(handshake, "10s", "Handshake of a connection, from its acceptance.")
#define REQUEST_HEADER                                                                             \
    TIMEOUT(request_header, "10s",                                                                 \
            "The whole head of a request: the first from the acceptance, later ones from their "   \
            "first byte.")
#define REQUEST_BODY TIMEOUT(request_body, "30s", "Between two pieces of a request's body.")
#define CLIENT_WRITE TIMEOUT(client_write, "60s", "A client that takes nothing of its response.")
#define KEEPALIVE    TIMEOUT(keepalive, "75s", "A connection without a request.")
#define LINGER                                                                                     \
    TIMEOUT(linger, "5s", "What is still read after the last response, so that it arrives.")
#define TUNNEL       TIMEOUT(tunnel, "1h", "A WebSocket or other tunnel in which nothing moves.")
#define H2_KEEPALIVE TIMEOUT(h2_keepalive, "180s", "A connection of HTTP/2 without a stream.")
#define H2_WINDOW                                                                                  \
    TIMEOUT(h2_window, "30s",                                                                      \
            "A client of HTTP/2 that makes no room for its response, or less than 500 bytes a "    \
            "second.")
#define DRAIN TIMEOUT(drain, "30s", "What running exchanges get to end when weir stops.")

#define LIMIT(member, kind, may, value, low, high, text)                                           \
    {                                                                                              \
        .name = #member, .type = kind, .flags = may, .standard = value, .min = low, .max = high,   \
        .offset = offsetof(struct limits, member), .doc = text                                     \
    }
#define REQUEST_LINE                                                                               \
    LIMIT(request_line, OPTION_SIZE, 0, "16KiB", 256, 1024 * 1024,                                 \
          "The first line of a request; longer: 414.")
#define FIELDS                                                                                     \
    LIMIT(fields, OPTION_INT, 0, "100", 1, 10000, "How many headers a request has; more: 431.")
#define FIELDS_SIZE                                                                                \
    LIMIT(fields_size, OPTION_SIZE, 0, "64KiB", 1024, 1024 * 1024,                                 \
          "All headers of a request together; larger: 431.")
#define BODY_SIZE                                                                                  \
    LIMIT(body_size, OPTION_SIZE, OPTION_MAY_BE_OFF, "off", 0, INT64_MAX - 1,                      \
          "The body of a request; larger: 413.")
#define CONNECTIONS                                                                                \
    {                                                                                              \
        .name = "connections", .type = OPTION_INT, .standard = "auto", .min = 1, .max = 10000000,  \
        .words = AUTO, .offset = offsetof(struct limits, connections),                             \
        .doc = "Clients at a time; auto: two thirds of the open files that the system allows."     \
    }
#define CONNECTIONS_PER_CLIENT                                                                     \
    LIMIT(connections_per_client, OPTION_INT, OPTION_MAY_BE_OFF, "1000", 1, 10000000,              \
          "Connections of one client address, of an IPv6 /64; loopback, unix sockets and trusted " \
          "proxies are not counted.")
#define MEMORY                                                                                     \
    {                                                                                              \
        .name = "memory", .type = OPTION_SIZE, .flags = OPTION_MAY_BE_OFF, .standard = "auto",     \
        .min = 16 * 1024 * 1024, .max = INT64_C(1) << 50, .words = AUTO,                           \
        .offset = offsetof(struct limits, memory),                                                 \
        .doc = "What weir may use: at 85 % of it caches are given back, at 92 % connections are "  \
               "not kept, at 95 % requests are answered 503 and connections wait, at 98 % the "    \
               "clients that hold the most are ended. auto: 80 % of what the control group "       \
               "allows, or of the machine's."                                                      \
    }
#define REQUESTS_PER_CONNECTION                                                                    \
    LIMIT(requests_per_connection, OPTION_INT, OPTION_MAY_BE_OFF, "10000", 1, INT64_MAX - 1,       \
          "Requests after which a connection is closed.")
#define CONNECTION_AGE                                                                             \
    LIMIT(connection_age, OPTION_DURATION, OPTION_MAY_BE_OFF, "1h", SECONDS(1),                    \
          SECONDS(365 * 86400), "Age after which a connection is closed with its next response.")

#define H2_STREAMS                                                                                 \
    LIMIT(h2_streams, OPTION_INT, 0, "100", 1, 10000,                                              \
          "Requests that an HTTP/2 connection may have under way.")
#define H2_STREAM_WINDOW                                                                           \
    LIMIT(h2_stream_window, OPTION_SIZE, 0, "64KiB", 16384, 16777216,                              \
          "What a client may send of a body on HTTP/2 before somebody reads it.")
#define H2_CONNECTION_WINDOW                                                                       \
    LIMIT(h2_connection_window, OPTION_SIZE, 0, "1MiB", 65536, 1073741824,                         \
          "The same for all bodies of one connection.")
#define H2_RESETS                                                                                  \
    LIMIT(h2_resets, OPTION_INT, 0, "100", 1, 1000000,                                             \
          "Streams of one connection that may be reset at once, by the client or because of it.")
#define H2_RESETS_PER_SECOND                                                                       \
    LIMIT(h2_resets_per_second, OPTION_INT, 0, "10", 0, 1000000, "How many more each second.")
#define H2_GLITCHES                                                                                \
    LIMIT(h2_glitches, OPTION_INT, 0, "500", 4, 1000000,                                           \
          "Useless or wrong frames after which an HTTP/2 connection is closed; at three quarters " \
          "it is asked to go.")
#define H2_LIMITS                                                                                  \
    H2_STREAMS, H2_STREAM_WINDOW, H2_CONNECTION_WINDOW, H2_RESETS, H2_RESETS_PER_SECOND, H2_GLITCHES

static const char *const AUTO[] = {"auto", NULL};

static const struct option TIMEOUTS_TOP[] = {
    HANDSHAKE, REQUEST_HEADER, REQUEST_BODY, CLIENT_WRITE, KEEPALIVE, LINGER,
    TUNNEL,    DRAIN,          H2_KEEPALIVE, H2_WINDOW,    {0},
};
static const struct option TIMEOUTS_LISTEN[] = {HANDSHAKE, REQUEST_HEADER, KEEPALIVE,
                                                LINGER,    H2_KEEPALIVE,   {0}};
static const struct option TIMEOUTS_SITE[] = {REQUEST_BODY, CLIENT_WRITE, TUNNEL, H2_WINDOW, {0}};
static const struct option LIMITS_TOP[] = {
    REQUEST_LINE,
    FIELDS,
    FIELDS_SIZE,
    BODY_SIZE,
    CONNECTIONS,
    CONNECTIONS_PER_CLIENT,
    MEMORY,
    REQUESTS_PER_CONNECTION,
    CONNECTION_AGE,
    H2_LIMITS,
    {0},
};
static const struct option LIMITS_LISTEN[] = {
    REQUEST_LINE,
    FIELDS,
    FIELDS_SIZE,
    CONNECTIONS,
    CONNECTIONS_PER_CLIENT,
    REQUESTS_PER_CONNECTION,
    CONNECTION_AGE,
    H2_LIMITS,
    {0},
};
static const struct option LIMITS_SITE[] = {BODY_SIZE, {0}};

#define TIMES_KEY(id, word, where, table, type, text, line)                                        \
    static const struct key id = {.name = word,                                                    \
                                  .contexts = where,                                               \
                                  .options = table,                                                \
                                  .config_size = sizeof(struct type),                              \
                                  .doc = text,                                                     \
                                  .example = line,                                                 \
                                  .since = "0.1"};

TIMES_KEY(TIMEOUTS_TOP_KEY, "timeouts", IN_TOP, TIMEOUTS_TOP, timeouts,
          "How long weir waits for clients, unless an address, site or route says otherwise.",
          "timeouts keepalive=75s request_body=30s")
TIMES_KEY(TIMEOUTS_LISTEN_KEY, "timeouts", IN_LISTEN, TIMEOUTS_LISTEN, timeouts,
          "How long weir waits for clients at this address.", "timeouts keepalive=75s")
TIMES_KEY(TIMEOUTS_SITE_KEY, "timeouts", IN_SITE | IN_ROUTE | IN_DEFAULTS, TIMEOUTS_SITE, timeouts,
          "How long weir waits for clients while a request runs.", "timeouts tunnel=8h")
TIMES_KEY(LIMITS_TOP_KEY, "limits", IN_TOP, LIMITS_TOP, limits,
          "How much clients may send and hold, unless an address, site or route says otherwise.",
          "limits fields=100 body_size=100MiB")
TIMES_KEY(LIMITS_LISTEN_KEY, "limits", IN_LISTEN, LIMITS_LISTEN, limits,
          "How much clients may send and hold at this address.", "limits fields_size=16KiB")
TIMES_KEY(LIMITS_SITE_KEY, "limits", IN_SITE | IN_ROUTE | IN_DEFAULTS, LIMITS_SITE, limits,
          "How much a request may bring.", "limits body_size=10MiB")

const struct key *const KEYS_TIMES[] = {
    &TIMEOUTS_TOP_KEY,
    &TIMEOUTS_LISTEN_KEY,
    &TIMEOUTS_SITE_KEY,
    &LIMITS_TOP_KEY,
    &LIMITS_LISTEN_KEY,
    &LIMITS_SITE_KEY,
    NULL,
};
