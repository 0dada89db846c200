/* SPDX-License-Identifier: Apache-2.0 */
/* Counters of one thread that others may read at any moment: no locks, no atomic additions. A sum
 * over threads may be a moment old, and is never torn. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    HISTOGRAM_BOUNDS = 17,
    TALLY_KINDS = 48, /* distinct keys that a tally tells apart */
    TALLY_SLOTS = 64,
};

/* Upper bounds in nanoseconds, from 1 ms to 30 s: those that OpenTelemetry advises for requests,
 * two below and one above. */
extern const int64_t HISTOGRAM_BOUND[HISTOGRAM_BOUNDS];

struct histogram {
    uint64_t buckets[HISTOGRAM_BOUNDS + 1]; /* each value once; the last: above all bounds */
    uint64_t sum;                           /* ns */
};

/* How often each of a few keys was seen. */
struct tally_of {
    uint64_t keys[TALLY_SLOTS]; /* 0: free */
    uint64_t counts[TALLY_SLOTS];
    uint32_t used;
    uint64_t others; /* of keys that found no place */
};

/* Only the thread that owns a counter adds to it. */
static inline void counter_add(uint64_t *counter, uint64_t more)
{
    __atomic_store_n(counter, __atomic_load_n(counter, __ATOMIC_RELAXED) + more, __ATOMIC_RELAXED);
}
static inline uint64_t counter_read(const uint64_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

/* `value` in nanoseconds; negative ones count as 0. */
void histogram_add(struct histogram *histogram, int64_t value);
/* Adds what another one has; from any thread. */
void histogram_join(struct histogram *sum, const struct histogram *more);
/* All values. */
uint64_t histogram_count(const struct histogram *histogram);

/* `key` is not 0. */
void tally_of_add(struct tally_of *tally, uint64_t key);
/* Adds what another one has; from any thread. */
void tally_of_join(struct tally_of *sum, const struct tally_of *more);
