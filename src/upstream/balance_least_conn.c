/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/balance.h"

/* Starts at a place of chance, so that equals share evenly. */
struct server *balance_least_conn(struct upstream *upstream, const struct candidates *candidates)
{
    (void)upstream;
    size_t start = random_below(&thread_self()->random, (uint32_t)candidates->count);
    struct server *best = candidates->servers[start];
    for (size_t i = 1; i < candidates->count; i++) {
        struct server *server = candidates->servers[(start + i) % candidates->count];
        if (balance_is_less_busy(server, best))
            best = server;
    }
    return best;
}
