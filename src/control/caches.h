/* SPDX-License-Identifier: Apache-2.0 */
/* The caches that are there: each lives as long as a snapshot names it, with its name and
 * directory.
 */
#pragma once

#include "cache/cache.h"

struct kept;

/* The one of that name and directory with one more reference, made when there is none. */
struct kept *caches_take(const struct cache_settings *settings);
/* As its block says. */
struct config_cache;
struct cache_settings caches_settings(const struct config_cache *from);
void caches_leave(void *kept);
struct cache *caches_object(const struct kept *kept);

/* A cache as a snapshot names it. */
struct snapshot_cache {
    struct cache_settings settings;
    struct slice key; /* of its block */
    struct kept *kept;
    struct cache *cache;
};

/* Sweeps, and has disks do what is to be done in the background; on control. */
MUST_CHECK enum status caches_start(void);
/* Lets go of the directories, within a second: the process that takes over may then use them. */
void caches_drain(void);
void caches_stop(void);
