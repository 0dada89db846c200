/* SPDX-License-Identifier: Apache-2.0 */
/* FROM TO: what steps make of the paths that fit a pattern. */
#pragma once

#include "exchange/path_pattern.h"

#include <stddef.h>

struct exchange;

struct path_rule {
    struct slice from;
    struct slice to; /* a template */
    struct path_pattern pattern;
    const struct template *to_template;
};

/* The arguments, of a struct that holds a struct path_rule under that name. */
#define PATH_RULE_ARGUMENTS(config, member, to_doc)                                                \
    {.name = "from",                                                                               \
     .type = OPTION_PATTERN,                                                                       \
     .flags = OPTION_REQUIRED,                                                                     \
     .offset = offsetof(config, member.from),                                                      \
     .doc = "/exact, /prefix/* or ~regular-expression, over the path."},                           \
    {                                                                                              \
        .name = "to", .type = OPTION_TEMPLATE, .flags = OPTION_REQUIRED,                           \
        .offset = offsetof(config, member.to), .doc = to_doc                                       \
    }

/* For a step's prepare(); false after an error was reported. */
bool path_rule_prepare(struct path_rule *rule, struct prepare *p);
/* ANSWERED: the path fits, and *made is what TO makes of it, of the exchange's arena; `has_query`:
 * TO brought one. NEXT: it does not fit. FAILED: the regular expression of the step `who` ran into
 * its limits, and the request is refused. */
enum verdict path_rule_apply(const struct path_rule *rule, struct exchange *x, struct slice path,
                             const char *who, struct slice *made, bool *has_query);
