/* SPDX-License-Identifier: Apache-2.0 */
/* The limit that adapts is a gradient: every 100 ms the average of the answers is compared with the
 * best that was seen. As long as they are alike the limit grows by its root; when answers take
 * longer than that by more than a quarter, requests wait inside the servers, and the limit shrinks
 * by the ratio. */
#include "upstream/breaker.h"

#include "base/check.h"
#include "upstream/server.h"

enum {
    WINDOW_MS = 100,
    WINDOW_SAMPLES = 10,
    LIMIT_FIRST = 64,
    TOLERANCE_PERCENT = 125, /* of the best average is still good */
    FORGET_SHARE = 1024,     /* of the best is added to it in each window: servers change */
    LATENCY_FIRST_NS = 64 * 1024,
    LATENCY_OLD = 4096, /* then what was counted is halved */
    LATENCY_ENOUGH = 20,
};

#define LOAD(field)         __atomic_load_n(&(field), __ATOMIC_RELAXED)
#define STORE(field, value) __atomic_store_n(&(field), (value), __ATOMIC_RELAXED)

uint32_t breaker_limit(const struct upstream *upstream)
{
    const struct upstream_config *config = upstream_rules(upstream);
    int64_t limit = config->requests_max;
    if (config->adaptive_max > 0) {
        int64_t now = LOAD(upstream->breaker.limit);
        if (now == 0)
            now = LIMIT_FIRST;
        now = now < config->adaptive_min ? config->adaptive_min : now;
        now = now > config->adaptive_max ? config->adaptive_max : now;
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
    if (requests > limit) {
        __atomic_sub_fetch(&breaker->requests, 1, __ATOMIC_RELAXED);
        STORE(breaker->most, limit);
        return false;
    }
    if (requests > LOAD(breaker->most))
        STORE(breaker->most, requests);
    *is_counted = true;
    return true;
}

void breaker_leave(struct upstream *upstream)
{
    check(__atomic_fetch_sub(&upstream->breaker.requests, 1, __ATOMIC_RELAXED) > 0);
}

bool breaker_begin_connect(struct upstream *upstream, bool *is_counted)
{
    *is_counted = false;
    int64_t most = upstream_rules(upstream)->connects_max;
    if (most == 0)
        return true;
    if (__atomic_add_fetch(&upstream->breaker.connects, 1, __ATOMIC_RELAXED) <= most) {
        *is_counted = true;
        return true;
    }
    __atomic_sub_fetch(&upstream->breaker.connects, 1, __ATOMIC_RELAXED);
    return false;
}

void breaker_end_connect(struct upstream *upstream)
{
    check(__atomic_fetch_sub(&upstream->breaker.connects, 1, __ATOMIC_RELAXED) > 0);
}

static uint32_t root(uint32_t number)
{
    uint32_t result = 1;
    while ((uint64_t)(result + 1) * (result + 1) <= number)
        result++;
    return result;
}

/* One worker closes a window: whoever took its end away from the others. */
static void adapt(struct upstream *upstream)
{
    struct breaker *breaker = &upstream->breaker;
    uint32_t samples = __atomic_exchange_n(&breaker->samples, 0, __ATOMIC_RELAXED);
    int64_t sum = __atomic_exchange_n(&breaker->sum, 0, __ATOMIC_RELAXED);
    uint32_t most = __atomic_exchange_n(&breaker->most, 0, __ATOMIC_RELAXED);
    if (samples == 0)
        return;
    int64_t average = sum / samples + 1;
    int64_t fastest = LOAD(breaker->fastest);
    fastest += fastest / FORGET_SHARE;
    if (fastest == 0 || average < fastest)
        fastest = average;
    STORE(breaker->fastest, fastest);
    int64_t limit = LOAD(breaker->limit) == 0 ? LIMIT_FIRST : LOAD(breaker->limit);
    int64_t percent = fastest * TOLERANCE_PERCENT / average;
    percent = percent > 100 ? 100 : percent < 50 ? 50 : percent;
    bool is_busy = most * 2 >= limit; /* else nothing is known of more */
    if (percent < 100 || is_busy)
        limit = limit * percent / 100 + root((uint32_t)limit);
    const struct upstream_config *config = upstream_rules(upstream);
    limit = limit < config->adaptive_min ? config->adaptive_min : limit;
    limit = limit > config->adaptive_max ? config->adaptive_max : limit;
    STORE(breaker->limit, (uint32_t)limit);
}

void breaker_measure(struct upstream *upstream, int64_t took, bool for_hedge)
{
    struct breaker *breaker = &upstream->breaker;
    if (for_hedge)
        latency_add(&upstream->latency, took);
    if (upstream_rules(upstream)->adaptive_max == 0)
        return;
    __atomic_add_fetch(&breaker->sum, took, __ATOMIC_RELAXED);
    uint32_t samples = __atomic_add_fetch(&breaker->samples, 1, __ATOMIC_RELAXED);
    int64_t now = loop_now();
    int64_t end = LOAD(breaker->window_end);
    if (now >= end && (samples >= WINDOW_SAMPLES || end == 0) &&
        __atomic_compare_exchange_n(&breaker->window_end, &end, now + MILLISECONDS(WINDOW_MS),
                                    false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        adapt(upstream);
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
