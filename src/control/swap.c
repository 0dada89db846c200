/* SPDX-License-Identifier: Apache-2.0 */
/* From one snapshot to the next while everybody goes on. */
#include "base/arena.h"
#include "base/check.h"
#include "base/clock.h"
#include "control/access_log.h"
#include "control/listening.h"
#include "control/snapshot.h"
#include "control/worker.h"
#include "fiber/fiber.h"
#include "fiber/thread.h"
#include "serve/listener.h"
#include "upstream/upstream.h"

#include <stdlib.h>

static struct slot *find_slot(const struct workers *workers, const struct address *address,
                              size_t *index)
{
    for (*index = 0; *index < workers->slots_count; ++*index) {
        struct slot *slot = workers->slots[*index];
        if (slot->listening != NULL && !slot->is_leaving &&
            address_equal(&slot->listening->address, address))
            return slot;
    }
    return NULL;
}

static struct slot *free_slot(struct workers *workers, size_t *index)
{
    for (*index = 0; *index < workers->slots_count; ++*index)
        if (workers->slots[*index]->listening == NULL && !workers->slots[*index]->is_leaving)
            return workers->slots[*index];
    workers->slots =
        memory_resize(workers->slots, (workers->slots_count + 1) * sizeof(struct slot *));
    struct slot *slot = memory_zero(sizeof *slot);
    slot->workers = workers;
    return workers->slots[workers->slots_count++] = slot;
}

static void make_views(const struct workers *workers, struct snapshot *snapshot,
                       const size_t *indices, void (*on_unused)(struct serve_view *view))
{
    snapshot->slots_count = workers->slots_count;
    snapshot->by_slot = memory_zero((workers->slots_count + 1) * sizeof *snapshot->by_slot);
    for (size_t i = 0; i < snapshot->listeners_count; i++)
        snapshot->by_slot[indices[i]] = &snapshot->listeners[i];
    snapshot->views = memory_zero(workers->count * sizeof *snapshot->views);
    for (unsigned i = 0; i < workers->count; i++)
        snapshot->views[i] = (struct serve_view){
            .snapshot = snapshot,
            .version = snapshot->version,
            .listeners = snapshot->by_slot,
            .listeners_count = snapshot->slots_count,
            .trust = snapshot->trust,
            .id_name = snapshot->config->id_name,
            .on_unused = on_unused,
        };
}

enum status workers_listen(struct workers *workers, struct snapshot *snapshot,
                           void (*on_unused)(struct serve_view *view),
                           void (*report)(void *argument, size_t listener, const char *why),
                           void *argument)
{
    enum status first = OK;
    size_t *indices = memory_alloc((snapshot->listeners_count + 1) * sizeof *indices);
    for (size_t i = 0; i < snapshot->listeners_count; i++) {
        const struct listener_config *config = &snapshot->listeners[i];
        char why[LISTENING_WHY_MAX];
        if (find_slot(workers, &config->address, &indices[i]) != NULL)
            continue;
        struct listening *listening = NULL;
        enum status status =
            listening_open(&config->address, config->name, workers->count, &listening, why);
        if (status != OK) {
            report(argument, i, why);
            first = first == OK ? status : first;
            continue;
        }
        struct slot *slot = free_slot(workers, &indices[i]);
        slot->listening = listening;
        slot->is_fresh = true;
    }
    if (first == OK)
        make_views(workers, snapshot, indices, on_unused);
    else
        workers_unlisten(workers);
    free(indices);
    return first;
}

void workers_unlisten(struct workers *workers)
{
    for (size_t i = 0; i < workers->slots_count; i++) {
        struct slot *slot = workers->slots[i];
        if (!slot->is_fresh)
            continue;
        listening_close(slot->listening);
        slot->listening = NULL;
        slot->is_fresh = false;
    }
}

struct waiting {
    struct fiber *fiber;
    bool is_done;
    void (*what)(struct serve_worker *serve, void *argument);
    void *argument;
};

static void run_what(struct serve_worker *serve, void *argument)
{
    const struct waiting *waiting = argument;
    waiting->what(serve, waiting->argument);
}

static void on_all_done(void *argument)
{
    struct waiting *waiting = argument;
    waiting->is_done = true;
    fiber_wake(waiting->fiber);
}

enum status workers_all(struct workers *workers,
                        void (*what)(struct serve_worker *serve, void *argument), void *argument)
{
    struct waiting waiting = {fiber_self(), false, what, argument};
    if (!workers_each(workers, run_what, &waiting, on_all_done))
        return ERR_CLOSED;
    bool was_cancelled = false;
    while (!waiting.is_done)
        if (fiber_wait(CLOCK_NEVER) == ERR_CANCELLED) /* the workers hold what stands here */
            was_cancelled = fiber_shield() || was_cancelled;
    fiber_unshield(was_cancelled);
    return OK;
}

struct swap {
    struct workers *workers;
    struct snapshot *from, *to;
};

static void swap_log(struct serve_worker *serve, const struct swap *swap)
{
    if (swap->from->access_log == swap->to->access_log)
        return;
    access_log_worker_free(serve->log);
    serve->log = access_log_worker_new(swap->to->access_log);
}

/* On a worker. */
static void swap_snapshot(struct serve_worker *serve, void *argument)
{
    const struct swap *swap = argument;
    struct snapshot *to = swap->to;
    for (size_t i = 0; i < to->upstreams_count; i++)
        if (to->upstreams_from[i].is_fresh)
            upstream_worker_start(to->upstreams[i]);
    swap_log(serve, swap); /* before the old one may go */
    int64_t grace = swap->from->timeouts.drain;
    to->views[serve->thread.index].version = to->version;
    serve_view_set(serve, &to->views[serve->thread.index]);
    for (size_t i = 0; i < to->slots_count; i++) {
        struct listener *listener = i < serve->listeners_count ? serve->listeners[i] : NULL;
        if (to->by_slot[i] != NULL && listener == NULL)
            workers_start_listener(serve, swap->workers, i, to->by_slot[i]);
        else if (to->by_slot[i] == NULL && listener != NULL && !listener->has_left)
            listener_leave(listener, grace);
    }
}

static void on_slot_gone(void *argument)
{
    struct slot *slot = argument;
    if (--slot->remaining == 0)
        slot->is_leaving = false; /* free for another */
}

/* On a worker: its listener of a slot has been freed. */
static void on_listener_gone(void *argument)
{
    struct slot *slot = argument;
    check(thread_post(slot->workers->control, on_slot_gone, slot));
}

static void forget_slots(struct serve_worker *serve, void *argument)
{
    const struct workers *workers = argument;
    for (size_t i = 0; i < workers->slots_count; i++) {
        struct slot *slot = workers->slots[i];
        struct listener *listener = i < serve->listeners_count ? serve->listeners[i] : NULL;
        if (!slot->is_forgetting)
            continue;
        if (listener == NULL)
            on_listener_gone(slot);
        else
            listener_forget(listener, on_listener_gone, slot);
    }
}

/* Every worker has stopped to accept at addresses that are gone: their sockets are closed, and what
 * the workers have of them goes with the last connection. */
static void close_slots(struct workers *workers, const struct snapshot *snapshot)
{
    bool has_leaving = false;
    for (size_t i = 0; i < workers->slots_count; i++) {
        struct slot *slot = workers->slots[i];
        slot->is_fresh = false;
        slot->is_forgetting = slot->listening != NULL && !slot->is_leaving &&
                              (i >= snapshot->slots_count || snapshot->by_slot[i] == NULL);
        if (!slot->is_forgetting)
            continue;
        listening_close(slot->listening);
        slot->listening = NULL;
        slot->is_leaving = true;
        slot->remaining = workers->count;
        has_leaving = true;
    }
    if (has_leaving && workers_all(workers, forget_slots, workers) != OK) {
        /* They are ending, and free everything. */
    }
}

enum status workers_swap(struct workers *workers, struct snapshot *snapshot)
{
    struct swap swap = {workers, workers->snapshot, snapshot};
    TRY(workers_all(workers, swap_snapshot, &swap));
    workers->snapshot = snapshot;
    workers_set_limits(workers, snapshot);
    close_slots(workers, snapshot);
    return OK;
}
