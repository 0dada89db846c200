/* SPDX-License-Identifier: Apache-2.0 */
/* Rates by key, for all workers. */
#pragma once

#include "base/slice.h"
#include "base/status.h"
#include "limit/rate.h"

#include <stddef.h>

/* Where the numbers of the keys are kept: in this process, or later in one that several machines
 * share. `take` may wait; ERR_TIMEOUT, ERR_IO when the store does not answer. */
struct rate_store {
    enum status (*take)(struct rate_store *store, struct slice key, const struct rate *rate,
                        int64_t now, struct rate_answer *answer);
    void (*free)(struct rate_store *store);
};

/* In this process; never waits. Of bounded size, whatever comes: room for about `keys` keys that
 * are in use at a time, 24 bytes each, taken when they are used. When it is full, the key whose
 * number is the oldest of the eight that share its place makes room: that key begins anew, so
 * nobody is refused for it. */
struct rate_store *rate_table_new(size_t keys);

enum {
    RATE_TABLE_KEYS_MAX = 64 * 1024 * 1024,
};

/* How many keys were in use when they had to make room, since the beginning. */
uint64_t rate_table_evicted(const struct rate_store *store);
