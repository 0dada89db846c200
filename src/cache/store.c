/* SPDX-License-Identifier: Apache-2.0 */
/* Keys hash into shards, each a table under a mutex of its own; no lock is held across a wait, and
 * objects are let go outside of all. The order in which entries go is known by one queue for all of
 * them, whose lock is taken after a shard's and only when something is stored or goes: a hit marks
 * its entry without it. An entry that was taken out of the queue is the taker's, who removes it
 * from its shard: it is counted who holds it. */
#include "cache/store.h"

#include "base/arena.h"
#include "base/hash.h"
#include "base/random.h"
#include "cache/store_inside.h"
#include "cache/tags.h"
#include "fiber/thread.h"
#include "http/cache_vary.h"

#include <stdlib.h>

enum {
    BUCKETS_FIRST = 64,
    OBJECT_USUAL = 16 * 1024,
    FILLS_MAX = 16384,
    PART_MAX = 8, /* of what may be stored, the part that one object may take from a disk */
};

static const char *const RESULTS[STORE_RESULTS] = {
    [STORE_HIT] = "hit",       [STORE_MISS] = "miss",
    [STORE_STALE] = "stale",   [STORE_REVALIDATED] = "revalidated",
    [STORE_BYPASS] = "bypass", [STORE_COLLAPSED] = "collapsed",
};

const char *store_result_name(enum store_result result)
{
    return RESULTS[result];
}

struct store *store_new(const struct store_settings *settings)
{
    struct store *store = memory_zero(sizeof *store);
    store->max_object = settings->max_object;
    store->bound = UINT64_MAX;
    random_bytes(&store->secret, sizeof store->secret);
    evict_init(&store->evict, (uint64_t)settings->memory, OBJECT_USUAL);
    pthread_mutex_init(&store->evict_mutex, NULL);
    for (size_t i = 0; i < STORE_SHARDS; i++) {
        struct store_shard *shard = &store->shards[i];
        pthread_mutex_init(&shard->mutex, NULL);
        list_init(&shard->fills);
        shard->settings = *settings;
        shard->buckets_count = BUCKETS_FIRST;
        shard->buckets = memory_zero(BUCKETS_FIRST * sizeof(struct store_entry *));
    }
    return store;
}

int64_t store_max_object(const struct store *store)
{
    return __atomic_load_n(&store->max_object, __ATOMIC_RELAXED);
}

struct store_key store_key_of(const struct store *store, struct slice text)
{
    return (struct store_key){text, hash_text_quick(store->secret, text)};
}

struct store_shard *store_shard_of(struct store *store, uint64_t hash)
{
    return &store->shards[hash >> 58 & (STORE_SHARDS - 1)];
}

static struct store_entry **bucket_of(struct store_shard *shard, uint64_t hash)
{
    return &shard->buckets[hash & (shard->buckets_count - 1)];
}

struct store_entry *store_entry_find(struct store_shard *shard, const struct store_key *key)
{
    struct store_entry *entry = *bucket_of(shard, key->hash);
    while (entry != NULL && (entry->hash != key->hash || !slice_equal(entry->key, key->text)))
        entry = entry->next;
    return entry;
}

static void grow(struct store_shard *shard)
{
    size_t count = shard->buckets_count;
    struct store_entry **old = shard->buckets;
    shard->buckets_count = count * 2;
    shard->buckets = memory_zero(shard->buckets_count * sizeof(struct store_entry *));
    for (size_t i = 0; i < count; i++)
        for (struct store_entry *entry = old[i], *next; entry != NULL; entry = next) {
            next = entry->next;
            struct store_entry **bucket = bucket_of(shard, entry->hash);
            entry->next = *bucket;
            *bucket = entry;
        }
    free(old);
}

void store_entry_leave(struct store_entry *entry)
{
    if (__atomic_sub_fetch(&entry->references, 1, __ATOMIC_ACQ_REL) == 0)
        free(entry);
}

/* In its shard, and at the end of the queue of who goes. */
static struct store_entry *add_entry(struct store *store, struct store_shard *shard,
                                     const struct store_key *key)
{
    if (shard->entries >= shard->buckets_count)
        grow(shard);
    struct store_entry *entry = memory_zero(sizeof *entry + key->text.size);
    memcpy(entry + 1, key->text.data, key->text.size);
    entry->key = slice_of((const char *)(entry + 1), key->text.size);
    entry->hash = key->hash;
    entry->references = 2;
    entry->is_linked = true;
    entry->bytes = sizeof *entry + key->text.size;
    struct store_entry **bucket = bucket_of(shard, key->hash);
    entry->next = *bucket;
    *bucket = entry;
    shard->entries++;
    pthread_mutex_lock(&store->evict_mutex);
    evict_insert(&store->evict, &entry->evict, key->hash, entry->bytes);
    pthread_mutex_unlock(&store->evict_mutex);
    return entry;
}

/* Its size has changed. */
static void weigh(struct store *store, struct store_entry *entry)
{
    uint64_t bytes = sizeof *entry + entry->key.size;
    for (const struct object *object = entry->objects; object != NULL; object = object->next)
        bytes += object_bytes(object);
    entry->bytes = bytes;
    pthread_mutex_lock(&store->evict_mutex);
    if (entry->evict.queue != 0)
        evict_resize(&store->evict, &entry->evict, bytes);
    pthread_mutex_unlock(&store->evict_mutex);
}

/* Hangs the objects at a list of those to be released without a lock. */
static void take_objects(struct store_shard *shard, struct store_entry *entry,
                         struct object **released)
{
    while (entry->objects != NULL) {
        struct object *object = entry->objects;
        entry->objects = object->next;
        object->next = *released;
        *released = object;
        shard->objects--;
    }
    entry->count = 0;
}

void store_entry_unlink(struct store_shard *shard, struct store_entry *entry,
                        struct object **released)
{
    struct store_entry **at = bucket_of(shard, entry->hash);
    while (*at != entry)
        at = &(*at)->next;
    *at = entry->next;
    shard->entries--;
    entry->is_linked = false;
    take_objects(shard, entry, released);
}

void store_entry_remove(struct store *store, struct store_shard *shard, struct store_entry *entry,
                        struct object **released)
{
    store_entry_unlink(shard, entry, released);
    pthread_mutex_lock(&store->evict_mutex);
    bool is_queued = entry->evict.queue != 0;
    if (is_queued)
        evict_remove(&store->evict, &entry->evict);
    pthread_mutex_unlock(&store->evict_mutex);
    if (is_queued)
        store_entry_leave(entry);
    store_entry_leave(entry);
}

void store_release_list(struct object *released)
{
    while (released != NULL) {
        struct object *object = released;
        released = object->next;
        object_release(object);
    }
}

/* Lets go until what is there fits. */
void store_make_room(struct store *store)
{
    for (;;) {
        pthread_mutex_lock(&store->evict_mutex);
        uint64_t bound = __atomic_load_n(&store->bound, __ATOMIC_RELAXED);
        uint64_t most = store->evict.bytes_max;
        uint64_t spare = __atomic_load_n(&store->filling, __ATOMIC_RELAXED);
        spare += bound < most ? most - bound : 0;
        struct evict_item *item = evict_over(&store->evict, spare);
        pthread_mutex_unlock(&store->evict_mutex);
        if (item == NULL)
            return;
        struct store_entry *entry = LIST_ENTRY(item, struct store_entry, evict);
        struct store_shard *shard = store_shard_of(store, entry->hash);
        struct object *released = NULL;
        pthread_mutex_lock(&shard->mutex);
        bool was_linked = entry->is_linked;
        if (was_linked) {
            shard->evicted += entry->count;
            store_entry_unlink(shard, entry, &released);
        }
        pthread_mutex_unlock(&shard->mutex);
        store_release_list(released);
        if (was_linked)
            store_entry_leave(entry);
        store_entry_leave(entry);
    }
}

static bool is_match(const struct object *object, const struct fields *request, struct arena *arena)
{
    if (object->vary_names.size == 0)
        return true;
    struct buffer values = buffer_in(arena, object->vary_values.size + 64);
    cache_vary_values(object->vary_names, request, &values);
    return slice_equal(buffer_slice(&values), object->vary_values);
}

/* By what varied last, what this request would have; empty: nothing did. */
static struct slice guess_of(const struct store_entry *entry, const struct fields *request,
                             struct arena *arena)
{
    if (entry == NULL || entry->objects == NULL || entry->objects->vary_names.size == 0)
        return SLICE("");
    struct buffer values = buffer_in(arena, 64);
    cache_vary_values(entry->objects->vary_names, request, &values);
    return buffer_slice(&values);
}

static struct fill *find_fill(const struct store_shard *shard, const struct store_key *key,
                              struct slice guess)
{
    LIST_EACH(link, &shard->fills)
    {
        struct fill *fill = LIST_ENTRY(link, struct fill, link);
        if (fill->is_joinable && fill->hash == key->hash && slice_equal(fill->key, key->text) &&
            slice_equal(fill->guess, guess))
            return fill;
    }
    return NULL;
}

void store_find(struct store *store, const struct store_key *key, const struct fields *request,
                struct arena *arena, int64_t now, struct store_found *found)
{
    struct store_shard *shard = store_shard_of(store, key->hash);
    *found = (struct store_found){.object = NULL};
    pthread_mutex_lock(&shard->mutex);
    struct store_entry *entry = store_entry_find(shard, key);
    if (entry == NULL && shard->settings.min_uses > 1)
        entry = add_entry(store, shard, key);
    if (entry != NULL) {
        found->is_hit_for_miss = entry->hit_for_miss > now;
        found->has_others = entry->objects != NULL;
        struct object *object = entry->objects;
        while (object != NULL && !is_match(object, request, arena))
            object = object->next;
        if (object != NULL)
            found->object = object_hold(object);
        entry->used = now;
        if (entry->uses < UINT16_MAX)
            entry->uses++;
        evict_touch(&entry->evict);
    }
    if (!list_is_empty(&shard->fills)) {
        struct fill *fill = find_fill(shard, key, guess_of(entry, request, arena));
        found->fill = fill == NULL ? NULL : fill_hold(fill);
    }
    pthread_mutex_unlock(&shard->mutex);
}

static struct fill *begin_fill(struct store *store, struct store_shard *shard,
                               const struct store_key *key, struct slice guess, bool is_joinable)
{
    if (__atomic_add_fetch(&store->fills, 1, __ATOMIC_RELAXED) > FILLS_MAX) {
        __atomic_sub_fetch(&store->fills, 1, __ATOMIC_RELAXED);
        return NULL;
    }
    struct fill *fill = fill_new(key->text, key->hash, guess);
    fill->generation = __atomic_load_n(&store->generation, __ATOMIC_ACQUIRE);
    fill->is_joinable = is_joinable;
    list_append(&shard->fills, &fill_hold(fill)->link);
    return fill;
}

struct fill *store_fill(struct store *store, const struct store_key *key,
                        const struct fields *request, struct arena *arena, bool *is_first)
{
    struct store_shard *shard = store_shard_of(store, key->hash);
    pthread_mutex_lock(&shard->mutex);
    struct slice guess = guess_of(store_entry_find(shard, key), request, arena);
    struct fill *fill = find_fill(shard, key, guess);
    *is_first = fill == NULL;
    if (fill != NULL)
        fill_hold(fill);
    else
        fill = begin_fill(store, shard, key, guess, true);
    pthread_mutex_unlock(&shard->mutex);
    return fill;
}

struct fill *store_fill_alone(struct store *store, const struct store_key *key,
                              const struct fields *request, struct arena *arena)
{
    struct store_shard *shard = store_shard_of(store, key->hash);
    pthread_mutex_lock(&shard->mutex);
    struct slice guess = guess_of(store_entry_find(shard, key), request, arena);
    struct fill *fill = begin_fill(store, shard, key, guess, false);
    pthread_mutex_unlock(&shard->mutex);
    return fill;
}

void store_fill_close(struct store *store, struct fill *fill)
{
    struct store_shard *shard = store_shard_of(store, fill->hash);
    pthread_mutex_lock(&shard->mutex);
    fill->is_joinable = false;
    pthread_mutex_unlock(&shard->mutex);
}

void store_fill_end(struct store *store, struct fill *fill)
{
    struct store_shard *shard = store_shard_of(store, fill->hash);
    pthread_mutex_lock(&shard->mutex);
    bool was_there = !list_is_empty(&fill->link);
    list_remove(&fill->link);
    fill->is_joinable = false;
    pthread_mutex_unlock(&shard->mutex);
    if (!was_there)
        return;
    __atomic_sub_fetch(&store->fills, 1, __ATOMIC_RELAXED);
    fill_release(fill);
}

static bool is_same_variant(const struct object *a, const struct object *b)
{
    return slice_equal(a->vary_names, b->vary_names) && slice_equal(a->vary_values, b->vary_values);
}

/* Of two that were fetched at the same time the one that came first may be whole last. */
static bool is_outdated(const struct store_entry *entry, const struct object *object)
{
    const struct object *other = entry->objects;
    while (other != NULL && !is_same_variant(other, object))
        other = other->next;
    return other != NULL && other->terms.received > object->terms.received;
}

/* In the place of the one for the same requests, before all others. */
static void insert(struct store_shard *shard, struct store_entry *entry, struct object *object,
                   struct object **released)
{
    size_t kept = 0;
    for (struct object **at = &entry->objects; *at != NULL;) {
        struct object *other = *at;
        if (!is_same_variant(other, object) && ++kept < STORE_VARIANTS_MAX) {
            at = &other->next;
            continue;
        }
        *at = other->next;
        other->next = *released;
        *released = other;
        entry->count--;
        shard->objects--;
    }
    object->next = entry->objects;
    entry->objects = object_hold(object);
    entry->count++;
    entry->hit_for_miss = 0;
    shard->objects++;
    shard->stored++;
}

static bool put(struct store *store, const struct store_key *key, struct fill *fill,
                struct object *object, int64_t now)
{
    struct store_shard *shard = store_shard_of(store, key->hash);
    struct object *released = NULL;
    pthread_mutex_lock(&shard->mutex);
    int64_t min_uses = shard->settings.min_uses;
    if (object_bytes(object) > (uint64_t)shard->settings.memory / 2)
        min_uses = INT64_MAX;
    bool is_purged =
        fill != NULL && (fill->is_purged ||
                         fill->generation != __atomic_load_n(&store->generation, __ATOMIC_ACQUIRE));
    struct store_entry *entry = is_purged ? NULL : store_entry_find(shard, key);
    if (entry == NULL && !is_purged && min_uses <= 1)
        entry = add_entry(store, shard, key);
    bool is_stored =
        entry != NULL && (min_uses <= 1 || entry->uses >= min_uses) && !is_outdated(entry, object);
    if (is_stored) {
        insert(shard, entry, object, &released);
        entry->used = now;
        weigh(store, entry);
    }
    pthread_mutex_unlock(&shard->mutex);
    store_release_list(released);
    if (is_stored)
        store_make_room(store);
    return is_stored;
}

static bool is_purged(const struct store *store, const struct fill *fill)
{
    return fill->is_purged ||
           fill->generation != __atomic_load_n(&store->generation, __ATOMIC_ACQUIRE);
}

bool store_is_wanted(struct store *store, const struct fill *fill)
{
    struct store_shard *shard = store_shard_of(store, fill->hash);
    const struct store_key key = {fill->key, fill->hash};
    pthread_mutex_lock(&shard->mutex);
    int64_t min_uses = shard->settings.min_uses;
    const struct store_entry *entry = store_entry_find(shard, &key);
    bool is_wanted =
        !is_purged(store, fill) && (min_uses <= 1 || (entry != NULL && entry->uses >= min_uses));
    pthread_mutex_unlock(&shard->mutex);
    return is_wanted;
}

bool store_charge(struct store *store, int64_t bytes)
{
    uint64_t filling = __atomic_add_fetch(&store->filling, (uint64_t)bytes, __ATOMIC_RELAXED);
    if (bytes > 0)
        store_make_room(store);
    return filling <= store->evict.bytes_max / 2;
}

bool store_may_take(const struct store *store, uint64_t bytes)
{
    return bytes <= store->evict.bytes_max / PART_MAX;
}

bool store_put(struct store *store, struct fill *fill, struct object *object, int64_t now)
{
    const struct store_key key = {fill->key, fill->hash};
    return put(store, &key, fill, object, now);
}

void store_keep(struct store *store, const struct store_key *key, struct object *object,
                int64_t now)
{
    (void)put(store, key, NULL, object, now);
}

void store_hit_for_miss(struct store *store, const struct store_key *key, int64_t until)
{
    struct store_shard *shard = store_shard_of(store, key->hash);
    pthread_mutex_lock(&shard->mutex);
    struct store_entry *entry = store_entry_find(shard, key);
    if (entry == NULL)
        entry = add_entry(store, shard, key);
    entry->hit_for_miss = until;
    pthread_mutex_unlock(&shard->mutex);
    store_make_room(store);
}
