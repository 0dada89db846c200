/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/balance.h"

/* One by chance, in proportion to the weights. */
static size_t draw(const struct candidates *candidates, uint32_t total)
{
    uint32_t ticket = random_below(&thread_self()->random, total);
    for (size_t i = 0; i < candidates->count; i++) {
        if (ticket < candidates->weights[i])
            return i;
        ticket -= candidates->weights[i];
    }
    return 0;
}

struct server *balance_random_two(const struct candidates *candidates)
{
    uint32_t total = 0;
    for (size_t i = 0; i < candidates->count; i++)
        total += candidates->weights[i];
    size_t a = draw(candidates, total);
    size_t b = draw(candidates, total);
    return candidates->servers[balance_is_less_busy(candidates, b, a) ? b : a];
}
