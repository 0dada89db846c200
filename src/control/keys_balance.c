/* SPDX-License-Identifier: Apache-2.0 */
/* Keys that say which server of an upstream a request goes to. */
#include "base/clock.h"
#include "control/config_keys.h"

static const char *const BALANCES_WORDS[] = {
#define BALANCE(id, name, policy, key, doc) name,
#include "upstream/balance.def"
#undef BALANCE
    NULL,
};

static const struct option BALANCE_ARGUMENTS[] = {
    {.name = "method",
     .type = OPTION_ENUM,
     .flags = OPTION_REQUIRED,
     .standard = "random_two",
     .words = BALANCES_WORDS,
     .offset = offsetof(struct balance_config, method),
     .doc =
#define BALANCE(id, name, policy, key, doc) "`" name "`: " doc "; "
#include "upstream/balance.def"
#undef BALANCE
         "all regard the weights. What hashes is consistent: when a server is down or gone, only "
         "its own clients move. A request without the value that is hashed goes to the less busy "
         "of two."},
    {.name = "name",
     .type = OPTION_FIELD,
     .offset = offsetof(struct balance_config, name),
     .doc = "Of the header (`header_hash`) or the cookie (`cookie_hash`); nowhere else."},
    {0},
};
static const struct option BALANCE_OPTIONS[] = {
    {.name = "load",
     .type = OPTION_PERCENT,
     .flags = OPTION_MAY_BE_OFF,
     .standard = "150%",
     .min = 10100,
     .max = 100000,
     .offset = offsetof(struct balance_config, load),
     .doc = "Where a hash decides: a server with more than that part of its fair share of the "
            "exchanges, and 8 of them at least, lets requests pass to the next one; off: never."},
    {0},
};

static const char *const STICKY_WORDS[] = {"cookie", "client_ip", NULL};
static const char *const SAME_SITE_WORDS[] = {"lax", "strict", "none", NULL};
static const char *const SECURE_WORDS[] = {"auto", "on", "off", NULL};

static const struct option STICKY_ARGUMENTS[] = {
    {.name = "by",
     .type = OPTION_ENUM,
     .flags = OPTION_REQUIRED,
     .words = STICKY_WORDS,
     .offset = offsetof(struct sticky_config, by),
     .doc = "cookie: the client brings a cookie that names its server; client_ip: its address (of "
            "IPv6: its /64) decides, whatever `balance` says and however busy the server is."},
    {0},
};
static const struct option STICKY_OPTIONS[] = {
    {.name = "name",
     .type = OPTION_FIELD,
     .standard = "weir_route",
     .offset = offsetof(struct sticky_config, name),
     .doc = "Of the cookie. Upstreams with other servers on one site need cookies of other names."},
    {.name = "ttl",
     .type = OPTION_DURATION,
     .flags = OPTION_MAY_BE_OFF,
     .standard = "off",
     .min = SECONDS(1),
     .max = SECONDS(86400) * 400,
     .offset = offsetof(struct sticky_config, ttl),
     .doc = "How long the browser keeps the cookie; off: until it is closed."},
    {.name = "path",
     .type = OPTION_PATH,
     .standard = "/",
     .offset = offsetof(struct sticky_config, path),
     .doc = "Where the browser sends the cookie."},
    {.name = "domain",
     .type = OPTION_NAME,
     .offset = offsetof(struct sticky_config, domain),
     .doc = "Domain of the cookie; left out: the host that was asked alone."},
    {.name = "same_site",
     .type = OPTION_ENUM,
     .standard = "lax",
     .words = SAME_SITE_WORDS,
     .offset = offsetof(struct sticky_config, same_site),
     .doc = "SameSite of the cookie; none needs secure."},
    {.name = "secure",
     .type = OPTION_ENUM,
     .standard = "auto",
     .words = SECURE_WORDS,
     .offset = offsetof(struct sticky_config, secure),
     .doc = "Whether the cookie is for TLS alone; auto: when the client came over TLS."},
    {.name = "secret",
     .type = OPTION_SECRET,
     .offset = offsetof(struct sticky_config, secret),
     .doc = "With it nobody can make such a cookie, or tell from it what a server is called. "
            "Several weirs need the same one. Left out: the cookie is a plain hash of the server's "
            "name, which who knows the name can make."},
    {0},
};

static const struct key BALANCE_KEY = {
    .name = "balance",
    .contexts = IN_UPSTREAM,
    .arguments = BALANCE_ARGUMENTS,
    .options = BALANCE_OPTIONS,
    .config_size = sizeof(struct balance_config),
    .doc = "How a server is chosen.",
    .example = "balance least_conn",
    .since = "0.1",
};
static const struct key STICKY = {
    .name = "sticky",
    .contexts = IN_UPSTREAM,
    .arguments = STICKY_ARGUMENTS,
    .options = STICKY_OPTIONS,
    .config_size = sizeof(struct sticky_config),
    .doc = "Keeps a client on the server that it had before. When that one cannot serve the client "
           "gets another one, and stays there.",
    .example = "sticky cookie name=weir_chat",
    .since = "0.1",
};

const struct key *const KEYS_BALANCE[] = {&BALANCE_KEY, &STICKY, NULL};
