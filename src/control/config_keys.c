/* SPDX-License-Identifier: Apache-2.0 */
#include "control/config_keys.h"

#include "base/check.h"
#include "exchange/variable.h"
#include "steps/steps.h"

#include <pthread.h>

enum {
    KEYS_MAX = 256,
};

static size_t append(const struct key **into, size_t count, const struct key *const *keys)
{
    for (size_t i = 0; keys[i] != NULL; i++) {
        check(count < KEYS_MAX - 1);
        into[count++] = keys[i];
    }
    return count;
}

/* Filled once, by whoever comes first. */
static const struct key *all_keys[KEYS_MAX];
static size_t all_count;

static struct config_schema schema;
static pthread_once_t collected = PTHREAD_ONCE_INIT;

static void collect(void)
{
    all_count = append(all_keys, all_count, KEYS_TOP);
    all_count = append(all_keys, all_count, KEYS_TIMES);
    all_count = append(all_keys, all_count, KEYS_UPSTREAM);
    all_count = append(all_keys, all_count, KEYS_BALANCE);
    all_count = append(all_keys, all_count, KEYS_SITE);
    all_count = append(all_keys, all_count, KEYS_TLS);
    all_count = append(all_keys, all_count, KEYS_ADMIN);
    all_count = append(all_keys, all_count, KEYS_CACHE);
    all_count = append(all_keys, all_count, KEYS_LOG);
    for (size_t i = 0; steps_all[i] != NULL; i++) {
        check(all_count < KEYS_MAX - 1);
        all_keys[all_count++] = steps_all[i]->key;
    }
    schema =
        (struct config_schema){.keys = all_keys, .count = all_count, .placeholder = variable_name};
}

const struct key *const *config_keys(size_t *count)
{
    pthread_once(&collected, collect);
    *count = all_count;
    return all_keys;
}

const struct config_schema *config_schema(void)
{
    pthread_once(&collected, collect);
    return &schema;
}
