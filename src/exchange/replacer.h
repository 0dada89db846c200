/* SPDX-License-Identifier: Apache-2.0 */
/* Replaces what is found in a text that comes in pieces, wherever they are cut. Pure: it neither
 * waits nor copies what it does not change. */
#pragma once

#include "base/arena.h"
#include "base/slice.h"
#include "base/status.h"

enum {
    REPLACER_MATCH_MAX = 8 * 1024, /* a longer match of a regular expression may not be found */
};

/* What is looked for; made once. */
struct replacer_rule {
    struct slice from; /* not empty; without a regular expression */
    uint32_t *fall;    /* by how much of `from` has been seen: how much stays when the next byte
                          does not fit (Knuth, Morris, Pratt) */
    const void *regex; /* or this */
};
void replacer_rule_literal(struct replacer_rule *rule, struct slice from, struct arena *arena);

struct replacer;
/* `to` may hold $0 to $9 with a regular expression; it stays as long as the replacer. `times`: at
 * most so many are replaced; 0: all. */
struct replacer *replacer_new(const struct replacer_rule *rule, struct slice to, uint64_t times);
void replacer_free(struct replacer *replacer);

/* The next piece of the text, once the last one is used up; it stays until then. */
void replacer_feed(struct replacer *replacer, struct slice piece);
void replacer_end(struct replacer *replacer);
/* What comes next of the changed text, valid until the next call; empty: it wants more, or after
 * the end there is no more. ERR_LIMIT: the regular expression ran into its limits. */
MUST_CHECK enum status replacer_next(struct replacer *replacer, struct slice *piece);
uint64_t replacer_count(const struct replacer *replacer);
