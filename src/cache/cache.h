/* SPDX-License-Identifier: Apache-2.0 */
/* One cache of the configuration, by its name: it outlives snapshots. */
#pragma once

#include "cache/store.h"

struct disk;

struct cache_settings {
    struct slice name;
    struct slice dir;   /* empty: memory alone */
    int64_t max_size;   /* bytes on the disk */
    int64_t memory;     /* bytes */
    int64_t max_object; /* bytes of one body */
    int64_t min_uses;
    int64_t inactive; /* ns; 0: never */
};

struct cache {
    struct slice name;
    struct slice dir;
    struct store *store;
    int64_t max_object;  /* bytes of one body; atomic */
    struct disk *disk;   /* NULL: none */
    uint32_t references; /* atomic */
    uint32_t background; /* fetches that no client waits for; atomic */
};

enum {
    CACHE_BACKGROUND_MAX = 256,
};

/* Held once. */
struct cache *cache_new(const struct cache_settings *settings);
struct cache *cache_hold(struct cache *cache);
/* The last one lets go of its files, which may take a moment. */
void cache_release(struct cache *cache);
/* Bytes of one body that is stored, in memory or on the disk. */
int64_t cache_max_object(const struct cache *cache);
/* New settings of a reload; name and dir stay. */
void cache_set(struct cache *cache, const struct cache_settings *settings);

/* The key of what a request of a scheme, host and port asks for, as long as the configuration says
 * nothing else: each part behind its size, so that no two that differ are the same text. `port` 0
 * is the scheme's own; `body`: of a QUERY, with what describes it; empty. */
struct buffer;
void cache_write_key(struct buffer *out, struct slice scheme, struct slice host, unsigned port,
                     struct slice target, struct slice body);
unsigned cache_standard_port(struct slice scheme);
