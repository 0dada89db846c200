/* SPDX-License-Identifier: Apache-2.0 */
/* The error log: what the operator has to know, one line each on stderr. */
#pragma once

#include "base/slice.h"
#include "base/status.h"

enum log_level {
    LOG_DEBUG,
    LOG_INFO,
    LOG_WARN,
    LOG_ERROR,
};

enum log_style {
    LOG_STYLE_AUTO, /* text on a terminal, else JSON */
    LOG_STYLE_TEXT,
    LOG_STYLE_JSON,
};

/* `event` is a stable name in lower case, static text; the same event is written at most 5 times a
 * second, then counted; but for "audit", which is written always, and those that begin with
 * "reload_", which answer somebody. From any thread; one system call a line; text longer than 2 KiB
 * is cut. */
COLD void log_write(enum log_level level, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* What a line is about: fields of its own in the JSON line; empty ones are left out, long ones are
 * cut. */
struct log_about {
    struct slice site, upstream, server;
    struct slice request_id;
    struct slice at; /* the place in the configuration: "weir.conf:46" */
};
COLD void log_about(enum log_level level, const char *event, const struct log_about *about,
                    const char *format, ...) __attribute__((format(printf, 4, 5)));

/* For the last words of a failing process: the latest messages, also those that were left out, to
 * descriptor 2; and any text. Neither allocates nor locks. */
COLD void log_print_last(void);
COLD void log_raw(struct slice text);
/* From now on log_raw() writes to that descriptor too. */
void log_raw_also(int fd);

/* As it is configured. */
void log_set_level(enum log_level level);
/* For that many seconds this level holds instead, and then the configured one again by itself;
 * 0 seconds: that one holds at once. */
void log_level_set(enum log_level level, int64_t seconds);
/* What holds now; *seconds_left of it, 0: as it is configured. */
enum log_level log_level_now(int64_t *seconds_left);
const char *log_level_name(enum log_level level);
/* False: there is no level of that name. */
bool log_level_parse(struct slice name, enum log_level *level);
/* Is told of every line that is written, as JSON and without its end; NULL: nobody. It is called
 * under a mutex and must not log. */
void log_set_listener(void (*listener)(enum log_level level, struct slice line));
/* Is offered every line, as JSON with its newline, and says whether it has taken it; if not it is
 * written to stderr. NULL: nobody. Called as the listener is. */
void log_set_taker(bool (*taker)(void *argument, enum log_level level, const char *event,
                                 struct slice line),
                   void *argument);
void log_set_style(enum log_style style);
