/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/balance.h"

/* One by chance, in proportion to the weights. */
static struct server *draw(const struct candidates *candidates, uint32_t total)
{
    uint32_t ticket = random_below(&thread_self()->random, total);
    for (size_t i = 0; i < candidates->count; i++) {
        if (ticket < server_weight(candidates->servers[i]))
            return candidates->servers[i];
        ticket -= server_weight(candidates->servers[i]);
    }
    return candidates->servers[0];
}

struct server *balance_random_two(struct upstream *upstream, const struct candidates *candidates)
{
    (void)upstream;
    uint32_t total = 0;
    for (size_t i = 0; i < candidates->count; i++)
        total += server_weight(candidates->servers[i]);
    struct server *a = draw(candidates, total);
    struct server *b = draw(candidates, total);
    return balance_is_less_busy(b, a) ? b : a;
}
