/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/balance.h"

/* Among equals one is taken by chance, in proportion to the weights. */
struct server *balance_least_conn(struct search *search)
{
    struct candidates candidates;
    balance_gather(search, &candidates);
    struct server *best = NULL;
    uint32_t best_weight = 0;
    uint32_t equals = 0;
    for (size_t i = 0; i < candidates.count; i++) {
        struct server *server = candidates.servers[i];
        uint32_t weight = candidates.weights[i];
        if (best != NULL && balance_is_less_busy(best, best_weight, server, weight))
            continue;
        if (best == NULL || balance_is_less_busy(server, weight, best, best_weight))
            equals = 0;
        equals += weight;
        if (equals > weight && random_below(&thread_self()->random, equals) >= weight)
            continue;
        best = server;
        best_weight = weight;
    }
    return best;
}
