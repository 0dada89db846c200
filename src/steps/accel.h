/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of servers that are meant for weir: X-Accel-Redirect names a path of the site that the
 * exchange goes on at, X-Sendfile a file that is the answer. Only where the configuration says so:
 * what a server may say, somebody who has taken it over may. */
#pragma once

#include "exchange/file_answer.h"
#include "exchange/step.h"
#include "http/message.h"

struct accel_config {
    bool redirects;
    struct slice directory; /* of X-Sendfile; empty: it means nothing */
    struct file_root root;
};

#define ACCEL_OPTIONS(config, member)                                                              \
    {.name = "accel",                                                                              \
     .type = OPTION_BOOL,                                                                          \
     .standard = "off",                                                                            \
     .offset = offsetof(config, member.redirects),                                                 \
     .doc = "on: an answer with X-Accel-Redirect sends the exchange on to that path of the site, " \
            "mostly a route with internal."},                                                      \
    {                                                                                              \
        .name = "sendfile_root", .type = OPTION_DIR, .offset = offsetof(config, member.directory), \
        .doc = "An answer with X-Sendfile is the file of that path, if it is beneath this "        \
               "directory."                                                                        \
    }

/* For prepare(). */
bool accel_prepare(struct accel_config *c, struct prepare *p);
/* Whether an answer is meant for weir. */
bool accel_applies(const struct accel_config *c, const struct fields *fields);

/* What it says, copied: the answer itself may be let go. */
struct accel_answer {
    struct slice redirect; /* empty: there is a file */
    struct slice file;
};
/* Keeps what the client is to see of it beside the other answer. */
struct accel_answer accel_take(struct exchange *x, const struct fields *fields);
/* The verdict of the step. */
enum verdict accel_follow(struct exchange *x, const struct accel_config *c,
                          const struct accel_answer *answer);
