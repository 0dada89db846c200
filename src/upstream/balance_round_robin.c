/* SPDX-License-Identifier: Apache-2.0 */
/* Smooth weighted round robin: each round every candidate gains its weight, the richest is chosen
 * and pays for all. Workers share the accounts; two that choose at the same moment may both see the
 * same one as richest, which the next rounds even out. */
#include "upstream/balance.h"

struct server *balance_round_robin(struct upstream *upstream, const struct candidates *candidates)
{
    (void)upstream;
    int64_t total = 0;
    struct server *best = NULL;
    int64_t best_weight = INT64_MIN;
    for (size_t i = 0; i < candidates->count; i++) {
        struct server *server = candidates->servers[i];
        int64_t weight = server_weight(server);
        int64_t current = __atomic_add_fetch(&server->current_weight, weight, __ATOMIC_RELAXED);
        total += weight;
        if (current > best_weight) {
            best_weight = current;
            best = server;
        }
    }
    __atomic_sub_fetch(&best->current_weight, total, __ATOMIC_RELAXED);
    return best;
}
