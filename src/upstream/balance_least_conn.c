/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/balance.h"

/* Among equals one is taken by chance, in proportion to the weights. */
struct server *balance_least_conn(struct upstream *upstream, const struct candidates *candidates)
{
    (void)upstream;
    struct server *best = candidates->servers[0];
    uint32_t equals = server_weight(best);
    for (size_t i = 1; i < candidates->count; i++) {
        struct server *server = candidates->servers[i];
        if (balance_is_less_busy(best, server))
            continue;
        if (balance_is_less_busy(server, best))
            equals = 0;
        equals += server_weight(server);
        if (random_below(&thread_self()->random, equals) < server_weight(server))
            best = server;
    }
    return best;
}
