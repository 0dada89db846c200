/* SPDX-License-Identifier: Apache-2.0 */
/* Latencies in buckets of about 3 %: nanoseconds in, quantiles out. */
#pragma once

#include <stdint.h>

enum {
    HISTOGRAM_FINE = 32, /* buckets for each doubling */
    HISTOGRAM_BUCKETS = 64 * HISTOGRAM_FINE,
};

struct histogram {
    uint64_t buckets[HISTOGRAM_BUCKETS];
    uint64_t count;
    int64_t max;
};

static inline unsigned histogram_bucket(uint64_t value)
{
    if (value < HISTOGRAM_FINE)
        return (unsigned)value;
    unsigned exponent = 63 - (unsigned)__builtin_clzll(value);
    return (exponent - 4) * HISTOGRAM_FINE + (unsigned)(value >> (exponent - 5)) % HISTOGRAM_FINE;
}

static inline void histogram_add(struct histogram *h, int64_t value)
{
    h->buckets[histogram_bucket(value < 0 ? 0 : (uint64_t)value)]++;
    h->count++;
    if (value > h->max)
        h->max = value;
}

/* The value that `share` (0 to 1) of all are not above, in nanoseconds. */
static inline double histogram_quantile(const struct histogram *h, double share)
{
    uint64_t wanted = (uint64_t)(share * (double)h->count);
    uint64_t seen = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen <= wanted || h->buckets[i] == 0)
            continue;
        if (i < HISTOGRAM_FINE)
            return i;
        unsigned exponent = i / HISTOGRAM_FINE + 4;
        double low = (double)(UINT64_C(1) << exponent);
        return low + low * (i % HISTOGRAM_FINE + 0.5) / HISTOGRAM_FINE;
    }
    return (double)h->max;
}
