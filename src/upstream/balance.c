/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/balance.h"

#include "base/check.h"

static struct server *(*const POLICIES[BALANCES])(struct upstream *upstream,
                                                  const struct candidates *candidates) = {
    [BALANCE_RANDOM_TWO] = balance_random_two,
    [BALANCE_ROUND_ROBIN] = balance_round_robin,
    [BALANCE_LEAST_CONN] = balance_least_conn,
};

static bool is_tried(const struct server *server, struct server *const *tried, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (tried[i] == server)
            return true;
    return false;
}

/* In a panic whoever has an address will do. */
static bool is_candidate(struct server *server, bool is_panic, int64_t now)
{
    if (!is_panic)
        return server_is_usable(server, now);
    return !__atomic_load_n(&server->is_draining, __ATOMIC_ACQUIRE) && !server->config.down &&
           __atomic_load_n(&server->addresses_count, __ATOMIC_RELAXED) > 0;
}

static struct server *choose(struct upstream *upstream, struct server *const *tried,
                             size_t tried_count, struct choice *choice)
{
    struct candidates candidates;
    candidates.count = 0;       /* the rest stays as it is: a kilobyte */
    struct server *slow = NULL; /* one that starts slowly, in case there is no other */
    uint32_t rank = UINT32_MAX; /* of these */
    int64_t now = loop_now();
    size_t count = upstream_count(upstream);
    bool has_ranks = __atomic_load_n(&upstream->has_ranks, __ATOMIC_RELAXED) && !choice->is_panic;
    /* Beyond the bound each request looks at another stretch of the list. */
    size_t start =
        count <= BALANCE_CANDIDATES_MAX ? 0 : random_below(&thread_self()->random, (uint32_t)count);
    for (size_t i = 0; i < count && (candidates.count < BALANCE_CANDIDATES_MAX || has_ranks); i++) {
        size_t at = start + i < count ? start + i : start + i - count;
        struct server *server = &upstream->servers[at];
        uint32_t own = has_ranks ? server_rank(server) : 0;
        if (own > rank || !is_candidate(server, choice->is_panic, now) ||
            is_tried(server, tried, tried_count))
            continue;
        if (!server_has_room(server)) {
            choice->is_full = true;
            continue;
        }
        if (own < rank) {
            rank = own;
            candidates.count = 0;
            slow = NULL;
        }
        if (server_stands_back(server, now))
            slow = server;
        else if (candidates.count < BALANCE_CANDIDATES_MAX)
            candidates.servers[candidates.count++] = server;
    }
    if (candidates.count == 0)
        return slow;
    if (candidates.count == 1)
        return candidates.servers[0];
    return POLICIES[upstream->config.balance](upstream, &candidates);
}

struct server *balance_choose(struct upstream *upstream, struct server *const *tried,
                              size_t tried_count, struct choice *choice)
{
    *choice = (struct choice){0};
    struct server *only = &upstream->servers[0];
    if (upstream_count(upstream) == 1 && tried_count == 0 &&
        is_candidate(only, false, loop_now()) && server_has_room(only))
        return only;
    struct server *server = choose(upstream, tried, tried_count, choice);
    if (server == NULL && !choice->is_full) {
        choice->is_panic = true;
        server = choose(upstream, tried, tried_count, choice);
    }
    return server;
}
