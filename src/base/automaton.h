/* SPDX-License-Identifier: Apache-2.0 */
/* Finds which of many words stand in a text, in one pass over it whatever their number (Aho and
 * Corasick, 1975). ASCII letters count without case. */
#pragma once

#include "base/arena.h"
#include "base/slice.h"

enum {
    AUTOMATON_BYTES_MAX = 64 * 1024, /* of all words together */
};

static const size_t AUTOMATON_NONE = SIZE_MAX;

struct automaton_word {
    struct slice text; /* not empty */
    bool at_start;     /* only where the text begins, … */
    bool at_end;       /* … only where it ends */
};

struct automaton;

/* Lives in the arena; keeps no reference to the words. NULL: they are more than
 * AUTOMATON_BYTES_MAX. */
const struct automaton *automaton_build(const struct automaton_word *words, size_t count,
                                        struct arena *arena);
/* The first, in the order in which they were given, of the words that stand in the text; or
 * AUTOMATON_NONE. */
size_t automaton_find(const struct automaton *automaton, struct slice text);
