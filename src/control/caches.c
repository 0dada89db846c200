/* SPDX-License-Identifier: Apache-2.0 */
#include "control/caches.h"

#include "base/clock.h"
#include "cache/disk.h"
#include "control/service_inside.h"
#include "control/snapshot.h"
#include "fiber/fiber.h"
#include "fiber/loop.h"
#include "fiber/offload.h"
#include "fiber/thread.h"
#include "limit/kept.h"

#include <stdlib.h>

enum {
    SWEEP_MS = 1000,
    ROUND_MAX = 200, /* pieces of work for one disk before the others have their turn */
};

static struct {
    struct fiber_scope scope; /* of the one that looks after them */
    bool is_stopped;
    bool is_leaving; /* the directories are somebody else's from now on */
} keeper = {.is_stopped = true};

static void *make(int64_t settings)
{
    return cache_new((const struct cache_settings *)(uintptr_t)settings);
}

static void release(void *cache)
{
    cache_release(cache);
}

struct cache_settings caches_settings(const struct config_cache *from)
{
    return (struct cache_settings){
        .name = from->name,
        .dir = from->dir,
        .max_size = from->max_size,
        .memory = from->memory,
        .max_object = from->max_object,
        .min_uses = from->min_uses,
        .inactive = from->inactive == CLOCK_NEVER ? 0 : from->inactive,
    };
}

struct kept *caches_take(const struct cache_settings *settings)
{
    struct arena arena;
    arena_init(&arena, NULL, 0);
    struct slice name =
        arena_format(&arena, "%.*s\n%.*s", SLICE_ARG(settings->name), SLICE_ARG(settings->dir));
    struct kept *kept = kept_find("cache", name, make, (int64_t)(uintptr_t)settings, release);
    arena_done(&arena);
    return kept;
}

void caches_leave(void *kept)
{
    kept_leave(kept);
}

struct cache *caches_object(const struct kept *kept)
{
    return kept_object(kept);
}

/* A job of offload: it holds its cache. */
struct work {
    struct kept *kept;
    bool leaves, has_more;
};

static void run_work(void *job)
{
    struct work *work = job;
    struct disk *disk = caches_object(work->kept)->disk;
    if (work->leaves)
        disk_leave(disk);
    else
        work->has_more = disk_work(disk);
}

static void free_work(void *job)
{
    struct work *work = job;
    kept_leave(work->kept);
    free(work);
}

static void work_on_disk(struct kept *kept)
{
    bool has_more = true;
    for (int i = 0; i < ROUND_MAX && has_more && !keeper.is_stopped; i++) {
        struct work *work = memory_zero(sizeof *work);
        kept_again(kept);
        work->kept = kept;
        work->leaves = keeper.is_leaving;
        enum status status = offload(run_work, work, free_work, CLOCK_NEVER);
        if (status != OK)
            return;
        has_more = work->has_more;
        free_work(work);
    }
}

/* Those of the snapshot that is served; it may be another one after each wait. */
static void look_after_all(void)
{
    for (size_t i = 0;
         !keeper.is_stopped && service.snapshot != NULL && i < service.snapshot->caches_count;
         i++) {
        struct kept *kept = service.snapshot->caches[i].kept;
        store_sweep(caches_object(kept)->store, loop_now());
        if (caches_object(kept)->disk == NULL)
            continue;
        kept_again(kept);
        work_on_disk(kept);
        kept_leave(kept);
    }
}

static void look_after(void *argument)
{
    (void)argument;
    while (!keeper.is_stopped) {
        look_after_all();
        if (fiber_sleep(loop_now() + MILLISECONDS(SWEEP_MS)) != OK)
            break;
    }
}

enum status caches_start(void)
{
    keeper.is_stopped = keeper.is_leaving = false;
    fiber_scope_init(&keeper.scope);
    return fiber_start(&keeper.scope, "caches", look_after, NULL, NULL);
}

void caches_drain(void)
{
    keeper.is_leaving = true;
}

void caches_stop(void)
{
    if (keeper.is_stopped)
        return;
    keeper.is_stopped = true;
    fiber_scope_cancel_soon(&keeper.scope);
    while (keeper.scope.count > 0)
        loop_turn(loop_now() + MILLISECONDS(10));
}
