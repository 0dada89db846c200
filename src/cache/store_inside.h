/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the store share. */
#pragma once

#include "base/hash.h"
#include "cache/store.h"

enum {
    STORE_SHARDS = 64,
    STORE_TALLIES = 64,
};

/* What is known of one key. */
struct store_entry {
    struct store_entry *next;
    struct evict_item evict;
    uint32_t references; /* of its shard, and of the queue or who took it out there; atomic */
    bool is_linked;      /* in its shard */
    uint16_t count;      /* of objects */
    uint16_t uses;
    uint64_t hash;
    struct slice key;
    struct object *objects; /* the one stored last first; each held */
    int64_t hit_for_miss;   /* until then */
    int64_t used;
    uint64_t bytes;
};

struct store_shard {
    pthread_mutex_t mutex;
    struct store_entry **buckets;
    size_t buckets_count, entries;
    struct list fills; /* held */
    struct store_settings settings;
    uint64_t objects, evicted, stored;
    char apart[64]; /* not in the line of the next */
};

/* Counted by each worker for itself. */
struct store_tally {
    uint64_t results[STORE_RESULTS];
    char apart[64]; /* not in the line of the next */
};

struct store {
    int64_t max_object; /* atomic */
    struct hash_key secret;
    uint64_t generation; /* how often it was purged by something else than a key; atomic */
    uint64_t fills;      /* atomic */
    uint64_t slices;     /* fetched; atomic */
    uint64_t filling;    /* bytes of what is being fetched; atomic */
    size_t swept;        /* shards, so far */
    uint64_t bound;      /* bytes beside the settings'; UINT64_MAX: none; atomic */
    pthread_mutex_t evict_mutex;
    struct evict evict;
    struct store_shard shards[STORE_SHARDS];
    struct store_tally tallies[STORE_TALLIES];
};

struct store_shard *store_shard_of(struct store *store, uint64_t hash);
/* Under the shard's lock, all but the last two. */
struct store_entry *store_entry_find(struct store_shard *shard, const struct store_key *key);
void store_entry_unlink(struct store_shard *shard, struct store_entry *entry,
                        struct object **released);
void store_entry_remove(struct store *store, struct store_shard *shard, struct store_entry *entry,
                        struct object **released);
void store_entry_leave(struct store_entry *entry);
void store_release_list(struct object *released);
void store_make_room(struct store *store);
