/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of upstreams. */
#include "base/clock.h"
#include "control/config_keys.h"

static const char *const RESOLVES[] = {"each", "one", NULL};
static const char *const DISCOVERS[] = {"srv", "file", NULL};
static const char *const HEALTH_CHECK_TLS[] = {"auto", "off", NULL};
static const char *const HTTP_WORDS[] = {"1", "2", "auto", NULL}; /* enum upstream_http */
static const char *const HEALTH_CHECK_HTTP[] = {"1", "2", "auto", "upstream", NULL};

static const char *const PROXY_PROTOCOL_WORDS[] = {"off", "v1", "v2", NULL};

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
     .max = 1000000,
     .offset = offsetof(struct server_line_config, max_conns),
     .doc = "How many exchanges it takes at a time; 0: no limit."},
    {.name = "priority",
     .type = OPTION_INT,
     .standard = "0",
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
    {.name = "resolve",
     .type = OPTION_ENUM,
     .standard = "each",
     .words = RESOLVES,
     .offset = offsetof(struct server_line_config, resolve),
     .doc = "What the addresses of a name are. each: a server each, but for one of IPv4 and one of "
            "IPv6, which are one machine; one: ways to the same server, tried one after the "
            "other."},
    {0},
};
static const struct option DISCOVER_ARGUMENTS[] = {
    {.name = "from",
     .type = OPTION_ENUM,
     .flags = OPTION_REQUIRED,
     .words = DISCOVERS,
     .offset = offsetof(struct discover_config, kind),
     .doc = "srv: the SRV records of a name, their priorities and weights included, again and "
            "again as their TTL ends; file: a file, read again when it has changed. Its lines are "
            "written as the server line without that word; in a file whose name ends in .json an "
            "array of the same as in a configuration in JSON."},
    {.name = "what",
     .type = OPTION_STRING,
     .flags = OPTION_REQUIRED,
     .offset = offsetof(struct discover_config, what),
     .doc = "The name, such as _http._tcp.app.internal, or the file's path. What cannot be read "
            "or is wrong leaves the servers as they are."},
    {0},
};
static const struct option DISCOVER_OPTIONS[] = {
    {.name = "max_conns",
     .type = OPTION_INT,
     .standard = "0",
     .min = 0,
     .max = 1000000,
     .offset = offsetof(struct discover_config, max_conns),
     .doc = "How many exchanges each of them takes at a time, if nothing else is said of it; 0: "
            "no limit."},
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
static const struct option PROXY_PROTOCOL_ARGUMENTS[] = {
    {.name = "version",
     .type = OPTION_ENUM,
     .flags = OPTION_REQUIRED,
     .standard = "off",
     .words = PROXY_PROTOCOL_WORDS,
     .offset = offsetof(struct proxy_protocol_config, version),
     .doc = "v1: a line of text; v2: binary; off: none. The client is as {client_ip} says."},
    {0},
};
static const struct option PROXY_PROTOCOL_OPTIONS[] = {
    {.name = "tlvs",
     .type = OPTION_FLAG,
     .offset = offsetof(struct proxy_protocol_config, passes_tlvs),
     .doc = "With v2: what the proxy before has said beside the addresses goes on to servers."},
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

static const struct option HEALTH_CHECK_ARGUMENTS[] = {
    {.name = "what",
     .type = OPTION_STRING,
     .flags = OPTION_REQUIRED,
     .offset = offsetof(struct health_check_config, what),
     .doc = "The path that a GET asks for; tcp: a connection is enough; grpc: what "
            "grpc.health.v1.Health says; fastcgi: that a process of the application answers "
            "(FCGI_GET_VALUES). Servers that are spoken to over TLS are checked over "
            "it."},
    {0},
};
static const struct option HEALTH_CHECK_OPTIONS[] = {
    {.name = "interval",
     .type = OPTION_DURATION,
     .standard = "5s",
     .min = MILLISECONDS(10),
     .max = SECONDS(86400),
     .offset = offsetof(struct health_check_config, interval),
     .doc = "From one check to the next; a fifth more or less by chance."},
    {.name = "fast_interval",
     .type = OPTION_DURATION,
     .standard = "1s",
     .min = MILLISECONDS(10),
     .max = SECONDS(86400),
     .offset = offsetof(struct health_check_config, fast_interval),
     .doc = "The same while the answers have begun to differ from what is believed."},
    {.name = "timeout",
     .type = OPTION_DURATION,
     .standard = "2s",
     .min = MILLISECONDS(10),
     .max = SECONDS(3600),
     .offset = offsetof(struct health_check_config, timeout),
     .doc = "How long a check may take, connecting included."},
    {.name = "rise",
     .type = OPTION_INT,
     .standard = "2",
     .min = 1,
     .max = 100,
     .offset = offsetof(struct health_check_config, rise),
     .doc = "Good answers in a row that bring a server back."},
    {.name = "fall",
     .type = OPTION_INT,
     .standard = "3",
     .min = 1,
     .max = 100,
     .offset = offsetof(struct health_check_config, fall),
     .doc = "Bad answers in a row that take it down; the very first check decides alone."},
    {.name = "expect",
     .type = OPTION_STATUS_RANGE,
     .flags = OPTION_MANY,
     .standard = "200-399",
     .offset = offsetof(struct health_check_config, expect),
     .doc = "The statuses that are good. Redirects are not followed."},
    {.name = "body",
     .type = OPTION_REGEX,
     .offset = offsetof(struct health_check_config, body),
     .doc = "A pattern that has to be found in the first 64 KiB of the body."},
    {.name = "service",
     .type = OPTION_NAME,
     .offset = offsetof(struct health_check_config, service),
     .doc = "Which service a gRPC check asks for; the server as a whole when left out."},
    {.name = "host",
     .type = OPTION_STRING,
     .offset = offsetof(struct health_check_config, host),
     .doc = "The Host of the check; the server's own name when left out."},
    {.name = "port",
     .type = OPTION_INT,
     .standard = "0",
     .min = 0,
     .max = 65535,
     .offset = offsetof(struct health_check_config, port),
     .doc = "Where the check goes; 0: where requests go."},
    {.name = "tls",
     .type = OPTION_ENUM,
     .standard = "auto",
     .words = HEALTH_CHECK_TLS,
     .offset = offsetof(struct health_check_config, tls),
     .doc = "auto: over TLS where requests go over it; off: in clear, for a port of its own that "
            "speaks it."},
    {.name = "http",
     .type = OPTION_ENUM,
     .standard = "upstream",
     .words = HEALTH_CHECK_HTTP,
     .offset = offsetof(struct health_check_config, http),
     .doc = "Which HTTP the check speaks: what requests speak (upstream), or its own, for a port "
            "that knows no other."},
    {0},
};
static const struct option PASSIVE_OPTIONS[] = {
    {.name = "fails",
     .type = OPTION_INT,
     .standard = "5",
     .min = 0,
     .max = 1000000,
     .offset = offsetof(struct passive_config, fails),
     .doc = "So many errors in a row put a server aside; 0: never."},
    {.name = "share",
     .type = OPTION_PERCENT,
     .flags = OPTION_MAY_BE_OFF,
     .standard = "50%",
     .min = 100,
     .max = 10000,
     .offset = offsetof(struct passive_config, share),
     .doc = "So does this share of errors among those asked in the window; off: never."},
    {.name = "requests",
     .type = OPTION_INT,
     .standard = "20",
     .min = 1,
     .max = 1000000,
     .offset = offsetof(struct passive_config, requests),
     .doc = "Of so many requests at least: fewer say nothing."},
    {.name = "window",
     .type = OPTION_DURATION,
     .standard = "10s",
     .min = MILLISECONDS(10),
     .max = SECONDS(3600),
     .offset = offsetof(struct passive_config, window),
     .doc = "For how long errors are remembered."},
    {.name = "eject",
     .type = OPTION_DURATION,
     .standard = "10s",
     .min = MILLISECONDS(10),
     .max = SECONDS(86400),
     .offset = offsetof(struct passive_config, eject),
     .doc = "For how long it is put aside; twice as long each time that it fails again."},
    {.name = "eject_longest",
     .type = OPTION_DURATION,
     .standard = "300s",
     .min = MILLISECONDS(10),
     .max = SECONDS(86400),
     .offset = offsetof(struct passive_config, eject_longest),
     .doc = "But never for longer."},
    {.name = "max_ejected",
     .type = OPTION_PERCENT,
     .flags = OPTION_MAY_BE_OFF,
     .standard = "50%",
     .min = 100,
     .max = 10000,
     .offset = offsetof(struct passive_config, max_ejected),
     .doc = "Of the servers at a time, never the last one; off: none is put aside."},
    {0},
};
static const struct option BREAKER_OPTIONS[] = {
    {.name = "requests",
     .type = OPTION_INT,
     .standard = "0",
     .min = 0,
     .max = 1000000,
     .offset = offsetof(struct breaker_config, requests),
     .doc = "How many requests may be in work over all servers; 0: no limit."},
    {.name = "connects",
     .type = OPTION_INT,
     .standard = "0",
     .min = 0,
     .max = 1000000,
     .offset = offsetof(struct breaker_config, connects),
     .doc = "How many connections each moment may be opening; 0: no limit."},
    {0},
};
static const struct option ADAPTIVE_ARGUMENTS[] = {
    {.name = "most",
     .type = OPTION_INT,
     .flags = OPTION_REQUIRED | OPTION_MAY_BE_OFF,
     .standard = "off",
     .min = 1,
     .max = 1000000,
     .offset = offsetof(struct adaptive_config, most),
     .doc = "The highest it may become."},
    {0},
};
static const struct option ADAPTIVE_OPTIONS[] = {
    {.name = "min",
     .type = OPTION_INT,
     .standard = "8",
     .min = 1,
     .max = 1000000,
     .offset = offsetof(struct adaptive_config, least),
     .doc = "The lowest."},
    {0},
};
static const struct option SLOW_START_ARGUMENTS[] = {
    {.name = "duration",
     .type = OPTION_DURATION,
     .flags = OPTION_REQUIRED | OPTION_MAY_BE_OFF,
     .standard = "30s",
     .min = MILLISECONDS(1),
     .max = SECONDS(3600),
     .offset = offsetof(struct duration_config, duration),
     .doc = "Until a server that came back has its whole share; a group of one has none of it."},
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
    .example = "upstream api { … }",
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
static const struct key DISCOVER = {
    .name = "discover",
    .contexts = IN_UPSTREAM,
    .flags = KEY_MANY,
    .arguments = DISCOVER_ARGUMENTS,
    .options = DISCOVER_OPTIONS,
    .config_size = sizeof(struct discover_config),
    .doc = "Servers that somebody else knows. Those that appear join, those that go finish what "
           "runs there; the others notice nothing.",
    .example = "discover srv _http._tcp.app.internal",
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
static const struct key PROXY_PROTOCOL = {
    .name = "proxy_protocol",
    .contexts = IN_UPSTREAM,
    .arguments = PROXY_PROTOCOL_ARGUMENTS,
    .options = PROXY_PROTOCOL_OPTIONS,
    .config_size = sizeof(struct proxy_protocol_config),
    .doc = "Tells the servers who the client is before anything else, TLS included, by the PROXY "
           "protocol. Each request has a connection of its own then, in HTTP/1.1; health checks "
           "speak for weir itself.",
    .example = "proxy_protocol v2",
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

static const struct key HEALTH_CHECK = {
    .name = "health_check",
    .contexts = IN_UPSTREAM,
    .arguments = HEALTH_CHECK_ARGUMENTS,
    .options = HEALTH_CHECK_OPTIONS,
    .config_size = sizeof(struct health_check_config),
    .doc = "Asks each server again and again whether it is well. What its answers to clients say "
           "counts beside this, always.",
    .example = "health_check /healthz interval=5s expect=200-299",
    .since = "0.1",
};
static const struct key PASSIVE = {
    .name = "passive",
    .contexts = IN_UPSTREAM,
    .options = PASSIVE_OPTIONS,
    .config_size = sizeof(struct passive_config),
    .doc =
        "When a server is put aside for the errors that it answers clients with: 502, 503 and "
        "504, answers that break off or come too late. One that cannot be reached is not used at "
        "once, whatever stands here.",
    .example = "passive fails=3 eject=30s",
    .since = "0.1",
};
static const struct key BREAKER = {
    .name = "breaker",
    .contexts = IN_UPSTREAM,
    .options = BREAKER_OPTIONS,
    .config_size = sizeof(struct breaker_config),
    .doc = "What is more than this is answered 503 at once, with Retry-After. Servers have "
           "max_conns, those who wait a queue.",
    .example = "breaker requests=2000 connects=100",
    .since = "0.1",
};
static const struct key ADAPTIVE = {
    .name = "adaptive_limit",
    .contexts = IN_UPSTREAM,
    .arguments = ADAPTIVE_ARGUMENTS,
    .options = ADAPTIVE_OPTIONS,
    .config_size = sizeof(struct adaptive_config),
    .doc = "Lets as many requests be in work as the servers answer without becoming slower, found "
           "out again and again; what is more is answered 503 at once, with Retry-After.",
    .example = "adaptive_limit 1000 min=8",
    .since = "0.1",
};
static const struct key SLOW_START = {
    .name = "slow_start",
    .contexts = IN_UPSTREAM,
    .arguments = SLOW_START_ARGUMENTS,
    .config_size = sizeof(struct duration_config),
    .doc = "A server that was away gets a tenth of its share at first and more from moment to "
           "moment.",
    .example = "slow_start 30s",
    .since = "0.1",
};

const struct key *const KEYS_UPSTREAM[] = {
    &UPSTREAM, &SERVER,   &KEEPALIVE, &QUEUE,          &HTTP_KEY, &HEALTH_CHECK, &SLOW_START,
    &BREAKER,  &ADAPTIVE, &DISCOVER,  &PROXY_PROTOCOL, &PASSIVE,  NULL};
