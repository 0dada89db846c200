/* SPDX-License-Identifier: Apache-2.0 */
#include "control/worker.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "control/access_log.h"
#include "control/listening.h"
#include "control/memory_source.h"
#include "control/registry.h"
#include "control/snapshot.h"
#include "exchange/apart.h"
#include "exchange/file_cache.h"
#include "fiber/fiber.h"
#include "fiber/file.h"
#include "fiber/native.h"
#include "fiber/offload.h"
#include "fiber/process.h"
#include "limit/tally.h"
#include "net/pipe.h"
#include "net/tunnel.h"
#include "serve/handshake.h"
#include "serve/listener.h"
#include "steps/compressors.h"
#include "upstream/upstream.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    WORKERS_MAX = 512,
    RESERVED_FDS = 64,
    CLIENT_BYTES = 4096, /* the least that one who does anything takes */
    CUT_GRACE_MS = 2000, /* what is cut may still clean up */
    SLOW_TURN_MS = 100,
    LOOK_MS = 5,
};

/* One thread's part, on the heap of control. */
struct worker {
    struct serve_worker serve;
    struct workers *all;
    struct native *native;
    struct thread *control;
    unsigned index;
    struct timer cut;
    struct timer look; /* whether others have connections still */
    bool is_stopped;
    bool is_leaving; /* control posts nothing to it any more; control's thread only */
    bool may_leave;
    enum status started; /* not OK: it ends by itself, without a word to its mailbox */
    char name[24];
};

static struct gate *all_started;
static struct gate *all_stopped; /* passed twice: until the second time each may post to each */

/* "QUOTA PERIOD" in microseconds, or "max PERIOD". */
static unsigned quota_of(const char *path)
{
    struct arena arena;
    arena_init(&arena, NULL, 0);
    struct slice text;
    const char *why;
    uint64_t quota = 0;
    uint64_t period = 0;
    if (file_read(path, 4096, &arena, &text, &why) == OK) {
        text = slice_first(text, slice_find(text, '\n'));
        size_t blank = slice_find(text, ' ');
        if (!slice_to_u64(slice_first(text, blank), UINT32_MAX, &quota) ||
            !slice_to_u64(slice_from(text, blank + 1), UINT32_MAX, &period))
            quota = 0;
    }
    arena_done(&arena);
    return period > 0 ? (unsigned)((quota + period - 1) / period) : 0;
}

unsigned workers_default(void)
{
    cpu_set_t cores;
    unsigned count = 1;
    if (sched_getaffinity(0, sizeof cores, &cores) == 0)
        count = (unsigned)CPU_COUNT(&cores);
    unsigned quota = quota_of("/sys/fs/cgroup/cpu.max");
    if (quota > 0 && quota < count)
        count = quota;
    return count < 1 ? 1 : count > WORKERS_MAX ? WORKERS_MAX : count;
}

void workers_init(struct workers *workers, unsigned count)
{
    *workers = (struct workers){.count = count};
    workers->descriptors = process_raise_open_files();
    workers->control = thread_self();
    workers->shared.clients = tally_new();
    workers->control->committed = &workers->shared.pressure.committed;
    memory_source_find();
}

void workers_set_limits(struct workers *workers, const struct snapshot *snapshot)
{
    int64_t for_clients = workers->descriptors * 2 / 3 - RESERVED_FDS;
    if (for_clients <
        workers->descriptors / 3) /* where there are few, the reserve has to be small */
        for_clients = workers->descriptors / 3;
    int64_t wanted = snapshot->limits.connections;
    int64_t budget = memory_source_budget(snapshot->limits.memory);
    if (budget > 0 && for_clients > budget / CLIENT_BYTES)
        for_clients = budget / CLIENT_BYTES;
    workers->memory = snapshot->limits.memory;
    __atomic_store_n(&workers->shared.connections_max,
                     wanted > 0 && wanted < for_clients ? wanted : for_clients, __ATOMIC_RELAXED);
}

static void stop(struct worker *worker)
{
    if (worker->is_stopped)
        return;
    worker->is_stopped = true;
    loop_stop();
}

/* Another worker may be about to hand a connection over: who has none left waits until none has. */
static void on_all_gone(struct serve_worker *serve)
{
    struct worker *worker = LIST_ENTRY(serve, struct worker, serve);
    if (__atomic_load_n(&serve->shared->connections, __ATOMIC_ACQUIRE) > 0)
        timer_set(&serve->thread.timers, &worker->look, loop_now() + MILLISECONDS(LOOK_MS));
    else
        stop(worker);
}

static void on_look(struct timer *timer)
{
    serve_look_if_empty(&LIST_ENTRY(timer, struct worker, look)->serve);
}

/* A turn that took long kept all others of this thread waiting. */
static void watch_turn(void *argument)
{
    struct worker *worker = argument;
    int64_t took = clock_monotonic() - worker->serve.thread.now;
    histogram_add(&worker->serve.turns, took);
    if (took > MILLISECONDS(SLOW_TURN_MS))
        log_write(LOG_WARN, "slow_turn", "worker %u: one turn of the loop took %lld ms",
                  worker->index, (long long)(took / MILLISECONDS(1)));
}

size_t workers_sockets(const struct workers *workers, const struct listening *listening,
                       unsigned index, int *fds)
{
    size_t count = 0;
    for (unsigned i = index; i < listening->count; i += workers->count)
        fds[count++] = listening->fds[i];
    if (count == 0) /* fewer than workers: it shares one */
        fds[count++] = listening->fds[index % listening->count];
    return count;
}

void workers_start_listener(struct serve_worker *serve, const struct workers *workers, size_t slot,
                            const struct listener_config *config)
{
    const struct listening *listening = workers->slots[slot]->listening;
    int *fds = memory_alloc(listening->count * sizeof *fds);
    size_t count = workers_sockets(workers, listening, (unsigned)serve->thread.index, fds);
    listener_start(serve, slot, config, fds, count);
    free(fds);
}

static void start_serving(struct worker *worker)
{
    struct serve_worker *serve = &worker->serve;
    struct workers *all = worker->all;
    struct snapshot *snapshot = all->snapshot;
    serve->thread.worker = serve;
    if (all->snapshot->fibers_max < serve->thread.fibers_max)
        serve->thread.fibers_max = all->snapshot->fibers_max;
    list_init(&serve->connections);
    list_init(&serve->h2_connections);
    handshake_prepare(serve);
    for (size_t i = 0; i < snapshot->upstreams_count; i++)
        upstream_worker_start(snapshot->upstreams[i]);
    serve->log = access_log_worker_new(snapshot->access_log);
    serve_view_set(serve, &snapshot->views[worker->index]);
    for (size_t i = 0; i < snapshot->slots_count; i++)
        if (snapshot->by_slot[i] != NULL)
            workers_start_listener(serve, all, i, snapshot->by_slot[i]);
    loop_at_turn_end(watch_turn, worker);
}

static void on_thread_ended(void *argument)
{
    struct worker *worker = argument;
    struct workers *all = worker->all;
    native_join(worker->native);
    if (--all->running == 0)
        all->on_ended();
}

static void free_listeners(struct serve_worker *serve)
{
    for (size_t i = 0; i < serve->listeners_count; i++)
        if (serve->listeners[i] != NULL)
            listener_free(serve->listeners[i]);
    free(serve->listeners);
    serve->listeners = NULL;
    serve->listeners_count = 0;
}

static void on_may_leave(void *argument)
{
    struct worker *worker = argument;
    worker->may_leave = true;
}

/* On control's thread: nothing is posted behind this. */
static void on_leaving(void *argument)
{
    struct worker *worker = argument;
    worker->is_leaving = true;
    check(thread_post(&worker->serve.thread, on_may_leave, worker));
}

/* Control may have a word for each worker at any moment, such as a second signal. */
static void take_leave(struct worker *worker)
{
    check(thread_post(worker->control, on_leaving, worker));
    while (!worker->may_leave)
        loop_turn(loop_now() + MILLISECONDS(10));
}

static void serve_until_stopped(struct worker *worker)
{
    struct serve_worker *serve = &worker->serve;
    start_serving(worker);
    gate_pass(all_started);
    loop_run();
    serve_close_all(serve);
    exchange_apart_stop();
    registry_stop_worker();
    for (int64_t until = clock_monotonic() + MILLISECONDS(CUT_GRACE_MS);
         serve->thread.fibers_count > 0 && clock_monotonic() < until;)
        loop_turn(loop_now() + MILLISECONDS(10));
    exchange_apart_done();
    take_leave(worker);
    gate_pass(all_stopped); /* what others had to say to this one has been posted */
    free_listeners(serve);
    file_cache_release(); /* before: what a disk still reads is left to the last who has it */
    offload_leave();
    thread_take_posts(); /* the last: some own what they carry, and a turn may see none */
    access_log_worker_free(serve->log);
    timer_clear(&serve->thread.timers, &worker->cut);
    timer_clear(&serve->thread.timers, &worker->look);
    gate_pass(all_stopped);
    tunnel_release();
    compressors_release();
    pipe_release_all();
    thread_done(&serve->thread);
}

static void work(void *argument)
{
    struct worker *worker = argument;
    worker->started = thread_init(&worker->serve.thread, worker->name, (int)worker->index);
    worker->serve.thread.committed = &worker->all->shared.pressure.committed;
    if (worker->started == OK) {
        serve_until_stopped(worker);
    } else {
        gate_pass(all_started);
        gate_pass(all_stopped);
        gate_pass(all_stopped);
    }
    check(thread_post(worker->control, on_thread_ended, worker));
}

enum status workers_start(struct workers *workers, struct snapshot *snapshot)
{
    struct worker *worker_array = memory_zero(workers->count * sizeof *worker_array);
    workers->first = worker_array;
    workers->snapshot = snapshot;
    for (size_t i = 0; i < workers->slots_count; i++)
        workers->slots[i]->is_fresh = false;
    workers->shared.workers = memory_zero(workers->count * sizeof *workers->shared.workers);
    all_started = gate_new(workers->count + 1);
    all_stopped = gate_new(workers->count);
    for (unsigned i = 0; i < workers->count; i++) {
        struct worker *worker = &worker_array[i];
        workers->shared.workers[i] = &worker->serve;
        worker->all = workers;
        worker->index = i;
        worker->control = thread_self();
        worker->serve.shared = &workers->shared;
        (void)snprintf(worker->name, sizeof worker->name, "worker %u", i);
    }
    workers->shared.workers_count = workers->count;
    for (unsigned i = 0; i < workers->count; i++) {
        worker_array[i].native = native_start(work, &worker_array[i]);
        check(worker_array[i].native != NULL);
        workers->running++;
    }
    gate_pass(all_started);
    for (unsigned i = 0; i < workers->count; i++)
        if (worker_array[i].started != OK)
            return worker_array[i].started;
    return OK;
}

static void on_cut(struct timer *timer)
{
    stop(LIST_ENTRY(timer, struct worker, cut));
}

/* New clients are refused by the kernel then, and may try elsewhere. A unix socket is everybody's
 * and stays until the end. */
static void close_sockets(struct worker *worker)
{
    const struct workers *all = worker->all;
    for (size_t i = 0; i < all->slots_count; i++) {
        struct listening *listening = all->slots[i]->listening;
        if (listening == NULL || listening->is_one || listening->count < all->count)
            continue;
        for (unsigned fd = worker->index; fd < listening->count; fd += all->count) {
            socket_close(listening->fds[fd], false);
            listening->fds[fd] = -1;
        }
    }
}

static void drain(void *argument)
{
    struct worker *worker = argument;
    worker->cut.on_fire = on_cut;
    worker->look.on_fire = on_look;
    timer_set(&worker->serve.thread.timers, &worker->cut,
              clock_after(loop_now(), worker->serve.view->snapshot->timeouts.drain));
    serve_drain(&worker->serve, on_all_gone);
    close_sockets(worker);
}

static void cut(void *argument)
{
    struct worker *worker = argument;
    for (size_t i = 0; i < worker->serve.listeners_count; i++)
        if (worker->serve.listeners[i] != NULL)
            listener_stop(worker->serve.listeners[i]);
    stop(worker);
}

static void tell_all(struct workers *workers, void (*what)(void *argument))
{
    for (unsigned i = 0; i < workers->count; i++)
        if (workers->first[i].started == OK && !workers->first[i].is_leaving)
            check(thread_post(&workers->first[i].serve.thread, what, &workers->first[i]));
}

/* One question to all. */
struct round {
    struct worker *worker;
    struct round *all; /* the first one counts the answers */
    unsigned pending;
    void (*what)(struct serve_worker *serve, void *argument);
    void (*on_done)(void *argument);
    void *argument;
};

static void on_answered(void *argument)
{
    struct round *rounds = argument;
    if (--rounds->pending > 0)
        return;
    void (*on_done)(void *done) = rounds->on_done;
    void *done = rounds->argument;
    free(rounds);
    on_done(done);
}

static void on_asked(void *argument)
{
    struct round *round = argument;
    struct worker *worker = round->worker;
    round->what(&worker->serve, round->argument);
    check(thread_post(worker->control, on_answered, round->all));
}

/* Letters are read in the order in which they were sent: a worker that is told to end later answers
 * before. */
bool workers_each(struct workers *workers, void (*what)(struct serve_worker *serve, void *argument),
                  void *argument, void (*on_done)(void *argument))
{
    if (workers->is_draining || workers->running < workers->count)
        return false;
    struct round *rounds = memory_zero(workers->count * sizeof *rounds);
    rounds->pending = workers->count;
    for (unsigned i = 0; i < workers->count; i++) {
        rounds[i].worker = &workers->first[i];
        rounds[i].all = rounds;
        rounds[i].what = what;
        rounds[i].on_done = on_done;
        rounds[i].argument = argument;
    }
    for (unsigned i = 0; i < workers->count; i++)
        check(thread_post(&workers->first[i].serve.thread, on_asked, &rounds[i]));
    return true;
}

void workers_drain(struct workers *workers)
{
    __atomic_store_n(&workers->shared.is_draining, true, __ATOMIC_RELEASE);
    if (!workers->is_draining)
        tell_all(workers, drain);
    workers->is_draining = true;
}

void workers_cut(struct workers *workers)
{
    workers->is_draining = true;
    tell_all(workers, cut);
}

void workers_done(struct workers *workers)
{
    for (size_t i = 0; i < workers->slots_count; i++) {
        if (workers->slots[i]->listening != NULL)
            listening_close(workers->slots[i]->listening);
        free(workers->slots[i]);
    }
    free(workers->slots);
    if (workers->shared.clients != NULL)
        tally_free(workers->shared.clients);
    if (workers->first != NULL) { /* joined: nobody is still on the way out of one */
        gate_free(all_started);
        gate_free(all_stopped);
    }
    free(workers->shared.workers);
    for (unsigned i = 0; workers->first != NULL && i < workers->count; i++)
        listener_counts_free(&workers->first[i].serve);
    free(workers->first);
    if (workers->control != NULL)
        workers->control->committed = NULL;
    *workers = (struct workers){0};
}
