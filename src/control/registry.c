/* SPDX-License-Identifier: Apache-2.0 */
#include "control/registry.h"

#include "base/check.h"
#include "base/log.h"
#include "fiber/loop.h"
#include "fiber/thread.h"
#include "upstream/call.h"
#include "upstream/upstream.h"

#include <stdlib.h>

enum {
    LOOK_MS = 500,
    ROUNDS = 2, /* what a worker posted to another in the first is done in the second */
};

struct entry {
    struct entry *next;
    struct upstream *upstream;
    size_t names;    /* snapshots that name it; 0: it is to go */
    bool is_asking;  /* a round of the workers is under way */
    uint32_t busy;   /* workers that still had something of it in that round; atomic */
    unsigned rounds; /* without any, in a row */
};

static struct {
    struct workers *workers;
    struct entry *first;
    struct timer look;
} registry;

static struct entry *find(const struct upstream *upstream)
{
    struct entry *entry = registry.first;
    while (entry != NULL && entry->upstream != upstream)
        entry = entry->next;
    return entry;
}

static void free_entry(struct entry *entry)
{
    struct entry **at = &registry.first;
    while (*at != entry)
        at = &(*at)->next;
    *at = entry->next;
    upstream_free(entry->upstream);
    free(entry);
}

static void stop_on_worker(struct serve_worker *serve, void *argument)
{
    struct entry *entry = argument;
    (void)serve;
    upstream_worker_stop(entry->upstream);
    if (!upstream_worker_is_done(entry->upstream))
        __atomic_add_fetch(&entry->busy, 1, __ATOMIC_RELAXED);
}

static void on_asked(void *argument)
{
    struct entry *entry = argument;
    entry->is_asking = false;
    bool is_busy =
        __atomic_load_n(&entry->busy, __ATOMIC_RELAXED) > 0 || !upstream_is_quiet(entry->upstream);
    entry->rounds = is_busy ? 0 : entry->rounds + 1;
    if (entry->rounds < ROUNDS || registry.workers->is_draining) /* workers that end look here */
        return;
    log_write(LOG_DEBUG, "upstream_gone", "upstream %.*s is gone",
              SLICE_ARG(upstream_name(entry->upstream)));
    free_entry(entry);
}

static void on_look(struct timer *timer)
{
    for (struct entry *entry = registry.first, *next; entry != NULL; entry = next) {
        next = entry->next;
        upstream_reap(entry->upstream);
        if (entry->names > 0 || entry->is_asking)
            continue;
        __atomic_store_n(&entry->busy, 0, __ATOMIC_RELAXED);
        entry->is_asking = workers_each(registry.workers, stop_on_worker, entry, on_asked);
    }
    timer_set(&thread_self()->timers, timer, loop_now() + MILLISECONDS(LOOK_MS));
}

void registry_start(struct workers *workers)
{
    registry.workers = workers;
    registry.look.on_fire = on_look;
    timer_set(&thread_self()->timers, &registry.look, loop_now() + MILLISECONDS(LOOK_MS));
}

void registry_stop(void)
{
    if (registry.workers != NULL)
        timer_clear(&thread_self()->timers, &registry.look);
    registry.workers = NULL;
    while (registry.first != NULL)
        free_entry(registry.first);
}

void registry_stop_worker(void)
{
    for (struct entry *entry = registry.first; entry != NULL; entry = entry->next)
        upstream_worker_stop(entry->upstream);
}

void registry_take(struct upstream *upstream)
{
    struct entry *entry = find(upstream);
    if (entry == NULL) {
        entry = memory_zero(sizeof *entry);
        entry->upstream = upstream;
        entry->next = registry.first;
        registry.first = entry;
    }
    entry->names++;
}

void registry_release(struct upstream *upstream)
{
    struct entry *entry = find(upstream);
    check(entry != NULL && entry->names > 0);
    entry->names--;
}

void registry_forget_old(int64_t until)
{
    for (struct entry *entry = registry.first; entry != NULL; entry = entry->next)
        upstream_forget_old(entry->upstream, until);
}
