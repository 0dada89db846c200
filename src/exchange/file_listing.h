/* SPDX-License-Identifier: Apache-2.0 */
/* What is in a directory, as a page or as JSON. */
#pragma once

#include "exchange/file_cache.h"
#include "exchange/step.h"

struct exchange;

enum {
    FILE_LISTING_MAX = 10000, /* names; what is beyond is said to be missing */
};

/* Patterns of names with "*" and "?". */
struct file_names {
    const struct slice *items;
    size_t count;
};
bool file_names_have(const struct file_names *names, struct slice name);
/* Whether a part of the path is one of those names; ".well-known" at its start never is (RFC
 * 8615). */
bool file_names_hide(const struct file_names *names, struct slice path);

/* Answers with the names in the directory, without those that are hidden: as JSON when the client
 * would rather have that than HTML. `place`: as of file_answer_place(). Waits. */
enum verdict file_listing(struct exchange *x, const struct file_root *root,
                          const struct file_names *hidden, struct slice place);
