/* SPDX-License-Identifier: Apache-2.0 */
/* By what an object can be purged together with others: its URL, for prefixes, and its tags
 * (Surrogate-Key, Cache-Tag). A small immutable block that hangs at an object; a purge walks the
 * objects and asks each. It errs on one side only: what might be meant is purged. */
#pragma once

#include "base/slice.h"

enum {
    TAGS_MAX = 64,         /* of one object; with more it answers to every tag */
    TAGS_URL_MAX = 1024,   /* bytes kept; a longer one answers to longer prefixes that begin so */
    TAGS_TEXT_MAX = 16384, /* bytes of a list that are read; with more it answers to every tag */
};

struct tags;

/* Copies what it needs. `list`: tags separated by blanks or commas, as they stand in the fields
 * (join several fields with a comma). Tags are compared byte by byte. Never NULL; free() it. */
struct tags *tags_new(struct slice url, struct slice list);
/* Bytes that it takes. */
size_t tags_bytes(const struct tags *tags);

/* Whether its URL begins so. */
bool tags_has_prefix(const struct tags *tags, struct slice prefix);
/* Whether it has that tag. */
bool tags_has(const struct tags *tags, struct slice tag);

/* What a purge asks for; the zero asks for nothing. */
struct tags_wanted {
    bool all;
    struct slice prefix;      /* data NULL: not by it */
    const struct slice *list; /* any of these tags */
    size_t count;
};
bool tags_match(const struct tags *tags, const struct tags_wanted *wanted);
