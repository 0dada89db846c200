/* SPDX-License-Identifier: Apache-2.0 */
/* Who holds how much: bytes summed by client. For one thread at a time. */
#pragma once

#include "base/hash.h"

#include <stddef.h>
#include <stdint.h>

/* What a client's network holds: net/address.h says how one is told by two numbers. */
struct charge {
    uint64_t client[2];
    int64_t bytes; /* > 0; 0: a free place */
};

struct charges {
    struct hash_key secret; /* nobody outside can choose clients that collide */
    struct charge *places;  /* NULL: none yet */
    size_t count, capacity;
    int64_t total;
};

void charges_init(struct charges *charges);
void charges_done(struct charges *charges);
/* Nothing is charged where bytes are not above 0. */
void charges_add(struct charges *charges, const uint64_t client[2], int64_t bytes);
void charges_add_all(struct charges *charges, const struct charges *more);
/* What a client holds; NULL: nothing. */
const struct charge *charges_find(const struct charges *charges, const uint64_t client[2]);
/* Finds the clients that hold the most, the largest first: as many as it takes for `bytes`, at most
 * `max`. How many. The places are in that order then: nothing can be added or found any more. */
size_t charges_largest(struct charges *charges, int64_t bytes, size_t max);
