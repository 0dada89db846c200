/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/balance.h"

static struct server *(*const POLICIES[BALANCES])(struct search *search) = {
#define BALANCE(id, name, policy, key, doc) [BALANCE_##id] = balance_##policy,
#include "upstream/balance.def"
#undef BALANCE
};

static bool is_tried(const struct search *search, const struct server *server)
{
    for (size_t i = 0; i < search->tried_count; i++)
        if (search->tried[i] == server)
            return true;
    return false;
}

bool balance_may_take(struct search *search, struct server *server)
{
    bool is_wanted = search->is_panic
                         ? !__atomic_load_n(&server->is_draining, __ATOMIC_ACQUIRE) &&
                               server_is_wanted(server) &&
                               __atomic_load_n(&server->addresses_count, __ATOMIC_RELAXED) > 0
                         : server_is_usable(server, search->now);
    if (!is_wanted || is_tried(search, server))
        return false;
    if (server_has_room(server))
        return true;
    search->is_full = true;
    return false;
}

void balance_gather(struct search *search, struct candidates *candidates)
{
    const struct tier *tier = search->tier;
    candidates->count = 0;
    /* Beyond the bound each request looks at another stretch of the list. */
    size_t start = tier->count <= BALANCE_CANDIDATES_MAX
                       ? 0
                       : random_below(&thread_self()->random, (uint32_t)tier->count);
    for (size_t i = 0; i < tier->count && candidates->count < BALANCE_CANDIDATES_MAX; i++) {
        size_t at = start + i < tier->count ? start + i : start + i - tier->count;
        struct server *server = tier->members[at];
        if (!balance_may_take(search, server))
            continue;
        candidates->weights[candidates->count] = server_weight_now(server, search->now);
        candidates->servers[candidates->count++] = server;
    }
}

/* One by chance, in proportion to the weights. */
static size_t draw(const struct candidates *candidates, uint32_t total)
{
    uint32_t ticket = random_below(&thread_self()->random, total);
    size_t i = 0;
    while (ticket >= candidates->weights[i])
        ticket -= candidates->weights[i++];
    return i;
}

/* Not inlined: its candidates would make the frame of every choice larger. */
__attribute__((noinline)) struct server *balance_any(struct search *search)
{
    struct candidates candidates;
    balance_gather(search, &candidates);
    if (candidates.count == 0)
        return NULL;
    if (search->key.has_hash)
        return candidates.servers[search->key.hash % candidates.count];
    uint32_t total = 0;
    for (size_t i = 0; i < candidates.count; i++)
        total += candidates.weights[i];
    size_t a = draw(&candidates, total);
    size_t b = draw(&candidates, total);
    bool is_b = balance_is_less_busy(candidates.servers[b], candidates.weights[b],
                                     candidates.servers[a], candidates.weights[a]);
    return candidates.servers[is_b ? b : a];
}

/* Whether a tier before that one could serve. */
static bool is_outranked(const struct roster *roster, uint32_t rank, int64_t now)
{
    for (size_t i = 0; i < roster->all.count && server_rank(roster->all.members[i]) < rank; i++)
        if (server_is_usable(roster->all.members[i], now))
            return true;
    return false;
}

/* The server that the client had before. A client that was moved to a backup goes home when there
 * is a home again. */
static struct server *choose_kept(struct search *search, const struct roster *roster)
{
    struct server *server = roster_find(roster, search->key.server_id);
    if (server == NULL)
        return NULL;
    bool may_take =
        balance_may_take(search, server) && !is_outranked(roster, server_rank(server), search->now);
    search->is_full = false; /* another one does as well */
    return may_take ? server : NULL;
}

static struct server *choose(struct search *search, const struct roster *roster)
{
    const struct upstream_config *config = search->config;
    if (config->affinity.cookie.size > 0 && search->key.server_id != 0) {
        struct server *kept = choose_kept(search, roster);
        if (kept != NULL)
            return kept;
    }
    for (size_t i = 0; i < roster->tiers_count; i++) {
        search->tier = &roster->tiers[i];
        /* A key decides whatever the policy is for those without one: sticky by address. */
        struct server *server =
            search->key.has_hash ? balance_hash(search) : POLICIES[config->balance](search);
        if (server != NULL)
            return server;
    }
    return NULL;
}

static struct server *choose_from(struct roster *roster, struct upstream *upstream,
                                  struct server *const *tried, size_t tried_count,
                                  struct choice *choice)
{
    struct search search = {
        .upstream = upstream,
        .config = roster->config,
        .tried = tried,
        .tried_count = tried_count,
        .key = choice->key,
        .now = loop_now(),
    };
    search.key.has_hash = search.key.has_hash && roster->config->affinity.key != UPSTREAM_KEY_NONE;
    struct server *server = NULL;
    if (roster->all.count > 1)
        server = choose(&search, roster);
    else if (roster->all.count == 1 && balance_may_take(&search, roster->all.members[0]))
        server = roster->all.members[0];
    choice->is_panic = server == NULL && !search.is_full;
    if (choice->is_panic) {
        search.is_panic = true;
        search.tier = &roster->all;
        server = balance_any(&search);
    }
    choice->is_full = search.is_full;
    return server;
}

struct server *balance_choose(struct upstream *upstream, struct server *const *tried,
                              size_t tried_count, struct choice *choice)
{
    struct roster *roster;
    struct server *server;
    /* Whoever has only seen servers that left just now looks at those that came. */
    do {
        roster = roster_of(upstream);
        server = choose_from(roster, upstream, tried, tried_count, choice);
    } while (server == NULL && roster_of(upstream) != roster);
    return server;
}
