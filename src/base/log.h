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

/* For the last words of a failing process: the latest messages, also those that were left out, to
 * descriptor 2; and any text. Neither allocates nor locks. */
COLD void log_print_last(void);
COLD void log_raw(struct slice text);
/* From now on log_raw() writes to that descriptor too. */
void log_raw_also(int fd);

void log_set_level(enum log_level level);
void log_set_style(enum log_style style);
