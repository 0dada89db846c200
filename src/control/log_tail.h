/* SPDX-License-Identifier: Apache-2.0 */
/* Who looks on: the lines of the access log and of the error log as they come about, for `weir log
 * -f` and the admin API. Needs no log to be configured. Nobody is ever waited for: what somebody
 * does not read in time is lost to him, and he is told how much. */
#pragma once

#include "base/log.h"
#include "control/access_log_format.h"
#include "control/log_condition.h"

struct log_tail;

enum {
    LOG_TAILS_MAX = 16,               /* who look on at a time */
    LOG_TAIL_BYTES = 256 * 1024,      /* that wait for each of them */
    LOG_TAIL_SITE_MAX = 255,          /* bytes of a site's name */
    LOG_TAIL_FAILURES_PER_SECOND = 10 /* kept as recent while nobody looks on */
};

enum log_tail_kind {
    LOG_TAIL_ACCESS,
    LOG_TAIL_EVENT,
};

/* What somebody wants to see. */
struct log_filter {
    bool wants_access;
    bool wants_events;
    enum log_level level;           /* events: at least that important */
    struct slice site;              /* exchanges of that site (its first name); empty: of all */
    struct log_condition condition; /* exchanges */
    size_t recent;                  /* begins with so many of the past: events, and exchanges that
                                     * were answered with 5xx */
};

struct log_tail_line {
    enum log_tail_kind kind;
    struct slice text; /* JSON, without a newline; until the next read */
    uint64_t lost;     /* lines just before it that he has missed */
};

/* On control's thread, before there are others. */
void log_tail_start(void);
/* After the last of the others has ended. */
void log_tail_stop(void);

/* On control's thread, as the rest; the filter is copied. NULL: LOG_TAILS_MAX look on already. */
struct log_tail *log_tail_open(const struct log_filter *filter);
void log_tail_close(struct log_tail *tail);
/* The next line. ERR_TIMEOUT: there was none until then; ERR_CANCELLED. */
MAY_WAIT MUST_CHECK enum status log_tail_read(struct log_tail *tail, struct log_tail_line *line,
                                              int64_t deadline);
/* How many look on, and what all of them together have missed. */
size_t log_tail_count(void);
uint64_t log_tail_lost(void);

/* An exchange has ended; from a worker. What `hiding` does not show is not shown here either. Costs
 * next to nothing while nobody looks on. */
void log_tail_exchange(const struct exchange *x, const struct access_log_shape *hiding);
