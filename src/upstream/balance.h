/* SPDX-License-Identifier: Apache-2.0 */
/* Choosing a server. One file per policy; each chooses among the servers of a tier. */
#pragma once

#include "upstream/call.h"
#include "upstream/roster.h"

/* What a request says about its server. */
struct balance_key {
    bool has_hash;
    uint64_t hash;      /* of the value that the policy goes by */
    uint64_t server_id; /* of the server that its cookie names; 0: none */
};

static inline struct balance_key call_key(const struct upstream_call *call)
{
    return (struct balance_key){call->request.has_hash, call->request.hash,
                                call->request.sticky_id};
}

/* Who is asked for, of which tier, and whom to pass over. */
struct search {
    struct upstream *upstream;
    const struct upstream_config *config;
    struct tier *tier;
    bool is_panic; /* usable or not */
    bool is_full;  /* set when one that would do has no room */
    struct server *const *tried;
    size_t tried_count;
    struct balance_key key;
    int64_t now;
};

/* The server of the tier that is to have the request; NULL: none can. */
#define BALANCE(id, name, policy, key, doc) struct server *balance_##policy(struct search *search);
#include "upstream/balance.def"
#undef BALANCE

/* For policies. Whether it may be chosen; notes it when only room is missing. */
bool balance_may_take(struct search *search, struct server *server);

/* Whether it is whole: one that starts slowly lets others have some of what it could get, by
 * chance, so that it has its share of now. */
static inline bool balance_takes_part(const struct search *search, const struct server *server)
{
    uint32_t whole = server_weight(server) * SERVER_WEIGHT_UNIT;
    uint32_t now = server_weight_now(server, search->now);
    return now == whole || random_below(&thread_self()->random, whole) < now;
}

enum {
    BALANCE_CANDIDATES_MAX = 20, /* looked at for one request; of more servers so many in a row */
};

/* The servers of a tier that may be chosen now, and their weights. */
struct candidates {
    struct server *servers[BALANCE_CANDIDATES_MAX];
    uint32_t weights[BALANCE_CANDIDATES_MAX];
    size_t count;
};
void balance_gather(struct search *search, struct candidates *candidates);

/* The less busy of two candidates that are drawn by weight, or the one that belongs to the key:
 * where a policy's own way found none. NULL: there is none. */
struct server *balance_any(struct search *search);

/* Whether a has less to do than b, for their weights. Without the request to come, so that idle
 * servers are equals and the policies share among them by weight. */
static inline bool balance_is_less_busy(const struct server *a, uint32_t a_weight,
                                        const struct server *b, uint32_t b_weight)
{
    uint64_t a_load = __atomic_load_n(&a->active, __ATOMIC_RELAXED);
    uint64_t b_load = __atomic_load_n(&b->active, __ATOMIC_RELAXED);
    return a_load * b_weight < b_load * a_weight;
}

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
