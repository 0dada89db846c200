/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/compressors.h"

#include "base/arena.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/hash.h"
#include "fiber/thread.h"

#include <stdlib.h>

enum {
    WINDOW_MS = 200, /* the share is one of the last few of these */
    ALL = 10000,     /* hundredths of a percent */
    LEVEL_LEAST = 1,
};

struct compressors {
    struct encoder_pool *pool;
    struct compressing *first;
    size_t cost;
    int64_t window, worked; /* since when, ns */
    int64_t share;          /* hundredths of a percent */
};

struct compressors *compressors_here(void)
{
    struct thread *thread = thread_self();
    if (thread->compressors == NULL) {
        struct compressors *compressors = memory_zero(sizeof *compressors);
        compressors->pool = encoder_pool_new();
        compressors->window = loop_now();
        thread->compressors = compressors;
    }
    return thread->compressors;
}

void compressors_release(void)
{
    struct compressors *compressors = thread_self()->compressors;
    if (compressors == NULL)
        return;
    check(compressors->first == NULL);
    encoder_pool_free(compressors->pool);
    free(compressors);
    thread_self()->compressors = NULL;
}

void compressors_note(struct compressors *compressors, int64_t worked, int64_t now)
{
    compressors->worked += worked;
    int64_t passed = now - compressors->window;
    if (passed < MILLISECONDS(WINDOW_MS))
        return;
    int64_t share = compressors->worked * ALL / passed;
    compressors->share = (compressors->share + (share > ALL ? ALL : share)) / 2;
    compressors->worked = 0;
    compressors->window = now;
}

int compressors_level(const struct compressors *compressors,
                      const struct compressors_limits *limits, int level)
{
    if (compressors->share <= limits->busy)
        return level;
    /* Half of the level, and where that does not help the least. */
    bool is_much = compressors->share > limits->busy + (ALL - limits->busy) / 2;
    return is_much ? LEVEL_LEAST : (level + 1) / 2;
}

static size_t cost_of(const struct compressors *compressors, uint64_t client)
{
    size_t cost = 0;
    for (const struct compressing *one = compressors->first; one != NULL; one = one->next)
        cost += one->client == client ? one->cost : 0;
    return cost;
}

bool compressing_begin(struct compressing *compressing, const struct compressors_limits *limits,
                       struct slice client, struct encode_settings *settings)
{
    struct compressors *compressors = compressors_here();
    compressors_note(compressors, 0, loop_now());
    settings->level = compressors_level(compressors, limits, settings->level);
    size_t cost = encoder_cost(settings);
    uint64_t key = hash_text((struct hash_key){6, 0}, client);
    /* All of them together are less than what one client may have, as a rule. */
    bool may = compressors->cost + cost <= (size_t)limits->memory &&
               (compressors->cost + cost <= (size_t)limits->memory_per_client ||
                cost_of(compressors, key) + cost <= (size_t)limits->memory_per_client);
    struct encoder *encoder = may ? encoder_take(compressors->pool, settings) : NULL;
    if (encoder == NULL)
        return false;
    *compressing =
        (struct compressing){.of = compressors, .encoder = encoder, .client = key, .cost = cost};
    compressing->next = compressors->first;
    compressing->link = &compressors->first;
    if (compressing->next != NULL)
        compressing->next->link = &compressing->next;
    compressors->first = compressing;
    compressors->cost += cost;
    return true;
}

void compressing_end(struct compressing *compressing)
{
    if (compressing->encoder == NULL)
        return;
    encoder_give(compressing->encoder);
    compressing->encoder = NULL;
    compressing->of->cost -= compressing->cost;
    *compressing->link = compressing->next;
    if (compressing->next != NULL)
        compressing->next->link = compressing->link;
}
