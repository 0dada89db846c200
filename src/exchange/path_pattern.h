/* SPDX-License-Identifier: Apache-2.0 */
/* /exact, /prefix/ with a star, ~regular-expression: what steps look for in a path, with the parts
 * that it leaves. */
#pragma once

#include "exchange/step.h"

enum {
    PATH_CAPTURES = 10, /* $0 to $9 */
};

struct path_pattern {
    struct slice path; /* of one that is no regular expression */
    bool is_prefix;
    void *regex;
};

enum path_match { PATH_DIFFERS, PATH_FITS, PATH_LIMIT };

/* For a step's prepare(); false after an error was reported at `option`. */
bool path_pattern_prepare(struct path_pattern *pattern, struct slice from, const char *option,
                          struct prepare *p);
/* Sets the parts: $0 is all, $1 of a prefix is what follows it. PATH_LIMIT: the regular expression
 * ran into its limits. */
enum path_match path_pattern_find(const struct path_pattern *pattern, struct slice path,
                                  struct slice captures[PATH_CAPTURES], size_t *count);
