/* SPDX-License-Identifier: Apache-2.0 */
/* Somebody who asks questions whose whole answers are known beforehand, one after the other: what
 * has no server behind it that a plan could name. */
#pragma once

#include "net.h"
#include "reader.h"

enum {
    ASKING_BODY_MAX = 32 * 1024,
};

struct question {
    const char *asks;   /* "/a?b", or "HEAD /a" */
    const char *fields; /* lines of its head, each with its CRLF; {etag} is that of the answer
                         * before, {date} its Last-Modified; NULL: none */
    const char *sends;  /* a body; NULL: none */
    int status;
    const char *has;  /* "Name: value" lines of its answer, with "\n" between them; "Name:" alone is
                       * a field that it must not have; NULL: whatever */
    const char *body; /* all of it, or behind a '~' a part of it, or behind a '^' what is no part of
                       * it; NULL: whatever */
    void (*first)(void); /* is done before it is asked … */
    int64_t after;       /* … so much later, ns */
};

struct asking {
    struct address from, to;
    const struct question *questions;
    unsigned count;
    const char *introduces; /* what each connection begins with; NULL: nothing */
    size_t introduces_size;
    bool may_be_broken_off; /* the connection may end inside an answer */
    /* What came of it. */
    unsigned answered;
    unsigned broken_off; /* answers that came in part */
    char body[ASKING_BODY_MAX + 1];
    size_t body_size;
    int64_t asked_at, took; /* the answer before, ns */

    struct end *end;
    struct reader reader;
    char *out;
    size_t out_size, out_at;
    unsigned connections;
    char etag[64], date[64];
    bool has_introduced, has_asked, is_waiting, is_over;
    int64_t active_at;
    struct asking *next;
};

/* Begins `delay` from now. Each answer is held against its question as it comes, unless weir was
 * struck by a fault; that it is well framed is always looked at. `to` and `from` may be changed
 * until then. */
struct asking *asking_start(int64_t delay, const struct question *questions, unsigned count);
#define ASK(delay, questions)                                                                      \
    asking_start(delay, questions, (unsigned)(sizeof(questions) / sizeof *(questions)))
bool askings_are_done(void);
