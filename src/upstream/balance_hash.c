/* SPDX-License-Identifier: Apache-2.0 */
/* The same server for the same key, by a consistent hash with bounded load (Mirrokni, Thorup and
 * Zadimoghaddam, 2016): a server that has more than its share of what is in flight lets keys pass
 * to the next one until it has not. */
#include "upstream/balance.h"

enum {
    LOAD_FREE = 8, /* in flight, which no server is too busy with */
    STEPS_PER_SERVER = 8,
};

/* Whether one more would be above its share of what is in flight: in its tier, or in a stretch of
 * it where that is long. */
static bool is_too_busy(const struct search *search, size_t position)
{
    const struct tier *tier = search->tier;
    const struct server *server = tier->members[position];
    uint64_t percent = search->config->load_percent;
    uint64_t active = __atomic_load_n(&server->active, __ATOMIC_RELAXED);
    if (percent == 0 || active < LOAD_FREE)
        return false;
    uint64_t all = 1;
    uint64_t weights = 0;
    size_t looked_at = tier->count < BALANCE_CANDIDATES_MAX ? tier->count : BALANCE_CANDIDATES_MAX;
    for (size_t i = 0; i < looked_at; i++) {
        size_t at = position + i < tier->count ? position + i : position + i - tier->count;
        const struct server *other = tier->members[at];
        if (!server_is_usable(other, search->now))
            continue;
        all += __atomic_load_n(&other->active, __ATOMIC_RELAXED);
        weights += server_weight(other);
    }
    return (active + 1) * weights * 100 > all * server_weight(server) * percent;
}

/* One that starts slowly takes a part of its keys, the same ones all the time, and more and more.
 */
static bool is_ready_for(const struct search *search, const struct server *server)
{
    uint64_t whole = server_weight(server) * SERVER_WEIGHT_UNIT;
    uint64_t now = server_weight_now(server, search->now);
    return now == whole || (search->key.hash >> 48) * whole < now * 65536;
}

/* A request without a key goes where there is less to do. When few are left or all are busy it is
 * any, but the same one for the same key. */
struct server *balance_hash(struct search *search)
{
    const struct tier *tier = search->tier;
    if (!search->key.has_hash)
        return balance_random_two(search);
    uint32_t steps = (uint32_t)tier->count * STEPS_PER_SERVER;
    for (uint32_t step = 0; step < steps; step++) {
        size_t position = consistent_find(&tier->hash, search->key.hash, step);
        struct server *server = tier->members[position];
        if (balance_may_take(search, server) && is_ready_for(search, server) &&
            !is_too_busy(search, position))
            return server;
    }
    return balance_any(search);
}
