/* SPDX-License-Identifier: Apache-2.0 */
/* The servers of an upstream as a choice looks at them: in the order in which they may serve, and
 * where turns and keys belong among them. A roster never changes; when servers come or go another
 * one takes its place. */
#pragma once

#include "upstream/consistent.h"
#include "upstream/server.h"

/* Servers of the same rank; the next tier serves when none of this one can. */
struct tier {
    struct server **members;
    size_t count;
    uint32_t rank;
    uint32_t turns_count;
    uint32_t *turns;        /* positions in members: each as often as its weight, evenly spread */
    struct consistent hash; /* where keys are hashed to; without places where nobody asks */
    uint64_t round __attribute__((aligned(64))); /* of round_robin; atomic */
};

struct roster {
    const struct upstream_config *config; /* that it was made by, and choices go by */
    struct tier *tiers;                   /* the lowest rank first */
    size_t tiers_count;
    struct tier all; /* every server, without turns and places */
    uint64_t *ids;   /* of all.members, close together */
    int64_t retired; /* when another one took its place */
    struct roster *next;
};

struct roster *roster_new(const struct upstream *upstream);
void roster_free(struct roster *roster);

static inline struct roster *roster_of(const struct upstream *upstream)
{
    return __atomic_load_n(&upstream->roster, __ATOMIC_ACQUIRE);
}

/* Frees those in whose place another one was put until then. */
void roster_free_retired(struct upstream *upstream, int64_t until);

/* Its priority, or more for backups. */
uint32_t server_rank(const struct server *server);
/* The server that a cookie names; NULL: there is none. */
struct server *roster_find(const struct roster *roster, uint64_t id);
