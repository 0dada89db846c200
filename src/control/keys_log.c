/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of logs. */
#include "control/config_build.h"

#include "base/clock.h"

static const char *const LOG_KINDS[] = {"access", "error", "audit", NULL};
static const char *const LOG_ON_FULL[] = {"drop", "block", NULL};
static const char *const LOG_LEVELS[] = {"debug", "info", "warn", "error", NULL};

static const struct option LOG_ARGUMENTS[] = {
    {.name = "kind",
     .type = OPTION_ENUM,
     .flags = OPTION_REQUIRED,
     .words = LOG_KINDS,
     .offset = offsetof(struct log_config, kind),
     .doc = "access: a line for each exchange, and there may be several such logs; error: what "
            "went wrong; audit: what operators change, which is part of the error log otherwise."},
    {0},
};
static const struct option LOG_OPTIONS[] = {
    {.name = "to",
     .type = OPTION_STRING,
     .standard = "stderr",
     .offset = offsetof(struct log_config, to),
     .doc = "stdout, stderr, file:PATH, journal (or journal:PATH of its socket), syslog (the "
            "system's, or syslog:unix:PATH, syslog:IP:PORT by UDP, syslog:tcp:IP:PORT)."},
    {.name = "format",
     .type = OPTION_STRING,
     .standard = "json",
     .offset = offsetof(struct log_config, format),
     .doc = "How a line of the access log looks: json, logfmt, combined, common, or a template in "
            "quotes with the names of the JSON keys in braces, {header.NAME} and {response.NAME}."},
    {.name = "level",
     .type = OPTION_ENUM,
     .standard = "info",
     .words = LOG_LEVELS,
     .offset = offsetof(struct log_config, level),
     .doc = "The least important lines that the error log shows."},
    {.name = "sample",
     .type = OPTION_STRING,
     .standard = "1/1",
     .offset = offsetof(struct log_config, sample),
     .doc = "1/N: of the exchanges that the access log would show one of N, by chance."},
    {.name = "buffer",
     .type = OPTION_SIZE,
     .standard = "64KiB",
     .min = 4096,
     .max = 64 * 1024 * 1024,
     .offset = offsetof(struct log_config, buffer),
     .doc = "How much of the access log a worker gathers before it hands it over; 8 MiB wait for "
            "a target, and what comes then is dropped and counted."},
    {.name = "flush",
     .type = OPTION_DURATION,
     .standard = "1s",
     .min = MILLISECONDS(10),
     .max = SECONDS(60),
     .offset = offsetof(struct log_config, flush),
     .doc = "How long a line is kept by its worker at most."},
    {.name = "on_full",
     .type = OPTION_ENUM,
     .standard = "drop",
     .words = LOG_ON_FULL,
     .offset = offsetof(struct log_config, on_full),
     .doc = "When the target of an access log is behind, or its disk is full: lines are dropped "
            "and counted, or (block) requests that have been answered wait until theirs is taken, "
            "and none is lost while weir runs."},
    {0},
};
static const struct option FIELDS_ARGUMENTS[] = {
    {.name = "change",
     .type = OPTION_STRING,
     .flags = OPTION_REQUIRED | OPTION_MANY,
     .offset = offsetof(struct words_config, words),
     .doc = "+NAME or -NAME: a key more, or one less."},
    {0},
};
static const struct option HEADERS_ARGUMENTS[] = {
    {.name = "name",
     .type = OPTION_STRING,
     .flags = OPTION_REQUIRED | OPTION_MANY,
     .offset = offsetof(struct log_headers_config, names),
     .doc = "Fields of requests, or response.NAME; at most 16."},
    {0},
};
static const struct option HEADERS_OPTIONS[] = {
    {.name = "unsafe",
     .type = OPTION_FLAG,
     .offset = offsetof(struct log_headers_config, is_unsafe),
     .doc = "Authorization, Proxy-Authorization, Cookie and Set-Cookie as well."},
    {0},
};
static const struct option ROTATE_OPTIONS[] = {
    {.name = "size",
     .type = OPTION_SIZE,
     .flags = OPTION_MAY_BE_OFF,
     .standard = "off",
     .min = 4096,
     .max = INT64_MAX,
     .offset = offsetof(struct log_rotate_config, size),
     .doc = "From this size on the file is renamed to FILE.1, and a new one is begun."},
    {.name = "keep",
     .type = OPTION_INT,
     .standard = "5",
     .min = 1,
     .max = 1000,
     .offset = offsetof(struct log_rotate_config, keep),
     .doc = "How many that were renamed are kept; the oldest goes."},
    {0},
};
static const struct option ONLY_ARGUMENTS[] = {
    {.name = "status",
     .type = OPTION_STATUS_RANGE,
     .flags = OPTION_MANY,
     .offset = offsetof(struct log_only_config, statuses),
     .doc = "Statuses, ranges or classes: 404 500-504 5xx; 499: the client went away."},
    {0},
};
static const struct option ONLY_OPTIONS[] = {
    {.name = "slow",
     .type = OPTION_DURATION,
     .min = MILLISECONDS(1),
     .max = SECONDS(INT32_MAX),
     .offset = offsetof(struct log_only_config, slow),
     .doc = "Also those that took so long."},
    {.name = "failed",
     .type = OPTION_FLAG,
     .offset = offsetof(struct log_only_config, failed),
     .doc = "Also those with a reason: refused, broken off, or not answered by a server."},
    {0},
};
static const struct option MASK_OPTIONS[] = {
    {.name = "v4",
     .type = OPTION_INT,
     .standard = "24",
     .max = 32,
     .offset = offsetof(struct log_mask_config, v4),
     .doc = "Bits of an IPv4 address."},
    {.name = "v6",
     .type = OPTION_INT,
     .standard = "48",
     .max = 128,
     .offset = offsetof(struct log_mask_config, v6),
     .doc = "Bits of an IPv6 address."},
    {0},
};
static const struct option REDACT_ARGUMENTS[] = {
    {.name = "parameter",
     .type = OPTION_STRING,
     .flags = OPTION_REQUIRED | OPTION_MANY,
     .offset = offsetof(struct words_config, words),
     .doc = "Names, whatever their case."},
    {0},
};

static const struct key LOG = {
    .name = "log",
    .contexts = IN_TOP,
    .flags = KEY_MANY | KEY_SECTION | KEY_BARE,
    .inner = IN_LOG,
    .arguments = LOG_ARGUMENTS,
    .options = LOG_OPTIONS,
    .config_size = sizeof(struct log_config),
    .doc = "Where logs go. There is no access log unless one is written; the error log goes to "
           "stderr.",
    .example = "log access to=file:/var/log/weir/access.log format=json",
    .since = "0.1",
};
static const struct key ONLY = {
    .name = "only",
    .contexts = IN_LOG,
    .arguments = ONLY_ARGUMENTS,
    .options = ONLY_OPTIONS,
    .config_size = sizeof(struct log_only_config),
    .doc = "Which exchanges the access log shows: those of which one of these is true.",
    .example = "only 5xx slow=1s failed",
    .since = "0.1",
};
static const struct key MASK_IP = {
    .name = "mask_ip",
    .contexts = IN_LOG,
    .options = MASK_OPTIONS,
    .config_size = sizeof(struct log_mask_config),
    .doc = "The access log shows only the beginning of clients' addresses, the rest is zero.",
    .example = "mask_ip v4=24 v6=48",
    .since = "0.1",
};
static const struct key REDACT = {
    .name = "redact",
    .contexts = IN_LOG,
    .arguments = REDACT_ARGUMENTS,
    .config_size = sizeof(struct words_config),
    .doc = "Parameters of queries whose values the access log does not show, in the URI and in the "
           "referer.",
    .example = "redact token password",
    .since = "0.1",
};
static const struct key FIELDS = {
    .name = "fields",
    .contexts = IN_LOG,
    .arguments = FIELDS_ARGUMENTS,
    .config_size = sizeof(struct words_config),
    .doc = "Which keys the JSON and logfmt lines of the access log have more than usual, and which "
           "they have not.",
    .example = "fields +peer_ip +listener -referer",
    .since = "0.1",
};
static const struct key HEADERS = {
    .name = "headers",
    .contexts = IN_LOG,
    .arguments = HEADERS_ARGUMENTS,
    .options = HEADERS_OPTIONS,
    .config_size = sizeof(struct log_headers_config),
    .doc = "Fields of requests and responses that the JSON and logfmt lines of the access log end "
           "with.",
    .example = "headers X-Forwarded-For response.Content-Type",
    .since = "0.1",
};
static const struct key ROTATE = {
    .name = "rotate",
    .contexts = IN_LOG,
    .options = ROTATE_OPTIONS,
    .config_size = sizeof(struct log_rotate_config),
    .doc = "Renames the log's file when it has grown, where logrotate does not.",
    .example = "rotate size=100MiB keep=7",
    .since = "0.1",
};
const struct key *const KEYS_LOG[] = {&LOG,    &ONLY,    &MASK_IP, &REDACT,
                                      &FIELDS, &HEADERS, &ROTATE,  NULL};
