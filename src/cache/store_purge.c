/* SPDX-License-Identifier: Apache-2.0 */
/* What is done with the store as a whole: purged, swept, counted, freed. */
#include "base/arena.h"
#include "cache/store_inside.h"
#include "cache/tags.h"
#include "fiber/thread.h"

#include <stdlib.h>

void store_free(struct store *store)
{
    for (size_t i = 0; i < STORE_SHARDS; i++) {
        struct store_shard *shard = &store->shards[i];
        struct object *released = NULL;
        for (size_t k = 0; k < shard->buckets_count; k++)
            while (shard->buckets[k] != NULL)
                store_entry_remove(store, shard, shard->buckets[k], &released);
        store_release_list(released);
        free(shard->buckets);
        pthread_mutex_destroy(&shard->mutex);
    }
    evict_done(&store->evict);
    pthread_mutex_destroy(&store->evict_mutex);
    free(store);
}

void store_set(struct store *store, const struct store_settings *settings)
{
    __atomic_store_n(&store->max_object, settings->max_object, __ATOMIC_RELAXED);
    for (size_t i = 0; i < STORE_SHARDS; i++) {
        pthread_mutex_lock(&store->shards[i].mutex);
        store->shards[i].settings = *settings;
        pthread_mutex_unlock(&store->shards[i].mutex);
    }
    pthread_mutex_lock(&store->evict_mutex);
    store->evict.bytes_max = (uint64_t)settings->memory;
    pthread_mutex_unlock(&store->evict_mutex);
    store_make_room(store);
}

uint64_t store_bytes(struct store *store)
{
    pthread_mutex_lock(&store->evict_mutex);
    uint64_t bytes = evict_bytes(&store->evict);
    pthread_mutex_unlock(&store->evict_mutex);
    return bytes + __atomic_load_n(&store->filling, __ATOMIC_RELAXED);
}

void store_bound(struct store *store, uint64_t bytes)
{
    __atomic_store_n(&store->bound, bytes, __ATOMIC_RELAXED);
    store_make_room(store);
}

static void soften(struct store_entry *entry, struct store_purged *purged)
{
    for (struct object *object = entry->objects; object != NULL; object = object->next) {
        __atomic_store_n(&object->is_purged, true, __ATOMIC_RELAXED);
        purged->objects++;
        purged->bytes += object_bytes(object);
    }
}

static void stop_fills(struct store_shard *shard, const struct store_key *key)
{
    LIST_EACH(link, &shard->fills)
    {
        struct fill *fill = LIST_ENTRY(link, struct fill, link);
        if (key != NULL && (fill->hash != key->hash || !slice_equal(fill->key, key->text)))
            continue;
        fill->is_purged = true;
        fill->is_joinable = false;
    }
}

static void count_all(const struct store_entry *entry, struct store_purged *purged)
{
    for (const struct object *object = entry->objects; object != NULL; object = object->next) {
        purged->objects++;
        purged->bytes += object_bytes(object);
    }
}

struct store_purged store_purge_key(struct store *store, const struct store_key *key, bool is_soft)
{
    struct store_shard *shard = store_shard_of(store, key->hash);
    struct store_purged purged = {0};
    struct object *released = NULL;
    pthread_mutex_lock(&shard->mutex);
    stop_fills(shard, key);
    struct store_entry *entry = store_entry_find(shard, key);
    if (entry != NULL && is_soft) {
        soften(entry, &purged);
    } else if (entry != NULL) {
        count_all(entry, &purged);
        store_entry_remove(store, shard, entry, &released);
    }
    pthread_mutex_unlock(&shard->mutex);
    store_release_list(released);
    return purged;
}

static bool is_meant(const struct store_entry *entry, const struct tags_wanted *wanted)
{
    for (const struct object *object = entry->objects; object != NULL; object = object->next)
        if (tags_match(object->tags, wanted))
            return true;
    return wanted->all && entry->objects == NULL;
}

static void purge_bucket(struct store *store, struct store_shard *shard, size_t bucket,
                         const struct tags_wanted *wanted, bool is_soft,
                         struct store_purged *purged, struct object **released)
{
    for (struct store_entry *entry = shard->buckets[bucket], *next; entry != NULL; entry = next) {
        next = entry->next;
        if (!is_meant(entry, wanted))
            continue;
        if (is_soft) {
            soften(entry, purged);
            continue;
        }
        count_all(entry, purged);
        store_entry_remove(store, shard, entry, released);
    }
}

struct store_purged store_purge(struct store *store, const struct tags_wanted *wanted, bool is_soft)
{
    struct store_purged purged = {0};
    __atomic_add_fetch(&store->generation, 1, __ATOMIC_ACQ_REL);
    for (size_t i = 0; i < STORE_SHARDS; i++) {
        struct store_shard *shard = &store->shards[i];
        struct object *released = NULL;
        pthread_mutex_lock(&shard->mutex);
        stop_fills(shard, NULL);
        for (size_t k = 0; k < shard->buckets_count; k++)
            purge_bucket(store, shard, k, wanted, is_soft, &purged, &released);
        pthread_mutex_unlock(&shard->mutex);
        store_release_list(released);
    }
    return purged;
}

void store_count(struct store *store, enum store_result result)
{
    size_t tally = (size_t)thread_self()->index & (STORE_TALLIES - 1);
    __atomic_add_fetch(&store->tallies[tally].results[result], 1, __ATOMIC_RELAXED);
}

void store_count_slice(struct store *store)
{
    __atomic_add_fetch(&store->slices, 1, __ATOMIC_RELAXED);
}

void store_counters(struct store *store, struct store_counters *counters)
{
    *counters = (struct store_counters){
        .fills = __atomic_load_n(&store->fills, __ATOMIC_RELAXED),
        .slices = __atomic_load_n(&store->slices, __ATOMIC_RELAXED),
    };
    for (size_t i = 0; i < STORE_TALLIES; i++)
        for (size_t k = 0; k < STORE_RESULTS; k++)
            counters->results[k] +=
                __atomic_load_n(&store->tallies[i].results[k], __ATOMIC_RELAXED);
    for (size_t i = 0; i < STORE_SHARDS; i++) {
        struct store_shard *shard = &store->shards[i];
        pthread_mutex_lock(&shard->mutex);
        counters->objects += shard->objects;
        counters->evicted += shard->evicted;
        counters->stored += shard->stored;
        pthread_mutex_unlock(&shard->mutex);
    }
    pthread_mutex_lock(&store->evict_mutex);
    counters->bytes += __atomic_load_n(&store->filling, __ATOMIC_RELAXED);
    counters->bytes_max = store->evict.bytes_max;
    counters->bytes = evict_bytes(&store->evict);
    pthread_mutex_unlock(&store->evict_mutex);
}

void store_sweep(struct store *store, int64_t now)
{
    struct store_shard *shard = &store->shards[store->swept++ & (STORE_SHARDS - 1)];
    struct object *released = NULL;
    pthread_mutex_lock(&shard->mutex);
    int64_t inactive = shard->settings.inactive > 0 ? shard->settings.inactive : INT64_MAX;
    for (size_t i = 0; i < shard->buckets_count; i++)
        for (struct store_entry *entry = shard->buckets[i], *next; entry != NULL; entry = next) {
            next = entry->next;
            if (now - entry->used > inactive)
                store_entry_remove(store, shard, entry, &released);
        }
    pthread_mutex_unlock(&shard->mutex);
    store_release_list(released);
}
