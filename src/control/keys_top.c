/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of the top level. */
#include "control/config_keys.h"

#include "base/clock.h"

static const char *const AUTO[] = {"auto", NULL};
static const char *const PROXY_HEADERS[] = {"x_forwarded_for", "forwarded", "proxy_protocol", NULL};

static const char *const CONFIG_OWNERS[] = {"file", "api", NULL};

static const struct option GEOIP_ARGUMENTS[] = {
    {.name = "file",
     .type = OPTION_FILE,
     .flags = OPTION_REQUIRED,
     .offset = offsetof(struct name_config, name),
     .doc = "A database in MaxMind's format (.mmdb), of countries, cities or networks (ASN)."},
    {0},
};
static const struct option VERSION[] = {
    {.name = "number",
     .type = OPTION_INT,
     .flags = OPTION_REQUIRED,
     .offset = offsetof(struct number_config, number),
     .doc = "Version of the language; 1."},
    {0},
};
static const struct option WORKERS[] = {
    {.name = "number",
     .type = OPTION_INT,
     .flags = OPTION_REQUIRED,
     .standard = "auto",
     .min = 1,
     .max = 512,
     .words = AUTO,
     .offset = offsetof(struct number_config, number),
     .doc = "How many threads serve; auto: one per usable core."},
    {0},
};
static const struct option METRICS_OPTIONS[] = {
    {.name = "max_series",
     .type = OPTION_INT,
     .standard = "50000",
     .min = 100,
     .max = 10000000,
     .offset = offsetof(struct metrics_config, max_series),
     .doc = "How many time series an answer has at most; the rest is left out and counted."},
    {0},
};
static const struct option CORE_DUMPS_ARGUMENTS[] = {
    {.name = "switch",
     .type = OPTION_BOOL,
     .flags = OPTION_REQUIRED,
     .standard = "off",
     .offset = offsetof(struct switch_config, is_on),
     .doc = "on or off."},
    {0},
};
static const struct option CONFIG_ARGUMENTS[] = {
    {.name = "owner",
     .type = OPTION_ENUM,
     .flags = OPTION_REQUIRED,
     .standard = "file",
     .words = CONFIG_OWNERS,
     .offset = offsetof(struct word_choice_config, choice),
     .doc = "file or api."},
    {0},
};
static const struct option FIBERS[] = {
    {.name = "number",
     .type = OPTION_INT,
     .flags = OPTION_REQUIRED,
     .standard = "24000",
     .min = 16,
     .max = 1000000,
     .offset = offsetof(struct number_config, number),
     .doc = "How many exchanges one worker may have at once; each needs a stack."},
    {0},
};
static const struct option A_FILE[] = {
    {.name = "pattern",
     .type = OPTION_STRING,
     .flags = OPTION_REQUIRED,
     .offset = offsetof(struct name_config, name),
     .doc = "A file, or a pattern with * ? [ ], relative to the file that it stands in."},
    {0},
};
static const struct option A_NAME[] = {
    {.name = "name",
     .type = OPTION_NAME,
     .flags = OPTION_REQUIRED,
     .offset = offsetof(struct name_config, name),
     .doc = "A name of letters, digits, _ - and . signs."},
    {0},
};
static const struct option RESOLVER_ARGUMENTS[] = {
    {.name = "servers",
     .type = OPTION_STRING,
     .flags = OPTION_REQUIRED | OPTION_MANY,
     .offset = offsetof(struct resolver_keys_config, servers),
     .doc = "IP addresses of name servers, with :port if it is not 53; system: those of the "
            "system."},
    {0},
};
static const struct option RESOLVER_OPTIONS[] = {
    {.name = "timeout",
     .type = OPTION_DURATION,
     .standard = "2s",
     .min = MILLISECONDS(1),
     .max = SECONDS(60),
     .offset = offsetof(struct resolver_keys_config, timeout),
     .doc = "How long one try waits."},
    {.name = "tries",
     .type = OPTION_INT,
     .standard = "2",
     .min = 1,
     .max = 10,
     .offset = offsetof(struct resolver_keys_config, tries),
     .doc = "How often a name is asked for before it counts as failed."},
    {.name = "min",
     .type = OPTION_DURATION,
     .standard = "1s",
     .min = SECONDS(1),
     .max = SECONDS(86400),
     .offset = offsetof(struct resolver_keys_config, ttl_min),
     .doc = "An answer is kept at least that long."},
    {.name = "max",
     .type = OPTION_DURATION,
     .standard = "60s",
     .min = SECONDS(1),
     .max = SECONDS(86400),
     .offset = offsetof(struct resolver_keys_config, ttl_max),
     .doc = "An answer is kept at most that long."},
    {.name = "keep",
     .type = OPTION_DURATION,
     .standard = "1h",
     .max = SECONDS(7 * 86400),
     .offset = offsetof(struct resolver_keys_config, keep),
     .doc = "While name servers fail the last good answer serves that long."},
    {0},
};
static const struct option PROXIES_ARGUMENTS[] = {
    {.name = "ranges",
     .type = OPTION_CIDR,
     .flags = OPTION_REQUIRED | OPTION_MANY,
     .offset = offsetof(struct proxies_config, cidrs),
     .doc = "Addresses of the proxies in front of weir, whose word about clients is taken."},
    {0},
};
static const struct option PROXIES_OPTIONS[] = {
    {.name = "header",
     .type = OPTION_ENUM,
     .standard = "x_forwarded_for",
     .words = PROXY_HEADERS,
     .offset = offsetof(struct proxies_config, header),
     .doc = "Where they tell the client's address. forwarded: in the field of RFC 7239; "
            "proxy_protocol: in no field at all, those are overwritten as from everyone else; "
            "listen has proxy_protocol then."},
    {0},
};
static const struct option REQUEST_ID_ARGUMENTS[] = {
    {.name = "name",
     .type = OPTION_FIELD,
     .flags = OPTION_REQUIRED,
     .offset = offsetof(struct name_config, name),
     .doc = "The field's name; X-Request-ID when nothing is written."},
    {0},
};
static const struct key CONFIG_VERSION_KEY = {
    .name = "config_version",
    .contexts = IN_TOP,
    .arguments = VERSION,
    .config_size = sizeof(struct number_config),
    .doc = "The version of the language that the file is written in.",
    .example = "config_version 1",
    .since = "0.1",
};
static const struct key INCLUDE = {
    .name = "include",
    .contexts = IN_TOP | IN_SITE | IN_ROUTE | IN_UPSTREAM | IN_DEFAULTS | IN_LISTEN,
    .flags = KEY_MANY,
    .arguments = A_FILE,
    .config_size = sizeof(struct name_config),
    .doc = "Reads other files as if they stood here. A pattern may match nothing; a plain name "
           "must exist.",
    .example = "include sites/*.conf",
    .since = "0.1",
};
static const struct key SNIPPET = {
    .name = "snippet",
    .contexts = IN_TOP,
    .flags = KEY_MANY | KEY_SECTION,
    .arguments = A_NAME,
    .config_size = sizeof(struct name_config),
    .doc = "Lines with a name, to be pasted by use.",
    .example = "snippet NAME { … }",
    .since = "0.1",
};
static const struct key USE = {
    .name = "use",
    .contexts = IN_TOP | IN_SITE | IN_ROUTE | IN_UPSTREAM | IN_DEFAULTS | IN_LISTEN,
    .flags = KEY_MANY,
    .arguments = A_NAME,
    .config_size = sizeof(struct name_config),
    .doc = "Pastes the lines of a snippet.",
    .example = "use security_headers",
    .since = "0.1",
};
static const struct key USER = {
    .name = "user",
    .contexts = IN_TOP,
    .arguments = A_NAME,
    .config_size = sizeof(struct name_config),
    .doc = "The user that weir becomes when it is started as root. A change needs a restart.",
    .example = "user weir",
    .since = "0.1",
};
static const struct key GROUP = {
    .name = "group",
    .contexts = IN_TOP,
    .arguments = A_NAME,
    .config_size = sizeof(struct name_config),
    .doc = "The group that weir becomes when it is started as root; else the user's. A change "
           "needs a restart.",
    .example = "group weir",
    .since = "0.1",
};
static const struct key WORKERS_KEY = {
    .name = "workers",
    .contexts = IN_TOP,
    .arguments = WORKERS,
    .config_size = sizeof(struct number_config),
    .doc = "How many threads serve. A change needs a restart.",
    .example = "workers 4",
    .since = "0.1",
};
static const struct key CORE_DUMPS = {
    .name = "core_dumps",
    .contexts = IN_TOP,
    .arguments = CORE_DUMPS_ARGUMENTS,
    .config_size = sizeof(struct switch_config),
    .doc =
        "Whether the kernel may write weir's memory, keys and passwords included, to a file when "
        "it crashes, and others of its user may look into it with a debugger. A change needs a "
        "restart.",
    .example = "core_dumps on",
    .since = "0.1",
};
static const struct key CONFIG = {
    .name = "config",
    .contexts = IN_TOP,
    .arguments = CONFIG_ARGUMENTS,
    .config_size = sizeof(struct word_choice_config),
    .doc = "Who says what is served. file: this file, and what PUT /v1/config brings is served "
           "until the next reload. api: the admin API; this file is for the first start alone, and "
           "later ones serve what was served last, which is kept in weir's state directory. A "
           "change needs a restart.",
    .example = "config api",
    .since = "0.1",
};
static const struct key METRICS = {
    .name = "metrics",
    .contexts = IN_TOP,
    .options = METRICS_OPTIONS,
    .config_size = sizeof(struct metrics_config),
    .doc = "What GET /metrics of the admin API tells Prometheus.",
    .example = "metrics max_series=10000",
    .since = "0.1",
};
static const struct key FIBERS_MAX = {
    .name = "fibers_max",
    .contexts = IN_TOP,
    .arguments = FIBERS,
    .config_size = sizeof(struct number_config),
    .doc = "How many exchanges each worker may have at once; more are answered 503. A change needs "
           "a restart.",
    .example = "fibers_max 24000",
    .since = "0.1",
};
static const struct key RESOLVER = {
    .name = "resolver",
    .contexts = IN_TOP,
    .arguments = RESOLVER_ARGUMENTS,
    .options = RESOLVER_OPTIONS,
    .config_size = sizeof(struct resolver_keys_config),
    .doc = "Who is asked for the addresses of servers that are written by name.",
    .example = "resolver 192.0.2.53 timeout=1s",
    .since = "0.1",
};
static const struct key TRUSTED_PROXIES = {
    .name = "trusted_proxies",
    .contexts = IN_TOP,
    .arguments = PROXIES_ARGUMENTS,
    .options = PROXIES_OPTIONS,
    .config_size = sizeof(struct proxies_config),
    .doc = "Proxies in front of weir. Only what they tell about a client is believed; from "
           "everyone else such headers are overwritten.",
    .example = "trusted_proxies 10.0.0.0/8 header=x_forwarded_for",
    .since = "0.1",
};
static const struct key REQUEST_ID = {
    .name = "request_id",
    .contexts = IN_TOP,
    .arguments = REQUEST_ID_ARGUMENTS,
    .config_size = sizeof(struct name_config),
    .doc = "Which field carries the id of a request, to servers and to clients. A trusted proxy's "
           "is taken over, for everybody else weir makes one.",
    .example = "request_id X-Correlation-ID",
    .since = "0.1",
};
static const struct key GEOIP = {
    .name = "geoip",
    .contexts = IN_TOP,
    .flags = KEY_MANY,
    .arguments = GEOIP_ARGUMENTS,
    .config_size = sizeof(struct name_config),
    .doc = "A database that says where addresses are at home, for allow, deny, {geo.country} and "
           "{geo.network}. It is read again when it changes. One of countries and one of networks.",
    .example = "geoip GeoLite2-Country.mmdb",
    .since = "0.1",
};
static const struct key DEFAULTS = {
    .name = "defaults",
    .contexts = IN_TOP,
    .flags = KEY_SECTION,
    .inner = IN_DEFAULTS,
    .doc = "Steps and limits of every site; a site or route that writes them itself wins.",
    .example = "defaults { … }",
    .since = "0.1",
};

const struct key *const KEYS_TOP[] = {
    &CONFIG_VERSION_KEY, &INCLUDE,    &SNIPPET, &USE,      &USER,       &GROUP,
    &WORKERS_KEY,        &CORE_DUMPS, &CONFIG,  &METRICS,  &FIBERS_MAX, &RESOLVER,
    &TRUSTED_PROXIES,    &REQUEST_ID, &GEOIP,   &DEFAULTS, NULL,
};
