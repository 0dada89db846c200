/* SPDX-License-Identifier: Apache-2.0 */
/* Choosing a server. One file per policy; each chooses among the candidates that are left. */
#pragma once

#include "upstream/server.h"

enum {
    BALANCE_CANDIDATES_MAX = 128, /* looked at for one request; more servers are sampled */
};

/* What a request says about its server. */
struct balance_key {
    bool has_hash;
    uint64_t hash;      /* of the value that the policy goes by */
    uint64_t server_id; /* of the server that its cookie names; 0: none */
};

/* The servers that may be chosen now, and their weights. */
struct candidates {
    struct server *servers[BALANCE_CANDIDATES_MAX];
    uint32_t weights[BALANCE_CANDIDATES_MAX];
    size_t count;
    struct balance_key key;
    int64_t now;
};

/* Candidates are never empty. */
#define BALANCE(id, name, policy, key, doc)                                                        \
    struct server *balance_##policy(const struct candidates *candidates);
#include "upstream/balance.def"
#undef BALANCE

/* Requests in flight for the weight: smaller is less busy. Without the one to come, so that idle
 * servers are equals and the policies share among them by weight. */
static inline bool balance_is_less_busy(const struct candidates *candidates, size_t a, size_t b)
{
    uint64_t a_load = __atomic_load_n(&candidates->servers[a]->active, __ATOMIC_RELAXED);
    uint64_t b_load = __atomic_load_n(&candidates->servers[b]->active, __ATOMIC_RELAXED);
    return a_load * candidates->weights[b] < b_load * candidates->weights[a];
}

/* Who is asked for, of which tier, and whom to pass over. */
struct search {
    struct upstream *upstream;
    size_t tier;
    bool is_panic; /* of any tier, usable or not */
    struct server *const *tried;
    size_t tried_count;
    int64_t now;
    bool is_full; /* set when one that would do has no room */
};
/* Whether it may be chosen; notes it when only room is missing. */
bool balance_may_take(struct search *search, struct server *server);

/* The server of that tier which the key belongs to, or the next one that can serve; NULL: none was
 * found soon. */
struct server *balance_by_hash(struct search *search, uint64_t hash);

/* What balance_choose goes by and what it found beside a server. */
struct choice {
    struct balance_key key; /* looked at by policies that hash and in upstreams with a cookie */
    bool is_panic;          /* none is usable: it is one that is down */
    bool is_full;           /* one that is usable has max_conns in flight: worth waiting for */
};

/* The server that the request's cookie names, if it can serve; else the policy's choice among
 * servers that are usable, have room and are not in `tried` (pointers, tried_count); of the next
 * tier when no other is left; any at all when none is usable. NULL: all that are usable are full,
 * or every server was tried or is down by configuration. */
struct server *balance_choose(struct upstream *upstream, struct server *const *tried,
                              size_t tried_count, struct choice *choice);
