/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/balance.h"

enum {
    /* Scores this near to the best, in percent, are as good: what is measured is never twice the
     * same, and the weights are to count. */
    NEAR_PERCENT = 15,
};

/* The time of an answer, as often as there are requests before this one for its weight. A server
 * that has not answered yet is taken for as fast as the fastest. */
static float score(const struct candidates *candidates, size_t i, float unknown)
{
    const struct server *server = candidates->servers[i];
    float active = (float)__atomic_load_n(&server->active, __ATOMIC_RELAXED);
    float time = (float)server_expected_time(server, candidates->now);
    float weight = (float)candidates->weights[i] / SERVER_WEIGHT_UNIT;
    return (time > 0 ? time : unknown) * (1 + active / weight);
}

static float fastest(const struct candidates *candidates)
{
    uint32_t best = 0;
    for (size_t i = 0; i < candidates->count; i++) {
        uint32_t time = server_expected_time(candidates->servers[i], candidates->now);
        if (time > 0 && (best == 0 || time < best))
            best = time;
    }
    return best == 0 ? 1 : (float)best;
}

struct server *balance_least_time(const struct candidates *candidates)
{
    float scores[BALANCE_CANDIDATES_MAX];
    float unknown = fastest(candidates);
    float best = 0;
    for (size_t i = 0; i < candidates->count; i++) {
        scores[i] = score(candidates, i, unknown);
        if (i == 0 || scores[i] < best)
            best = scores[i];
    }
    struct server *chosen = NULL;
    uint32_t near = 0;
    for (size_t i = 0; i < candidates->count; i++) {
        if (scores[i] * 100 > best * (100 + NEAR_PERCENT))
            continue;
        near += candidates->weights[i];
        if (chosen == NULL || random_below(&thread_self()->random, near) < candidates->weights[i])
            chosen = candidates->servers[i];
    }
    return chosen;
}
