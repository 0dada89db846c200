/* SPDX-License-Identifier: Apache-2.0 */
#include "base/metric.h"

#define MS(value) ((int64_t)((value)*1e6))

const int64_t HISTOGRAM_BOUND[HISTOGRAM_BOUNDS] = {
    MS(1),   MS(2.5), MS(5),    MS(10),   MS(25),   MS(50),   MS(75),    MS(100),   MS(250),
    MS(500), MS(750), MS(1000), MS(2500), MS(5000), MS(7500), MS(10000), MS(30000),
};

void histogram_add(struct histogram *histogram, int64_t value)
{
    size_t i = 0;
    while (i < HISTOGRAM_BOUNDS && value > HISTOGRAM_BOUND[i])
        i++;
    counter_add(&histogram->buckets[i], 1);
    counter_add(&histogram->sum, value > 0 ? (uint64_t)value : 0);
}

void histogram_join(struct histogram *sum, const struct histogram *more)
{
    for (size_t i = 0; i <= HISTOGRAM_BOUNDS; i++)
        counter_add(&sum->buckets[i], counter_read(&more->buckets[i]));
    counter_add(&sum->sum, counter_read(&more->sum));
}

uint64_t histogram_count(const struct histogram *histogram)
{
    uint64_t count = 0;
    for (size_t i = 0; i <= HISTOGRAM_BOUNDS; i++)
        count += counter_read(&histogram->buckets[i]);
    return count;
}

static void add(struct tally_of *tally, uint64_t key, uint64_t count)
{
    /* Fibonacci hashing: keys that differ in their upper or lower bits alike go apart. */
    size_t at = (size_t)((key * UINT64_C(0x9e3779b97f4a7c15)) >> 58) % TALLY_SLOTS;
    for (;; at = (at + 1) % TALLY_SLOTS) {
        uint64_t there = counter_read(&tally->keys[at]);
        if (there == key) {
            counter_add(&tally->counts[at], count);
            return;
        }
        if (there != 0)
            continue;
        if (tally->used == TALLY_KINDS) {
            counter_add(&tally->others, count);
            return;
        }
        tally->used++;
        counter_add(&tally->counts[at], count);
        /* Behind its count: whoever sees the key sees what was counted. */
        __atomic_store_n(&tally->keys[at], key, __ATOMIC_RELEASE);
        return;
    }
}

void tally_of_add(struct tally_of *tally, uint64_t key)
{
    add(tally, key, 1);
}

void tally_of_join(struct tally_of *sum, const struct tally_of *more)
{
    for (size_t i = 0; i < TALLY_SLOTS; i++) {
        uint64_t key = __atomic_load_n(&more->keys[i], __ATOMIC_ACQUIRE);
        if (key != 0)
            add(sum, key, counter_read(&more->counts[i]));
    }
    counter_add(&sum->others, counter_read(&more->others));
}
