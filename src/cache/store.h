/* SPDX-License-Identifier: Apache-2.0 */
/* The answers that one cache has in memory, shared by all workers: found by key in one short lock,
 * let go by bytes. Who fetches what is not there is known here too, so that one does it for many.
 */
#pragma once

#include "cache/fill.h"
#include "cache/object.h"

struct store;

enum {
    STORE_VARIANTS_MAX = 32,
    STORE_KEY_MAX = 64 * 1024,
};

struct store_settings {
    int64_t memory;     /* bytes */
    int64_t max_object; /* bytes of one body */
    int64_t min_uses;   /* requests before an answer is stored */
    int64_t inactive;   /* ns; what was not used for so long goes */
};

/* A key and its hash by this store. */
struct store_key {
    struct slice text;
    uint64_t hash;
};

struct store *store_new(const struct store_settings *settings);
void store_free(struct store *store);
void store_set(struct store *store, const struct store_settings *settings);
/* Bytes of one body. */
int64_t store_max_object(const struct store *store);
struct store_key store_key_of(const struct store *store, struct slice text);

/* What is there for a request. */
struct store_found {
    struct object *object; /* held; NULL: none that matches */
    bool has_others;       /* under that key, which do not match */
    struct fill *fill;     /* held; somebody fetches it; NULL */
    bool is_hit_for_miss;  /* what came last could not be stored */
};
/* Of variants that match, the one received last. The arena is for what Vary compares. */
void store_find(struct store *store, const struct store_key *key, const struct fields *request,
                struct arena *arena, int64_t now, struct store_found *found);

/* Begins to fetch, or joins who does already. Held once. *is_first: it is to be fetched. NULL: too
 * much is being fetched. */
struct fill *store_fill(struct store *store, const struct store_key *key,
                        const struct fields *request, struct arena *arena, bool *is_first);
/* The same, whoever else does: what they fetch is not for this request. */
struct fill *store_fill_alone(struct store *store, const struct store_key *key,
                              const struct fields *request, struct arena *arena);
/* Nobody joins it any more, and the next one who wants it fetches anew; it goes on and may be
 * stored.
 */
void store_fill_close(struct store *store, struct fill *fill);
/* Nobody joins it any more, and purges need not know of it. */
void store_fill_end(struct store *store, struct fill *fill);
/* Its object is whole: it takes the place of what matched before, unless it was purged meanwhile or
 * is not asked for often enough. Whether it is stored. */
bool store_put(struct store *store, struct fill *fill, struct object *object, int64_t now);
/* The same, of an object that no fill brought (from a disk). */
void store_keep(struct store *store, const struct store_key *key, struct object *object,
                int64_t now);
/* Whether what a fill brings would be stored now: it was not purged, and is asked for often enough.
 */
bool store_is_wanted(struct store *store, const struct fill *fill);
/* What is being fetched takes memory too: what is stored makes room for it. False: half of the
 * memory is taken by such. */
bool store_charge(struct store *store, int64_t bytes);
/* Whether an object of so many bytes is no more than a small part of what may be stored. */
bool store_may_take(const struct store *store, uint64_t bytes);
/* What all that is stored and fetched takes of memory. */
uint64_t store_bytes(struct store *store);
/* Until it is called again no more than so many are taken, though `memory` allows it: what was used
 * least goes. UINT64_MAX: no bound but that. */
void store_bound(struct store *store, uint64_t bytes);
/* The answer could not be stored: until then nobody waits for another's. */
void store_hit_for_miss(struct store *store, const struct store_key *key, int64_t until);

/* All variants; soft: they become stale. How many. */
struct store_purged {
    uint64_t objects, bytes;
};
struct store_purged store_purge_key(struct store *store, const struct store_key *key, bool is_soft);
struct tags_wanted;
struct store_purged store_purge(struct store *store, const struct tags_wanted *wanted,
                                bool is_soft);

/* What requests came to, counted where it is known. */
enum store_result {
    STORE_HIT,
    STORE_MISS,
    STORE_STALE,
    STORE_REVALIDATED,
    STORE_BYPASS,
    STORE_COLLAPSED,
    STORE_RESULTS,
};
const char *store_result_name(enum store_result result);
void store_count(struct store *store, enum store_result result);
void store_count_slice(struct store *store);

struct store_counters {
    uint64_t results[STORE_RESULTS];
    uint64_t objects, bytes, bytes_max;
    uint64_t evicted, stored;
    uint64_t fills;  /* under way */
    uint64_t slices; /* that were fetched */
};
void store_counters(struct store *store, struct store_counters *counters);
/* Lets go of what was not used for `inactive`; a bounded piece of it at a time. */
void store_sweep(struct store *store, int64_t now);
