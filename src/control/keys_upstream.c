/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of upstreams. */
#include "base/clock.h"
#include "control/config_keys.h"

static const char *const HTTP_WORDS[] = {"1", "2", "auto", NULL}; /* enum upstream_http */

static const struct option UPSTREAM_ARGUMENTS[] = {
    {.name = "name",
     .type = OPTION_NAME,
     .flags = OPTION_REQUIRED,
     .offset = offsetof(struct upstream_name_config, name),
     .doc = "By which proxy and others call it."},
    {0},
};
static const struct option SERVER_ARGUMENTS[] = {
    {.name = "address",
     .type = OPTION_SERVER,
     .flags = OPTION_REQUIRED,
     .offset = offsetof(struct server_line_config, address),
     .doc = "host:port, [address]:port, unix:/path or http://host. Names are resolved in the "
            "background, again and again; one that does not resolve makes its server down."},
    {0},
};
static const struct option SERVER_OPTIONS[] = {
    {.name = "weight",
     .type = OPTION_INT,
     .standard = "1",
     .min = 1,
     .max = 256,
     .offset = offsetof(struct server_line_config, weight),
     .doc = "Its share of the requests."},
    {.name = "max_conns",
     .type = OPTION_INT,
     .standard = "0",
     .min = 0,
     .max = 1000000,
     .offset = offsetof(struct server_line_config, max_conns),
     .doc = "How many exchanges it takes at a time; 0: no limit."},
    {.name = "priority",
     .type = OPTION_INT,
     .standard = "0",
     .min = 0,
     .max = 255,
     .offset = offsetof(struct server_line_config, priority),
     .doc = "Servers of the lowest number serve; the next ones when none of those is usable or has "
            "room."},
    {.name = "backup",
     .type = OPTION_FLAG,
     .offset = offsetof(struct server_line_config, backup),
     .doc = "Used only when no other server is usable: it comes behind all priorities."},
    {.name = "down",
     .type = OPTION_FLAG,
     .offset = offsetof(struct server_line_config, down),
     .doc = "Not used."},
    {.name = "name",
     .type = OPTION_NAME,
     .offset = offsetof(struct server_line_config, name),
     .doc = "How logs call it; its address if none is written."},
    {0},
};
static const struct option HTTP_ARGUMENTS[] = {
    {.name = "version",
     .type = OPTION_ENUM,
     .flags = OPTION_REQUIRED,
     .standard = "1",
     .words = HTTP_WORDS,
     .offset = offsetof(struct choice_config, choice),
     .doc = "1: HTTP/1.1; 2: HTTP/2, many requests over few connections, in clear without asking "
            "first; auto: what TLS agrees on, in clear HTTP/1.1. WebSockets go over HTTP/1.1."},
    {0},
};
static const struct option KEEPALIVE_ARGUMENTS[] = {
    {.name = "count",
     .type = OPTION_INT,
     .flags = OPTION_REQUIRED | OPTION_MAY_BE_OFF,
     .standard = "100",
     .min = 0,
     .max = 100000,
     .offset = offsetof(struct keepalive_config, kept),
     .doc = "Idle connections kept per server."},
    {0},
};
static const struct option KEEPALIVE_OPTIONS[] = {
    {.name = "idle",
     .type = OPTION_DURATION,
     .standard = "60s",
     .min = MILLISECONDS(1),
     .max = SECONDS(86400),
     .offset = offsetof(struct keepalive_config, idle),
     .doc = "How long one is kept."},
    {0},
};
static const struct option QUEUE_ARGUMENTS[] = {
    {.name = "size",
     .type = OPTION_INT,
     .flags = OPTION_REQUIRED | OPTION_MAY_BE_OFF,
     .standard = "1024",
     .min = 0,
     .max = 1000000,
     .offset = offsetof(struct queue_config, size),
     .doc = "How many exchanges may wait: for a server with room, or for one that refuses "
            "connections to come back."},
    {0},
};
static const struct option QUEUE_OPTIONS[] = {
    {.name = "timeout",
     .type = OPTION_DURATION,
     .standard = "5s",
     .min = MILLISECONDS(1),
     .max = SECONDS(3600),
     .offset = offsetof(struct queue_config, timeout),
     .doc = "How long one waits before it is answered 503."},
    {0},
};

static const struct key UPSTREAM = {
    .name = "upstream",
    .contexts = IN_TOP,
    .flags = KEY_MANY | KEY_SECTION,
    .inner = IN_UPSTREAM,
    .arguments = UPSTREAM_ARGUMENTS,
    .config_size = sizeof(struct upstream_name_config),
    .doc = "A named group of servers.",
    .example = "upstream api {}",
    .since = "0.1",
};
static const struct key SERVER = {
    .name = "server",
    .contexts = IN_UPSTREAM,
    .flags = KEY_MANY,
    .arguments = SERVER_ARGUMENTS,
    .options = SERVER_OPTIONS,
    .config_size = sizeof(struct server_line_config),
    .doc = "One server of the upstream.",
    .example = "server 10.0.0.13:3000 weight=2",
    .since = "0.1",
};
static const struct key HTTP_KEY = {
    .name = "http",
    .contexts = IN_UPSTREAM,
    .arguments = HTTP_ARGUMENTS,
    .config_size = sizeof(struct choice_config),
    .doc = "Which HTTP the servers are spoken to in.",
    .example = "http 2",
    .since = "0.1",
};
static const struct key KEEPALIVE = {
    .name = "keepalive",
    .contexts = IN_UPSTREAM,
    .arguments = KEEPALIVE_ARGUMENTS,
    .options = KEEPALIVE_OPTIONS,
    .config_size = sizeof(struct keepalive_config),
    .doc = "Connections to servers that are kept for the next request.",
    .example = "keepalive 100 idle=60s",
    .since = "0.1",
};
static const struct key QUEUE = {
    .name = "queue",
    .contexts = IN_UPSTREAM,
    .arguments = QUEUE_ARGUMENTS,
    .options = QUEUE_OPTIONS,
    .config_size = sizeof(struct queue_config),
    .doc = "What happens when every server has as many exchanges as it takes.",
    .example = "queue 1024 timeout=5s",
    .since = "0.1",
};

const struct key *const KEYS_UPSTREAM[] = {&UPSTREAM, &SERVER, &KEEPALIVE, &QUEUE, &HTTP_KEY, NULL};
