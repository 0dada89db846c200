/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/balance.h"

enum {
    /* Scores this near to the best, in percent, are as good: what is measured is never twice the
     * same, and the weights are to count. */
    NEAR_PERCENT = 15,
};

/* What is known of the candidates, read once. */
struct times {
    float score[BALANCE_CANDIDATES_MAX];
    float best;
};

/* The time of an answer, as often as there are requests before this one for its weight. A server
 * that has not answered yet is taken for as fast as the fastest. */
static void rate(const struct search *search, const struct candidates *candidates,
                 struct times *times)
{
    float fastest = 0;
    for (size_t i = 0; i < candidates->count; i++) {
        float time = (float)server_expected_time(candidates->servers[i], search->now);
        times->score[i] = time;
        if (time > 0 && (fastest == 0 || time < fastest))
            fastest = time;
    }
    if (fastest == 0)
        fastest = 1;
    for (size_t i = 0; i < candidates->count; i++) {
        float active = (float)__atomic_load_n(&candidates->servers[i]->active, __ATOMIC_RELAXED);
        float weight = (float)candidates->weights[i] / SERVER_WEIGHT_UNIT;
        float time = times->score[i] > 0 ? times->score[i] : fastest;
        times->score[i] = time * (1 + active / weight);
        if (i == 0 || times->score[i] < times->best)
            times->best = times->score[i];
    }
}

/* One that starts slowly takes part as often as its share of now is: what it would get by its time
 * alone is all of it. */
static void thin_out(struct candidates *candidates)
{
    size_t kept = 0;
    for (size_t i = 0; i < candidates->count; i++) {
        struct server *server = candidates->servers[i];
        uint32_t whole = server_weight(server) * SERVER_WEIGHT_UNIT;
        bool is_last = kept == 0 && i + 1 == candidates->count;
        if (candidates->weights[i] != whole && !is_last &&
            random_below(&thread_self()->random, whole) >= candidates->weights[i])
            continue;
        candidates->servers[kept] = server;
        candidates->weights[kept++] = whole;
    }
    candidates->count = kept;
}

struct server *balance_least_time(struct search *search)
{
    struct candidates candidates;
    struct times times;
    balance_gather(search, &candidates);
    thin_out(&candidates);
    rate(search, &candidates, &times);
    struct server *chosen = NULL;
    uint32_t near = 0;
    for (size_t i = 0; i < candidates.count; i++) {
        uint32_t weight = candidates.weights[i];
        if (times.score[i] * 100 > times.best * (100 + NEAR_PERCENT))
            continue;
        near += weight;
        if (near == weight || random_below(&thread_self()->random, near) < weight)
            chosen = candidates.servers[i];
    }
    return chosen;
}
