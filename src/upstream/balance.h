/* SPDX-License-Identifier: Apache-2.0 */
/* Choosing a server. One file per policy; each chooses among the candidates that are left. */
#pragma once

#include "upstream/server.h"

enum {
    BALANCE_CANDIDATES_MAX = 128, /* looked at for one request; more servers are sampled */
};

/* The servers that may be chosen now. */
struct candidates {
    struct server *servers[BALANCE_CANDIDATES_MAX];
    size_t count;
};

/* Candidates are never empty. */
struct server *balance_random_two(struct upstream *upstream, const struct candidates *candidates);
struct server *balance_round_robin(struct upstream *upstream, const struct candidates *candidates);
struct server *balance_least_conn(struct upstream *upstream, const struct candidates *candidates);

/* Requests in flight for the weight: smaller is less busy. Without the one to come, so that idle
 * servers are equals and the policies share among them by weight. */
static inline bool balance_is_less_busy(const struct server *a, const struct server *b)
{
    uint64_t a_load = __atomic_load_n(&a->active, __ATOMIC_RELAXED);
    uint64_t b_load = __atomic_load_n(&b->active, __ATOMIC_RELAXED);
    return a_load * server_weight(b) < b_load * server_weight(a);
}

/* What balance_choose found beside a server. */
struct choice {
    bool is_panic; /* none is usable: it is one that is down */
    bool is_full;  /* one that is usable has max_conns in flight: worth waiting for */
};

/* The policy's choice among servers that are usable, have room and are not in `tried` (pointers,
 * tried_count); backups when no other is left; any at all when none is usable. NULL: all that are
 * usable are full, or every server was tried or is down by configuration. */
struct server *balance_choose(struct upstream *upstream, struct server *const *tried,
                              size_t tried_count, struct choice *choice);
