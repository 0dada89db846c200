/* SPDX-License-Identifier: Apache-2.0 */
/* Keys are known by 63 bits of a hash under a secret: nobody outside can make two of them meet, and
 * that two of a million do by chance is as likely as one in eighteen million. A place holds eight,
 * in two lines of the cache; a mutex over many places is held for some nanoseconds. */
#include "limit/rate_table.h"

#include "base/arena.h"
#include "base/check.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/random.h"

#include <pthread.h>
#include <stdlib.h>

enum {
    WAYS = 8,
    FILL = 6, /* of them on average, when all keys are in use: full places are rare then */
    LOCKS = 256,
    LINE = 64,
};

struct entry {
    uint64_t hash; /* 0: free */
    int64_t until;
};

struct place {
    struct entry entries[WAYS];
};

struct lock {
    pthread_mutex_t mutex;
    uint64_t evicted;
} __attribute__((aligned(64)));

struct rate_table {
    struct rate_store store;
    struct hash_key key;
    size_t mask;          /* of the number of a place */
    struct place *places; /* at the start of a line of the cache */
    void *memory;         /* under them; untouched pages of it cost nothing */
    struct lock locks[LOCKS];
};

/* The entry of a key; the one that makes room for it if it has none. */
static struct entry *find(struct place *place, uint64_t hash, int64_t now, uint64_t *evicted)
{
    struct entry *oldest = &place->entries[0];
    for (size_t i = 0; i < WAYS; i++) {
        struct entry *entry = &place->entries[i];
        if (entry->hash == hash)
            return entry;
        /* A free one is as old as can be. */
        if (entry->until < oldest->until)
            oldest = entry;
    }
    *evicted += oldest->until > now;
    *oldest = (struct entry){.hash = hash};
    return oldest;
}

static enum status take(struct rate_store *store, struct slice key, const struct rate *rate,
                        int64_t now, struct rate_answer *answer)
{
    struct rate_table *table = LIST_ENTRY(store, struct rate_table, store);
    uint64_t hash = hash_text(table->key, key) | 1;
    size_t number = hash >> 8 & table->mask;
    struct lock *lock = &table->locks[number % LOCKS];
    pthread_mutex_lock(&lock->mutex);
    struct entry *entry = find(&table->places[number], hash, now, &lock->evicted);
    *answer = rate_take(rate, now, &entry->until);
    pthread_mutex_unlock(&lock->mutex);
    return OK;
}

static void release(struct rate_store *store)
{
    struct rate_table *table = LIST_ENTRY(store, struct rate_table, store);
    for (size_t i = 0; i < LOCKS; i++)
        pthread_mutex_destroy(&table->locks[i].mutex);
    free(table->memory);
    free(table);
}

struct rate_store *rate_table_new(size_t keys)
{
    check(keys > 0 && keys <= RATE_TABLE_KEYS_MAX);
    size_t count = LOCKS;
    while (count * FILL < keys)
        count *= 2;
    struct rate_table *table;
    check(posix_memalign((void **)&table, LINE, sizeof *table) == 0);
    *table = (struct rate_table){.store = {.take = take, .free = release}, .mask = count - 1};
    table->memory = memory_zero(count * sizeof *table->places + LINE - 1);
    table->places =
        (struct place *)(((uintptr_t)table->memory + LINE - 1) & ~(uintptr_t)(LINE - 1));
    random_bytes(&table->key, sizeof table->key);
    for (size_t i = 0; i < LOCKS; i++)
        pthread_mutex_init(&table->locks[i].mutex, NULL);
    return &table->store;
}

uint64_t rate_table_evicted(const struct rate_store *store)
{
    struct rate_table *table = (struct rate_table *)(uintptr_t)store;
    uint64_t evicted = 0;
    for (size_t i = 0; i < LOCKS; i++) {
        pthread_mutex_lock(&table->locks[i].mutex);
        evicted += table->locks[i].evicted;
        pthread_mutex_unlock(&table->locks[i].mutex);
    }
    return evicted;
}
