/* SPDX-License-Identifier: Apache-2.0 */
/* Smooth weighted round robin. The order of a whole round is worked out beforehand, so that a
 * choice is one number more, which all workers share: no turn is given twice or left out. Whoever
 * cannot serve passes its turn, and the next number is taken: the others keep their shares of each
 * other. */
#include "upstream/balance.h"

enum {
    PASSED_MAX = 16, /* then so few are left that all are looked at */
};

struct server *balance_round_robin(struct search *search)
{
    struct tier *tier = search->tier;
    for (int i = 0; i < PASSED_MAX; i++) {
        uint64_t turn = __atomic_fetch_add(&tier->round, 1, __ATOMIC_RELAXED);
        struct server *server = tier->members[tier->turns[turn % tier->turns_count]];
        if (balance_may_take(search, server) && balance_takes_part(search, server))
            return server;
    }
    return balance_any(search);
}
