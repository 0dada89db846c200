/* SPDX-License-Identifier: Apache-2.0 */
/* The same server for the same key, by a consistent hash with bounded load (Mirrokni, Thorup and
 * Zadimoghaddam, 2016): a server that has more than its share of what is in flight lets keys pass
 * to the next one until it has not. */
#include "upstream/balance.h"

enum {
    LOAD_FREE = 8, /* in flight, which no server is too busy with */
    STEPS_PER_SERVER = 8,
};

/* Whether one more would be above its share of what is in flight in its tier. */
static bool is_too_busy(const struct search *search, const struct server *server)
{
    const struct upstream *upstream = search->upstream;
    uint64_t percent = upstream->config.load_percent;
    uint64_t active = __atomic_load_n(&server->active, __ATOMIC_RELAXED);
    if (percent == 0 || active < LOAD_FREE)
        return false;
    uint64_t all = 1;
    uint64_t weights = 0;
    for (size_t i = 0; i < upstream->count; i++) {
        const struct server *other = &upstream->servers[i];
        if (other->tier != search->tier || !server_is_usable(other, search->now))
            continue;
        all += __atomic_load_n(&other->active, __ATOMIC_RELAXED);
        weights += other->config.weight;
    }
    return (active + 1) * weights * 100 > all * server->config.weight * percent;
}

/* One that warms up takes a part of its keys, the same ones all the time, and more and more. */
static bool is_warm_for(const struct search *search, const struct server *server, uint64_t hash)
{
    uint64_t full = server->config.weight * SERVER_WEIGHT_UNIT;
    uint64_t now = server_weight(server, search->now);
    return now == full || (hash >> 48) * full < now * 65536;
}

struct server *balance_by_hash(struct search *search, uint64_t hash)
{
    const struct tier *tier = &search->upstream->tiers[search->tier];
    uint32_t steps = (uint32_t)tier->count * STEPS_PER_SERVER;
    for (uint32_t step = 0; step < steps; step++) {
        struct server *server =
            &search->upstream->servers[consistent_find(&tier->hash, hash, step)];
        if (balance_may_take(search, server) && is_warm_for(search, server, hash) &&
            !is_too_busy(search, server))
            return server;
    }
    return NULL;
}

/* Few are left, or all are busy: any, but the same one for the same key. A request without a key
 * goes where there is least to do. */
struct server *balance_hash(const struct candidates *candidates)
{
    return candidates->key.has_hash ? candidates->servers[candidates->key.hash % candidates->count]
                                    : balance_random_two(candidates);
}
