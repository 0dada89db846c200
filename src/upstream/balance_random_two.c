/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/balance.h"

enum {
    DRAWS = 8, /* then so few are left that all are looked at */
};

/* One that can serve, by chance, in proportion to the weights: by drawing from the turns, of which
 * each has as many as it weighs. NULL: it was not found soon. */
static struct server *draw(struct search *search)
{
    const struct tier *tier = search->tier;
    for (int i = 0; i < DRAWS; i++) {
        uint32_t turn = random_below(&thread_self()->random, tier->turns_count);
        struct server *server = tier->members[tier->turns[turn]];
        if (balance_may_take(search, server) && balance_takes_part(search, server))
            return server;
    }
    return NULL;
}

struct server *balance_random_two(struct search *search)
{
    struct server *a = draw(search);
    struct server *b = a == NULL ? NULL : draw(search);
    if (b == NULL)
        return balance_any(search);
    return a == b || !balance_is_less_busy(b, server_weight_now(b, search->now), a,
                                           server_weight_now(a, search->now))
               ? a
               : b;
}
