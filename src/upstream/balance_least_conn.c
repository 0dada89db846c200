/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/balance.h"

/* Among equals one is taken by chance, in proportion to the weights. */
struct server *balance_least_conn(const struct candidates *candidates)
{
    size_t best = 0;
    uint32_t equals = candidates->weights[0];
    for (size_t i = 1; i < candidates->count; i++) {
        if (balance_is_less_busy(candidates, best, i))
            continue;
        if (balance_is_less_busy(candidates, i, best))
            equals = 0;
        equals += candidates->weights[i];
        if (random_below(&thread_self()->random, equals) < candidates->weights[i])
            best = i;
    }
    return candidates->servers[best];
}
