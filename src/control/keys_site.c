/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of sites, their addresses and routes. Steps have theirs beside their code. */
#include "control/config_keys.h"

static const char *const HALF_CLOSES[] = {"cancel", "allow", NULL};
static const char *const FIELD_NAMES[] = {"reject", "drop", "allow", NULL};
static const char *const ESCAPED_SLASHES[] = {"reject", "keep", NULL};
static const char *const MATCHES[] = {"method", "header",   "query", "cookie",
                                      "client", "language", NULL};

static const struct option HOSTS[] = {
    {.name = "hosts",
     .type = OPTION_HOST,
     .flags = OPTION_REQUIRED | OPTION_MANY,
     .offset = offsetof(struct site_config, hosts),
     .doc = "Host names; *.example.com stands for all names below example.com, * for any name."},
    {0},
};
static const struct option LISTEN_ARGUMENTS[] = {
    {.name = "addresses",
     .type = OPTION_ADDRESS,
     .flags = OPTION_REQUIRED | OPTION_MANY,
     .offset = offsetof(struct listen_config, addresses),
     .doc = ":port, address:port, [address]:port or unix:/path."},
    {0},
};
static const struct option LISTEN_OPTIONS[] = {
    {.name = "half_close",
     .type = OPTION_ENUM,
     .standard = "cancel",
     .words = HALF_CLOSES,
     .offset = offsetof(struct listen_config, half_close),
     .doc = "What it means when a client ends its side after the request: that it hung up, or "
            "that it still waits for the response."},
    {.name = "tls",
     .type = OPTION_FLAG,
     .offset = offsetof(struct listen_config, is_tls),
     .doc = "Clients speak TLS there. Goes without saying on port 443, and where a site has a "
            "certificate, but for port 80."},
    {.name = "plain",
     .type = OPTION_FLAG,
     .offset = offsetof(struct listen_config, is_plain),
     .doc = "Clients speak in clear there, though a site has a certificate."},
    {.name = "proxy_protocol",
     .type = OPTION_FLAG,
     .offset = offsetof(struct listen_config, proxy_protocol),
     .doc = "Each connection begins with a header of the PROXY protocol, version 1 or 2, before "
            "TLS too: the client is whom it names. Taken from trusted_proxies and over unix "
            "sockets alone; connections of others, and those without it, are closed."},
    {0},
};
static const struct option ALIAS_ARGUMENTS[] = {
    {.name = "hosts",
     .type = OPTION_HOST,
     .flags = OPTION_REQUIRED | OPTION_MANY,
     .offset = offsetof(struct alias_config, hosts),
     .doc = "Other host names."},
    {0},
};
static const struct option ALIAS_OPTIONS[] = {
    {.name = "status",
     .type = OPTION_STATUS,
     .standard = "308",
     .min = 301,
     .max = 308,
     .offset = offsetof(struct alias_config, status),
     .doc = "The status of the redirect."},
    {0},
};
static const struct option FIELD_NAMES_ARGUMENTS[] = {
    {.name = "action",
     .type = OPTION_ENUM,
     .flags = OPTION_REQUIRED,
     .standard = "reject",
     .words = FIELD_NAMES,
     .offset = offsetof(struct choice_config, choice),
     .doc = "reject: 400; drop: the header is left out; allow: it is passed on."},
    {0},
};
static const struct option ESCAPED_SLASH_ARGUMENTS[] = {
    {.name = "action",
     .type = OPTION_ENUM,
     .flags = OPTION_REQUIRED,
     .standard = "reject",
     .words = ESCAPED_SLASHES,
     .offset = offsetof(struct choice_config, choice),
     .doc = "reject: 400; keep: it stays %2F and separates nothing."},
    {0},
};
static const struct option MERGE_SLASHES_ARGUMENTS[] = {
    {.name = "switch",
     .type = OPTION_BOOL,
     .flags = OPTION_REQUIRED,
     .standard = "on",
     .offset = offsetof(struct switch_config, is_on),
     .doc = "on or off."},
    {0},
};
static const struct option SITE_LOG_ARGUMENTS[] = {
    {.name = "switch",
     .type = OPTION_BOOL,
     .flags = OPTION_REQUIRED,
     .standard = "on",
     .offset = offsetof(struct switch_config, is_on),
     .doc = "on or off."},
    {0},
};
static const struct option PATTERN[] = {
    {.name = "pattern",
     .type = OPTION_PATTERN,
     .flags = OPTION_REQUIRED,
     .offset = offsetof(struct route_config, pattern),
     .doc = "/exact, /prefix/* (also matches /prefix itself) or ~regular-expression."},
    {0},
};
static const struct option MATCH_ARGUMENTS[] = {
    {.name = "kind",
     .type = OPTION_ENUM,
     .flags = OPTION_REQUIRED,
     .words = MATCHES,
     .offset = offsetof(struct match_line_config, kind),
     .doc = "What is looked at."},
    {.name = "values",
     .type = OPTION_STRING,
     .flags = OPTION_REQUIRED | OPTION_MANY,
     .offset = offsetof(struct match_line_config, values),
     .doc = "Methods, one of which it must be; address ranges; languages, one of which the client "
            "must like best (de is de-CH too); or a name, and the value that it must have: exact, "
            "or ~regular-expression, or none to be there at all."},
    {0},
};

static const struct key SITE = {
    .name = "site",
    .contexts = IN_TOP,
    .flags = KEY_MANY | KEY_SECTION,
    .inner = IN_SITE,
    .arguments = HOSTS,
    .config_size = sizeof(struct site_config),
    .doc = "Host names and what happens to their requests. An exact name wins over a wildcard, a "
           "longer wildcard over a shorter one, and * takes the rest.",
    .example = "site example.com www.example.com { … }",
    .since = "0.1",
};
static const struct key LISTEN = {
    .name = "listen",
    .contexts = IN_SITE,
    .flags = KEY_MANY | KEY_SECTION | KEY_BARE,
    .inner = IN_LISTEN,
    .arguments = LISTEN_ARGUMENTS,
    .options = LISTEN_OPTIONS,
    .config_size = sizeof(struct listen_config),
    .doc =
        "Addresses at which the site is served. When none is written: :80, or with a certificate "
        ":443, and :80 redirects there. The options of an address that several sites share "
        "stand at one of them.",
    .example = "listen :8080 127.0.0.1:9000",
    .since = "0.1",
};
static const struct key ALIAS = {
    .name = "alias",
    .contexts = IN_SITE,
    .flags = KEY_MANY,
    .arguments = ALIAS_ARGUMENTS,
    .options = ALIAS_OPTIONS,
    .config_size = sizeof(struct alias_config),
    .doc = "Other host names, which are redirected to the first name of the site.",
    .example = "alias www.example.com example.org status=308",
    .since = "0.1",
};
static const struct key FIELD_NAMES_KEY = {
    .name = "field_names",
    .contexts = IN_SITE | IN_DEFAULTS,
    .arguments = FIELD_NAMES_ARGUMENTS,
    .config_size = sizeof(struct choice_config),
    .doc = "What is done with request headers whose names hold other characters than letters, "
           "digits and hyphens. Many servers read X_User and X-User as one.",
    .example = "field_names drop",
    .since = "0.1",
};
static const struct key PATH_ESCAPED_SLASH = {
    .name = "path_escaped_slash",
    .contexts = IN_SITE | IN_DEFAULTS,
    .arguments = ESCAPED_SLASH_ARGUMENTS,
    .config_size = sizeof(struct choice_config),
    .doc = "What is done with %2F in a path.",
    .example = "path_escaped_slash keep",
    .since = "0.1",
};
static const struct key PATH_MERGE_SLASHES = {
    .name = "path_merge_slashes",
    .contexts = IN_SITE | IN_DEFAULTS,
    .arguments = MERGE_SLASHES_ARGUMENTS,
    .config_size = sizeof(struct switch_config),
    .doc = "Whether several slashes in a row count as one.",
    .example = "path_merge_slashes off",
    .since = "0.1",
};
static const struct key SITE_LOG = {
    .name = "log",
    .contexts = IN_SITE | IN_DEFAULTS,
    .arguments = SITE_LOG_ARGUMENTS,
    .config_size = sizeof(struct switch_config),
    .doc = "Whether the exchanges of the site are written to the access log.",
    .example = "log off",
    .since = "0.1",
};
static const struct key ROUTE = {
    .name = "route",
    .contexts = IN_SITE,
    .flags = KEY_MANY | KEY_SECTION,
    .inner = IN_ROUTE,
    .arguments = PATTERN,
    .config_size = sizeof(struct route_config),
    .doc = "Steps for the paths of a pattern. The most specific route wins, wherever it stands: "
           "an exact path, then the longest prefix, then a regular expression; then the one with "
           "more conditions. Its steps run from top to bottom, the last one answers.",
    .example = "route /api/* { … }",
    .since = "0.1",
};
static const struct key MATCH = {
    .name = "match",
    .contexts = IN_ROUTE,
    .flags = KEY_MANY,
    .arguments = MATCH_ARGUMENTS,
    .config_size = sizeof(struct match_line_config),
    .doc = "A condition of the route beside its path; all must hold, else the next route is "
           "tried.",
    .example = "match header X-Canary yes",
    .since = "0.1",
};

const struct key *const KEYS_SITE[] = {
    &SITE,  &LISTEN, &ALIAS, &FIELD_NAMES_KEY, &PATH_ESCAPED_SLASH, &PATH_MERGE_SLASHES, &SITE_LOG,
    &ROUTE, &MATCH,  NULL,
};
