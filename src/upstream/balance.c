/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/balance.h"

#include "base/check.h"

static struct server *(*const POLICIES[BALANCES])(struct upstream *upstream,
                                                  const struct candidates *candidates) = {
    [BALANCE_RANDOM_TWO] = balance_random_two,
    [BALANCE_ROUND_ROBIN] = balance_round_robin,
    [BALANCE_LEAST_CONN] = balance_least_conn,
};

enum wanted {
    WANT_PRIMARY,
    WANT_BACKUP,
    WANT_ANY, /* none is usable: whoever has an address */
};

static bool is_tried(const struct server *server, struct server *const *tried, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (tried[i] == server)
            return true;
    return false;
}

static bool is_candidate(struct server *server, enum wanted wanted, int64_t now)
{
    if (wanted == WANT_ANY)
        return !server->config.down && !__atomic_load_n(&server->is_draining, __ATOMIC_RELAXED) &&
               __atomic_load_n(&server->addresses_count, __ATOMIC_RELAXED) > 0;
    return server->config.backup == (wanted == WANT_BACKUP) && server_is_usable(server, now);
}

static struct server *choose(struct upstream *upstream, enum wanted wanted,
                             struct server *const *tried, size_t tried_count, bool *is_full)
{
    struct candidates candidates;
    candidates.count = 0;       /* the rest stays as it is: a kilobyte */
    struct server *slow = NULL; /* one that starts slowly, in case there is no other */
    int64_t now = loop_now();
    /* Beyond the bound each request looks at another stretch of the list. */
    size_t start = upstream->count <= BALANCE_CANDIDATES_MAX
                       ? 0
                       : random_below(&thread_self()->random, (uint32_t)upstream->count);
    for (size_t i = 0; i < upstream->count && candidates.count < BALANCE_CANDIDATES_MAX; i++) {
        struct server *server = &upstream->servers[(start + i) % upstream->count];
        if (!is_candidate(server, wanted, now) || is_tried(server, tried, tried_count))
            continue;
        if (!server_has_room(server))
            *is_full = true;
        else if (server_stands_back(server, now))
            slow = server;
        else
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
    if (upstream->count == 1 && tried_count == 0 && is_candidate(only, WANT_PRIMARY, loop_now()) &&
        server_has_room(only))
        return only;
    struct server *server = choose(upstream, WANT_PRIMARY, tried, tried_count, &choice->is_full);
    if (server == NULL && upstream->has_backup)
        server = choose(upstream, WANT_BACKUP, tried, tried_count, &choice->is_full);
    if (server == NULL && !choice->is_full) {
        choice->is_panic = true;
        server = choose(upstream, WANT_ANY, tried, tried_count, &choice->is_full);
    }
    return server;
}
