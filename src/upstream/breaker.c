/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/breaker.h"

#include "base/check.h"
#include "upstream/server.h"

enum {
    LATENCY_FIRST_NS = 64 * 1024,
    LATENCY_OLD = 4096, /* then what was counted is halved */
    LATENCY_ENOUGH = 20,
};

#define LOAD(field)         __atomic_load_n(&(field), __ATOMIC_RELAXED)
#define STORE(field, value) __atomic_store_n(&(field), (value), __ATOMIC_RELAXED)

static struct gradient_bounds bounds_of(const struct upstream *upstream)
{
    return (struct gradient_bounds){upstream_rules(upstream)->adaptive_min,
                                    upstream_rules(upstream)->adaptive_max};
}

uint32_t breaker_limit(const struct upstream *upstream)
{
    const struct upstream_config *config = upstream_rules(upstream);
    int64_t limit = config->requests_max;
    if (config->adaptive_max > 0) {
        int64_t now = gradient_limit(&upstream->breaker.gradient, bounds_of(upstream));
        limit = limit == 0 || now < limit ? now : limit;
    }
    return (uint32_t)limit;
}

bool breaker_enter(struct upstream *upstream, bool *is_counted)
{
    *is_counted = false;
    uint32_t limit = breaker_limit(upstream);
    if (limit == 0)
        return true;
    struct breaker *breaker = &upstream->breaker;
    uint32_t requests = __atomic_add_fetch(&breaker->requests, 1, __ATOMIC_RELAXED);
    if (upstream_rules(upstream)->adaptive_max > 0)
        gradient_note_work(&breaker->gradient, requests < limit ? requests : limit);
    *is_counted = requests <= limit;
    if (!*is_counted)
        __atomic_sub_fetch(&breaker->requests, 1, __ATOMIC_RELAXED);
    return *is_counted;
}

bool breaker_adapts(const struct upstream *upstream)
{
    int64_t fixed = upstream_rules(upstream)->requests_max;
    return fixed == 0 || breaker_limit(upstream) < fixed;
}

void breaker_leave(struct upstream *upstream)
{
    check(__atomic_fetch_sub(&upstream->breaker.requests, 1, __ATOMIC_RELAXED) > 0);
}

/* Counted also where there is no limit: there may be one when it ends. */
bool breaker_begin_connect(struct upstream *upstream)
{
    int64_t most = upstream_rules(upstream)->connects_max;
    if (__atomic_add_fetch(&upstream->breaker.connects, 1, __ATOMIC_RELAXED) <= most || most == 0)
        return true;
    __atomic_sub_fetch(&upstream->breaker.connects, 1, __ATOMIC_RELAXED);
    return false;
}

void breaker_end_connect(struct upstream *upstream)
{
    check(__atomic_fetch_sub(&upstream->breaker.connects, 1, __ATOMIC_RELAXED) > 0);
}

void breaker_measure(struct upstream *upstream, int64_t took)
{
    if (upstream_rules(upstream)->adaptive_max > 0)
        gradient_measure(&upstream->breaker.gradient, bounds_of(upstream), took);
}

/* Four to a doubling: the top bit and the two behind it. */
static uint32_t bucket_of(int64_t took)
{
    if (took < LATENCY_FIRST_NS)
        return 0;
    uint64_t units = (uint64_t)took / (LATENCY_FIRST_NS / 4);
    uint32_t top = 63 - (uint32_t)__builtin_clzll(units);
    uint32_t bucket = (top - 2) * 4 + (uint32_t)(units >> (top - 2) & 3) + 1;
    return bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1;
}

/* The upper end of a bucket. */
static int64_t bucket_end(uint32_t bucket)
{
    if (bucket == 0)
        return LATENCY_FIRST_NS;
    uint32_t top = (bucket - 1) / 4;
    return (int64_t)(LATENCY_FIRST_NS / 4) * ((int64_t)(5 + (bucket - 1) % 4) << top);
}

void latency_add(struct latency *latency, int64_t took)
{
    __atomic_add_fetch(&latency->counts[bucket_of(took)], 1, __ATOMIC_RELAXED);
    if (__atomic_add_fetch(&latency->total, 1, __ATOMIC_RELAXED) != LATENCY_OLD)
        return;
    uint32_t total = 0;
    for (size_t i = 0; i < LATENCY_BUCKETS; i++) {
        uint32_t half = LOAD(latency->counts[i]) / 2;
        STORE(latency->counts[i], half);
        total += half;
    }
    STORE(latency->total, total);
}

int64_t latency_percentile(const struct latency *latency, uint32_t percent)
{
    uint32_t total = 0;
    for (size_t i = 0; i < LATENCY_BUCKETS; i++)
        total += LOAD(latency->counts[i]);
    if (total < LATENCY_ENOUGH)
        return 0;
    uint64_t seen = 0;
    for (uint32_t i = 0; i < LATENCY_BUCKETS; i++) {
        seen += LOAD(latency->counts[i]);
        if (seen * 100 >= (uint64_t)total * percent)
            return bucket_end(i);
    }
    return bucket_end(LATENCY_BUCKETS - 1);
}
