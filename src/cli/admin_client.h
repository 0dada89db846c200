/* SPDX-License-Identifier: Apache-2.0 */
/* The commands' side of the admin API: asks a running weir, and shows what it answered. */
#pragma once

#include "cli/cli.h"

#include "base/arena.h"
#include "base/buffer.h"
#include "control/config_json_value.h"

#include <stdint.h>

/* What every command that asks a running weir knows. */
struct admin_client {
    const char *address; /* --admin; NULL: $WEIR_ADMIN, else where the system suggests */
    bool json;           /* --json: the answer as it came */
    bool is_quiet;       /* whoever asks says himself what went wrong */
    struct {
        bool is_on;           /* --watch: it looks again and again */
        const char *interval; /* --interval; NULL: every 2 s */
        bool has_screen;      /* of its own */
    } watch;
    struct arena arena;
};
/* The options for a command's table. */
#define ADMIN_OPTIONS(client)                                                                      \
    {"--admin", "ADDR", NULL, &(client).address},                                                  \
    {                                                                                              \
        "--json", NULL, &(client).json, NULL                                                       \
    }
#define WATCH_OPTIONS(client)                                                                      \
    {"--watch", NULL, &(client).watch.is_on, NULL},                                                \
    {                                                                                              \
        "--interval", "TIME", NULL, &(client).watch.interval                                       \
    }
#define WATCH_USAGE                                                                                \
    "  --watch       again and again, until q or an interruption; with --json an object a line\n"  \
    "  --interval=TIME  how often: 2s, if none is given; 50ms to 60m\n"
#define ADMIN_USAGE                                                                                \
    "  --admin=ADDR  where it is asked: unix:/path, 127.0.0.1:9180 or https://weir.example:9180\n" \
    "                ($WEIR_ADMIN; with a token in $WEIR_ADMIN_TOKEN, and PEM files in\n"          \
    "                $WEIR_ADMIN_CA, $WEIR_ADMIN_CERT and $WEIR_ADMIN_KEY)\n"                      \
    "  --json        the answer of the API as it is\n"

struct admin_question {
    const char *method;
    struct slice path; /* with its query */
    const char *type;  /* of the body; NULL: there is none */
    struct slice body;
    const char *match; /* If-Match; NULL: none */
    int64_t timeout;   /* ns; 0: 90 s */
    bool is_text;      /* a configuration is wanted as text */
    /* Is told of each line of a body that goes on, as it comes; NULL: the body comes whole. There
     * is no time limit then. */
    void (*on_line)(void *argument, struct slice line);
    void *argument;
};

struct admin_reply {
    int status;
    struct slice body;
    struct json_value json; /* kind JSON_NULL where it is none */
};

void admin_client_init(struct admin_client *client);
/* Frees everything, and hands the code through. */
int admin_client_end(struct admin_client *client, int code);

/* Asks. EXIT_DONE: there is a 2xx; else the exit code, and what is wrong has been said on stderr.
 */
int admin_ask(struct admin_client *client, const struct admin_question *question,
              struct admin_reply *reply);

/* Reads a text of JSON; false: it is none. */
bool admin_read_json(struct arena *arena, struct slice text, struct json_value *value);
/* "a/b" as a segment of a path. */
struct slice admin_escape(struct admin_client *client, struct slice text);

/* Looking into an answer; what is not there is empty, 0 or false. */
const struct json_value *admin_member(const struct json_value *object, const char *name);
struct slice admin_text(const struct json_value *object, const char *name);
int64_t admin_number(const struct json_value *object, const char *name);
double admin_seconds(const struct json_value *object, const char *name);
double admin_value(const struct json_value *number); /* of a number itself */
bool admin_is(const struct json_value *object, const char *name);

/* "30s", "500ms", "2m" in ns; −1: it is none. */
int64_t admin_duration(const char *text);
/* Whether it is one longer than nothing, or not given (NULL). */
bool admin_is_duration(const char *text);
/* What came of a reload, or would; and where one is asked for. */
void admin_show_changes(const struct admin_reply *reply, const char *verb);
void admin_show_reload(const struct admin_client *client, const struct admin_reply *reply,
                       bool is_dry);
/* What brings back the configuration of before: parameters as they were written; NULL: none. */
struct admin_rollback {
    const char *after, *errors, *down;
};
#define ROLLBACK_OPTIONS(rollback)                                                                 \
    {"--rollback-after", "TIME", NULL, &(rollback).after},                                         \
        {"--rollback-errors", "PERCENT", NULL, &(rollback).errors},                                \
    {                                                                                              \
        "--rollback-down", "TIME", NULL, &(rollback).down                                          \
    }
#define ROLLBACK_USAGE                                                                             \
    "  --rollback-after=TIME  what was served before comes back by itself after that time (60s,\n" \
    "                5m), unless weir confirm says that it is good; and earlier:\n"                \
    "  --rollback-errors=PERCENT  when so many of at least 20 requests in 10 s get a 5xx, and "    \
    "did\n"                                                                                        \
    "                not before (50%; off)\n"                                                      \
    "  --rollback-down=TIME  when an upstream is without a usable server for so long, and was "    \
    "not\n"                                                                                        \
    "                before (5s; off)\n"
/* Whether they can be asked for; EXIT_USAGE after a message. −1: they can. */
int admin_rollback_check(const struct admin_rollback *rollback, const char *command);
struct slice admin_reload_path(struct admin_client *client, struct slice path, bool is_dry,
                               const struct admin_rollback *rollback);
/* How long ago: "12s", "3d". */
struct slice admin_age(struct arena *arena, struct slice iso);

/* Without bytes that a terminal would obey: clients say what stands in a log. */
struct slice admin_printable(struct arena *arena, struct slice text);

/* Shows an answer to people; the exit code. */
typedef int admin_show(struct admin_client *client, const struct json_value *answer);
/* Asks what only looks, and shows it, or with --json prints it as it came; with --watch until it is
 * interrupted, or until nobody is there to be asked. The exit code, of the last look. */
int admin_look(struct admin_client *client, const struct admin_question *question, admin_show *show,
               const char *command);
