/* SPDX-License-Identifier: Apache-2.0 */
/* A table in shards, each under a mutex that is held for a look-up only. */
#include "limit/tally.h"

#include "base/arena.h"
#include "base/check.h"
#include "base/hash.h"
#include "base/random.h"

#include <pthread.h>
#include <stdlib.h>

enum {
    SHARDS = 64,
    BUCKETS = 256, /* of a shard: chains stay short up to some 100,000 keys */
};

struct entry {
    struct entry *next;
    uint64_t key;
    int64_t count; /* > 0 */
};

struct shard {
    pthread_mutex_t mutex;
    struct entry *buckets[BUCKETS];
};

struct tally {
    struct hash_key secret; /* nobody outside can choose keys that collide */
    struct shard shards[SHARDS];
};

struct tally *tally_new(void)
{
    struct tally *tally = memory_zero(sizeof *tally);
    random_bytes(&tally->secret, sizeof tally->secret);
    for (size_t i = 0; i < SHARDS; i++)
        pthread_mutex_init(&tally->shards[i].mutex, NULL);
    return tally;
}

void tally_free(struct tally *tally)
{
    for (size_t i = 0; i < SHARDS; i++) {
        pthread_mutex_destroy(&tally->shards[i].mutex);
        for (size_t b = 0; b < BUCKETS; b++)
            while (tally->shards[i].buckets[b] != NULL) {
                struct entry *entry = tally->shards[i].buckets[b];
                tally->shards[i].buckets[b] = entry->next;
                free(entry);
            }
    }
    free(tally);
}

uint64_t tally_key(const struct tally *tally, struct slice key)
{
    return hash_text(tally->secret, key);
}

static struct entry **find(struct shard *shard, uint64_t key)
{
    struct entry **link = &shard->buckets[key / SHARDS % BUCKETS];
    while (*link != NULL && (*link)->key != key)
        link = &(*link)->next;
    return link;
}

bool tally_enter(struct tally *tally, uint64_t key, int64_t max)
{
    struct shard *shard = &tally->shards[key % SHARDS];
    pthread_mutex_lock(&shard->mutex);
    struct entry **link = find(shard, key);
    bool may_enter = max > 0 && (*link == NULL || (*link)->count < max);
    if (may_enter && *link == NULL) {
        *link = memory_zero(sizeof **link);
        (*link)->key = key;
    }
    if (may_enter)
        (*link)->count++;
    pthread_mutex_unlock(&shard->mutex);
    return may_enter;
}

void tally_leave(struct tally *tally, uint64_t key)
{
    struct shard *shard = &tally->shards[key % SHARDS];
    pthread_mutex_lock(&shard->mutex);
    struct entry **link = find(shard, key);
    struct entry *entry = *link;
    check(entry != NULL && entry->count > 0);
    if (--entry->count == 0) {
        *link = entry->next;
        free(entry);
    }
    pthread_mutex_unlock(&shard->mutex);
}
