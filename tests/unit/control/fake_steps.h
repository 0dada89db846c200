/* SPDX-License-Identifier: Apache-2.0 */
/* A language that does not change with the program's features: the core keys, and steps and
 * placeholders that stand for the real ones. */
#pragma once

#include "base/check.h"
#include "base/clock.h"
#include "control/config.h"

struct fake_config {
    struct slice first, second, third;
    struct slice_list list;
    int choice, other_choice;
    int64_t status, times[4], tries, weight;
};

static const char *const FAKE_HOST_WORDS[] = {"preserve", "upstream", NULL};
static const char *const FAKE_RETRY_WORDS[] = {"connect", "refused", "5xx", NULL};
static const char *const FAKE_ACTIONS[] = {"set", "add", "remove", NULL};
static const char *const FAKE_SIDES[] = {"response", "request", NULL};

#define FAKE(member) .offset = offsetof(struct fake_config, member)
static const struct option FAKE_PROXY_ARGUMENTS[] = {
    {.name = "to", .type = OPTION_UPSTREAM, .flags = OPTION_REQUIRED, FAKE(first), .doc = "Whom."},
    {0},
};
static const struct option FAKE_PROXY_OPTIONS[] = {
    {.name = "connect_timeout",
     .type = OPTION_DURATION,
     .standard = "3s",
     .min = MILLISECONDS(1),
     .max = SECONDS(3600),
     FAKE(times[0]),
     .doc = "Connect."},
    {.name = "first_byte_timeout",
     .type = OPTION_DURATION,
     .flags = OPTION_MAY_BE_OFF,
     .standard = "60s",
     FAKE(times[1]),
     .doc = "First byte."},
    {.name = "idle_timeout",
     .type = OPTION_DURATION,
     .flags = OPTION_MAY_BE_OFF,
     .standard = "60s",
     FAKE(times[2]),
     .doc = "Between reads."},
    {.name = "timeout",
     .type = OPTION_DURATION,
     .flags = OPTION_MAY_BE_OFF,
     .standard = "off",
     FAKE(times[3]),
     .doc = "In all."},
    {.name = "tries",
     .type = OPTION_INT,
     .standard = "2",
     .min = 1,
     .max = 10,
     FAKE(tries),
     .doc = "Tries."},
    {.name = "retry_on",
     .type = OPTION_ENUM,
     .flags = OPTION_MANY,
     .standard = "connect,refused",
     .words = FAKE_RETRY_WORDS,
     FAKE(list),
     .doc = "When."},
    {.name = "host",
     .type = OPTION_ENUM,
     .standard = "preserve",
     .words = FAKE_HOST_WORDS,
     FAKE(choice),
     .doc = "Host."},
    {.name = "weight", .type = OPTION_INT, .standard = "1", .max = 100, FAKE(weight), .doc = "W."},
    {0},
};
static const struct option FAKE_SPLIT_OPTIONS[] = {
    {.name = "by", .type = OPTION_TEMPLATE, FAKE(first), .doc = "By."},
    {0},
};
static const struct option FAKE_RESPOND_ARGUMENTS[] = {
    {.name = "status", .type = OPTION_STATUS, .flags = OPTION_REQUIRED, FAKE(status), .doc = "S."},
    {.name = "text", .type = OPTION_TEMPLATE, FAKE(first), .doc = "Text."},
    {0},
};
static const struct option FAKE_RESPOND_OPTIONS[] = {
    {.name = "type", .type = OPTION_STRING, .standard = "text/plain", FAKE(second), .doc = "Type."},
    {0},
};
static const struct option FAKE_REDIRECT_ARGUMENTS[] = {
    {.name = "to", .type = OPTION_TEMPLATE, .flags = OPTION_REQUIRED, FAKE(first), .doc = "To."},
    {0},
};
static const struct option FAKE_REDIRECT_OPTIONS[] = {
    {.name = "status", .type = OPTION_STATUS, .standard = "302", FAKE(status), .doc = "Status."},
    {0},
};
static const struct option FAKE_HEADER_ARGUMENTS[] = {
    {.name = "action",
     .type = OPTION_ENUM,
     .flags = OPTION_REQUIRED,
     .words = FAKE_ACTIONS,
     FAKE(choice),
     .doc = "Action."},
    {.name = "name", .type = OPTION_FIELD, .flags = OPTION_REQUIRED, FAKE(first), .doc = "Name."},
    {.name = "value", .type = OPTION_TEMPLATE, FAKE(second), .doc = "Value."},
    {0},
};
static const struct option FAKE_HEADER_OPTIONS[] = {
    {.name = "on",
     .type = OPTION_ENUM,
     .standard = "response",
     .words = FAKE_SIDES,
     FAKE(other_choice),
     .doc = "Side."},
    {0},
};
static const struct option FAKE_STRIP_ARGUMENTS[] = {
    {.name = "path", .type = OPTION_PATH, .flags = OPTION_REQUIRED, FAKE(first), .doc = "Path."},
    {0},
};
static const struct option FAKE_REWRITE_ARGUMENTS[] = {
    {.name = "from", .type = OPTION_PATTERN, .flags = OPTION_REQUIRED, FAKE(first), .doc = "From."},
    {.name = "to", .type = OPTION_TEMPLATE, .flags = OPTION_REQUIRED, FAKE(second), .doc = "To."},
    {0},
};
static const struct option FAKE_ERROR_PAGE_ARGUMENTS[] = {
    {.name = "statuses",
     .type = OPTION_STATUS_RANGE,
     .flags = OPTION_REQUIRED | OPTION_MANY,
     FAKE(list),
     .doc = "Which."},
    {.name = "page", .type = OPTION_STRING, .flags = OPTION_REQUIRED, FAKE(first), .doc = "Page."},
    {0},
};
static const struct option FAKE_GUARD_ARGUMENTS[] = {
    {.name = "users",
     .type = OPTION_SECRET,
     .flags = OPTION_REQUIRED,
     FAKE(first),
     .doc = "Users."},
    {0},
};
static const struct option FAKE_GUARD_OPTIONS[] = {
    {.name = "realm", .type = OPTION_STRING, FAKE(second), .doc = "Realm."},
    {.name = "page", .type = OPTION_FILE, FAKE(third), .doc = "Page."},
    {0},
};
static const struct option FAKE_ASK_ARGUMENTS[] = {
    {.name = "url", .type = OPTION_URL, .flags = OPTION_REQUIRED, FAKE(first), .doc = "Whom."},
    {.name = "rate", .type = OPTION_RATE, FAKE(times), .doc = "How often."},
    {.name = "share", .type = OPTION_PERCENT, .max = 10000, FAKE(tries), .doc = "How many."},
    {0},
};
static const struct option FAKE_RATE_ARGUMENTS[] = {
    {.name = "rate",
     .type = OPTION_RATE,
     .flags = OPTION_REQUIRED,
     FAKE(times),
     .doc = "How many."},
    {0},
};
static const struct option FAKE_RATE_OPTIONS[] = {
    {.name = "burst", .type = OPTION_INT, .max = 1000000, FAKE(tries), .doc = "At once."},
    {.name = "by", .type = OPTION_TEMPLATE, FAKE(first), .doc = "Apart."},
    {0},
};
static const struct option FAKE_CACHE_ARGUMENTS[] = {
    {.name = "store", .type = OPTION_NAME, .flags = OPTION_REQUIRED, FAKE(first), .doc = "Which."},
    {0},
};
static const struct option FAKE_CACHE_OPTIONS[] = {
    {.name = "ttl", .type = OPTION_STRING, FAKE(second), .doc = "How long."},
    {.name = "stale", .type = OPTION_STRING, FAKE(third), .doc = "How much longer."},
    {0},
};

static const struct option FAKE_CODINGS_ARGUMENTS[] = {
    {.name = "codings",
     .type = OPTION_STRING,
     .flags = OPTION_REQUIRED | OPTION_MANY,
     FAKE(list),
     .doc = "Which."},
    {0},
};
static const struct option FAKE_PLACE_ARGUMENTS[] = {
    {.name = "where",
     .type = OPTION_STRING,
     .flags = OPTION_REQUIRED,
     FAKE(first),
     .doc = "Where."},
    {0},
};
static const struct option FAKE_PLACE_OPTIONS[] = {
    {.name = "root", .type = OPTION_STRING, FAKE(second), .doc = "Which directory."},
    {.name = "fallback", .type = OPTION_PATH, FAKE(third), .doc = "For what is not there."},
    {0},
};

#define FAKE_KEY(id, word, more, table, optional, text, line)                                      \
    static const struct key id = {.name = word,                                                    \
                                  .contexts = IN_SITE | IN_ROUTE | IN_DEFAULTS,                    \
                                  .flags = KEY_STEP | (more),                                      \
                                  .arguments = table,                                              \
                                  .options = optional,                                             \
                                  .config_size = sizeof(struct fake_config),                       \
                                  .doc = text,                                                     \
                                  .example = line,                                                 \
                                  .since = "0.1"};
FAKE_KEY(FAKE_HEADER, "header", KEY_MANY, FAKE_HEADER_ARGUMENTS, FAKE_HEADER_OPTIONS,
         "Changes headers.", "header set X-Frame-Options DENY on=response")
FAKE_KEY(FAKE_STRIP, "strip_prefix", KEY_OFF, FAKE_STRIP_ARGUMENTS, NULL, "Cuts the path.",
         "strip_prefix /api")
FAKE_KEY(FAKE_REWRITE, "rewrite", KEY_MANY, FAKE_REWRITE_ARGUMENTS, NULL, "Changes the path.",
         "rewrite ~^/old/(.*)$ /new/$1")
FAKE_KEY(FAKE_ERROR_PAGE, "error_page", KEY_MANY, FAKE_ERROR_PAGE_ARGUMENTS, NULL,
         "Replaces errors.", "error_page 502 503 \"Sorry.\"")
FAKE_KEY(FAKE_GUARD, "basic_auth", KEY_OFF, FAKE_GUARD_ARGUMENTS, FAKE_GUARD_OPTIONS,
         "Asks for a password.", "basic_auth file:/etc/weir/htpasswd realm=Staff")
FAKE_KEY(FAKE_ASK, "ask", KEY_MANY, FAKE_ASK_ARGUMENTS, NULL, "Asks.",
         "ask http://127.0.0.1:9000/ok 20r/s 1.5%")
FAKE_KEY(FAKE_RATE, "rate_limit", KEY_MANY, FAKE_RATE_ARGUMENTS, FAKE_RATE_OPTIONS, "Counts.",
         "rate_limit 20r/s burst=40 by={client_ip}")
FAKE_KEY(FAKE_CACHE, "cache", KEY_OFF, FAKE_CACHE_ARGUMENTS, FAKE_CACHE_OPTIONS, "Stores.",
         "cache pages ttl=5m stale=30s")
FAKE_KEY(FAKE_COMPRESS, "compress", KEY_OFF, FAKE_CODINGS_ARGUMENTS, NULL, "Encodes.",
         "compress zstd gzip")
FAKE_KEY(FAKE_FILES, "files", KEY_ANSWER, FAKE_PLACE_ARGUMENTS, FAKE_PLACE_OPTIONS, "Sends files.",
         "files /srv/www fallback=/index.html")
FAKE_KEY(FAKE_PHP, "php", KEY_ANSWER, FAKE_PLACE_ARGUMENTS, FAKE_PLACE_OPTIONS, "Runs scripts.",
         "php unix:/run/php.sock root=/srv/www")
static const struct key FAKE_PROXY = {
    .name = "proxy",
    .contexts = IN_SITE | IN_ROUTE | IN_DEFAULTS | IN_SPLIT,
    .flags = KEY_STEP | KEY_ANSWER,
    .arguments = FAKE_PROXY_ARGUMENTS,
    .options = FAKE_PROXY_OPTIONS,
    .config_size = sizeof(struct fake_config),
    .doc = "Asks a server.",
    .example = "proxy 127.0.0.1:3000 tries=3 host=upstream",
    .since = "0.1",
};
static const struct key FAKE_SPLIT = {
    .name = "split",
    .contexts = IN_SITE | IN_ROUTE,
    .flags = KEY_STEP | KEY_ANSWER | KEY_SECTION,
    .inner = IN_SPLIT,
    .options = FAKE_SPLIT_OPTIONS,
    .config_size = sizeof(struct fake_config),
    .doc = "Shares.",
    .example = "split by={client_ip} { … }",
    .since = "0.1",
};
FAKE_KEY(FAKE_REDIRECT, "redirect", KEY_ANSWER, FAKE_REDIRECT_ARGUMENTS, FAKE_REDIRECT_OPTIONS,
         "Redirects.", "redirect https://{host}{uri} status=308")
FAKE_KEY(FAKE_RESPOND, "respond", KEY_ANSWER, FAKE_RESPOND_ARGUMENTS, FAKE_RESPOND_OPTIONS,
         "Answers by itself.", "respond 200 ok type=text/plain")

static inline const char *fake_placeholder(size_t index)
{
    static const char *const NAMES[] = {"client_ip",   "host",        "uri",     "path",
                                        "query",       "method",      "scheme",  "request_id",
                                        "header.NAME", "cookie.NAME", "upstream"};
    return index < sizeof(NAMES) / sizeof(NAMES[0]) ? NAMES[index] : NULL;
}

static inline const struct config_schema *fake_schema(void)
{
    static const struct key *const STEPS[] = {
        &FAKE_HEADER,   &FAKE_STRIP, &FAKE_REWRITE, &FAKE_ERROR_PAGE,
        &FAKE_GUARD,    &FAKE_ASK,   &FAKE_PROXY,   &FAKE_REDIRECT,
        &FAKE_RESPOND,  &FAKE_SPLIT, &FAKE_RATE,    &FAKE_CACHE,
        &FAKE_COMPRESS, &FAKE_FILES, &FAKE_PHP,     NULL,
    };
    static const struct key *const *const LISTS[] = {
        KEYS_TOP, KEYS_TIMES, KEYS_UPSTREAM, KEYS_BALANCE, KEYS_SITE,
        KEYS_TLS, KEYS_ADMIN, KEYS_CACHE,    KEYS_LOG,     STEPS};
    static const struct key *keys[128];
    static struct config_schema schema = {.keys = keys, .placeholder = fake_placeholder};
    if (schema.count == 0)
        for (size_t i = 0; i < sizeof(LISTS) / sizeof(LISTS[0]); i++)
            for (size_t j = 0; LISTS[i][j] != NULL; j++)
                keys[schema.count++] = LISTS[i][j];
    return &schema;
}

static inline const char *fake_environment(const char *name)
{
    if (strcmp(name, "PORT") == 0)
        return "8080";
    if (strcmp(name, "EMPTY") == 0)
        return "";
    return strcmp(name, "BLANKS") == 0 ? "a b {host} }\n;" : NULL;
}

/* A file that says so is larger than any that may be stored among the tests. */
static inline enum status fake_read(const char *path, size_t size_max, struct arena *arena,
                                    struct slice *text, const char **why)
{
    if (slice_starts(slice_from_cstring(path), SLICE("/etc/"))) {
        *why = "No such file or directory"; /* whatever this machine has there */
        return ERR_UNREACHABLE;
    }
    enum status status = CONFIG_SYSTEM.read(path, size_max, arena, text, why);
    return status == OK && slice_starts(*text, SLICE("# larger than 16 MiB")) ? ERR_LIMIT : status;
}

static inline void fake_match(const char *pattern, struct arena *arena, struct slice_list *paths)
{
    CONFIG_SYSTEM.match(pattern, arena, paths);
}

static const struct config_source FAKE_SOURCE = {fake_environment, fake_read, fake_match};

/* Loads a text with the language above. */
static inline const struct config *fake_load(const char *text, struct arena *arena,
                                             struct config_errors *errors)
{
    struct config_request request = {
        .path = SLICE("weir.conf"),
        .text = slice_from_cstring(text),
        .has_text = true,
        .source = &FAKE_SOURCE,
        .schema = fake_schema(),
    };
    return config_load(&request, arena, errors);
}
