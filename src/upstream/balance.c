/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/balance.h"

#include "base/check.h"

static const struct {
    struct server *(*choose)(const struct candidates *candidates);
    bool is_hash;
} POLICIES[BALANCES] = {
#define BALANCE(id, name, policy, key, doc)                                                        \
    [BALANCE_##id] = {balance_##policy, UPSTREAM_KEY_##key != UPSTREAM_KEY_NONE},
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
                         ? !server->config.down &&
                               __atomic_load_n(&server->addresses_count, __ATOMIC_RELAXED) > 0
                         : server->tier == search->tier && server_is_usable(server, search->now);
    if (!is_wanted || is_tried(search, server))
        return false;
    if (server_has_room(server))
        return true;
    search->is_full = true;
    return false;
}

static struct server *choose(struct search *search, const struct balance_key *key)
{
    struct upstream *upstream = search->upstream;
    /* sticky by address hashes, whatever the policy for those without one */
    bool has_hash = key->has_hash && upstream->config.affinity.key != UPSTREAM_KEY_NONE;
    struct server *owner =
        has_hash && !search->is_panic ? balance_by_hash(search, key->hash) : NULL;
    if (owner != NULL)
        return owner;
    struct candidates candidates;
    candidates.count = 0; /* the rest stays as it is: two kilobytes */
    candidates.now = search->now;
    candidates.key = (struct balance_key){.has_hash = has_hash, .hash = has_hash ? key->hash : 0};
    /* Beyond the bound each request looks at another stretch of the list. */
    size_t start = upstream->count <= BALANCE_CANDIDATES_MAX
                       ? 0
                       : random_below(&thread_self()->random, (uint32_t)upstream->count);
    for (size_t i = 0; i < upstream->count && candidates.count < BALANCE_CANDIDATES_MAX; i++) {
        size_t at = start + i < upstream->count ? start + i : start + i - upstream->count;
        struct server *server = &upstream->servers[at];
        if (!balance_may_take(search, server))
            continue;
        candidates.weights[candidates.count] = server_weight(server, search->now);
        candidates.servers[candidates.count++] = server;
    }
    if (candidates.count == 0)
        return NULL;
    if (candidates.count == 1)
        return candidates.servers[0];
    return has_hash ? balance_hash(&candidates)
                    : POLICIES[upstream->config.balance].choose(&candidates);
}

/* Whether a tier before that one could serve. */
static bool is_outranked(const struct upstream *upstream, size_t tier, int64_t now)
{
    for (size_t i = 0; tier > 0 && i < upstream->count; i++)
        if (upstream->servers[i].tier < tier && server_is_usable(&upstream->servers[i], now))
            return true;
    return false;
}

/* The server that the client had before. A client that was moved to a backup goes home when there
 * is a home again. */
static struct server *choose_kept(struct search *search, uint64_t id)
{
    struct upstream *upstream = search->upstream;
    for (size_t i = 0; i < upstream->count; i++) {
        if (upstream->ids[i] != id)
            continue;
        struct server *server = &upstream->servers[i];
        search->tier = server->tier;
        bool may_take =
            balance_may_take(search, server) && !is_outranked(upstream, server->tier, search->now);
        search->is_full = false; /* another one does as well */
        return may_take ? server : NULL;
    }
    return NULL;
}

struct server *balance_choose(struct upstream *upstream, struct server *const *tried,
                              size_t tried_count, struct choice *choice)
{
    struct search search = {
        .upstream = upstream, .tried = tried, .tried_count = tried_count, .now = loop_now()};
    struct server *server = NULL;
    choice->is_panic = false;
    if (upstream->count == 1) {
        server = balance_may_take(&search, &upstream->servers[0]) ? &upstream->servers[0] : NULL;
    } else {
        if (upstream->config.affinity.cookie.size > 0 && choice->key.server_id != 0)
            server = choose_kept(&search, choice->key.server_id);
        for (size_t tier = 0; server == NULL && tier < upstream->tiers_count; tier++) {
            search.tier = tier;
            server = choose(&search, &choice->key);
        }
    }
    if (server == NULL && !search.is_full) {
        choice->is_panic = true;
        search.is_panic = true;
        server = choose(&search, &choice->key);
    }
    choice->is_full = search.is_full;
    return server;
}
