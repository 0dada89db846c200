/* SPDX-License-Identifier: Apache-2.0 */
#include "control/worker.h"

#include "base/check.h"
#include "base/log.h"
#include "control/access_log.h"
#include "control/snapshot.h"
#include "fiber/fiber.h"
#include "fiber/file.h"
#include "fiber/native.h"
#include "fiber/process.h"
#include "limit/tally.h"
#include "net/pipe.h"
#include "net/tunnel.h"
#include "serve/handshake.h"
#include "serve/listener.h"
#include "upstream/upstream.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    WORKERS_MAX = 512,
    RESERVED_FDS = 64,
    CUT_GRACE_MS = 2000, /* what is cut may still clean up */
    SLOW_TURN_MS = 100,
    SOCKET_TABLE_MAX = 4 * 1024 * 1024,
    TCP_LISTENING = 0x0a, /* in /proc/net/tcp */
};

/* The sockets of one address, one per worker; made once and open as long as it is configured. */
struct listening {
    const struct listener_config *config;
    int *fds;
};

/* One thread's part, on the heap of control. */
struct worker {
    struct serve_worker serve;
    struct workers *all;
    struct native *native;
    struct thread *control;
    unsigned index;
    struct timer cut;
    bool is_stopped;
    bool is_leaving; /* control posts nothing to it any more; control's thread only */
    bool may_leave;
    enum status started; /* not OK: it ends by itself, without a word to its mailbox */
    char name[24];
};

static struct worker *worker_array;
static struct gate *all_started;
static struct gate *all_stopped; /* until then each may post to each */

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

/* A process that listens on the port already, as "name (pid N)"; empty when that cannot be told. */
static void find_holder(const struct address *address, char *text, size_t size)
{
    text[0] = '\0';
    uint16_t port = address_port(address);
    if (port == 0)
        return;
    struct arena arena;
    arena_init(&arena, NULL, 0);
    bool is_v6 = address->any.sa_family == AF_INET6;
    struct slice table;
    const char *why;
    if (file_read(is_v6 ? "/proc/net/tcp6" : "/proc/net/tcp", SOCKET_TABLE_MAX, &arena, &table,
                  &why) != OK)
        table = SLICE("");
    while (table.size > 0) {
        size_t end = slice_find(table, '\n');
        unsigned local_port = 0;
        unsigned state = 0;
        unsigned uid = 0;
        if (sscanf(arena_cstring(&arena, slice_first(table, end)),
                   " %*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*s %*s %*s %u", &local_port,
                   &state, &uid) == 3 &&
            local_port == port && state == TCP_LISTENING) {
            (void)snprintf(text, size, "; a process of user %u listens there", uid);
            break;
        }
        table = slice_from(table, end + 1);
    }
    arena_done(&arena);
}

static enum status open_address(struct listening *listening, unsigned count)
{
    struct address address = listening->config->address;
    bool is_unix = address.any.sa_family == AF_UNIX;
    listening->fds = memory_alloc(count * sizeof *listening->fds);
    for (unsigned i = 0; i < count; i++)
        listening->fds[i] = -1;
    /* A unix socket has no SO_REUSEPORT: all workers accept from the one. */
    for (unsigned i = 0; i < (is_unix ? 1 : count); i++) {
        const char *error = "";
        /* SO_REUSEPORT is for our own workers: no other process is to be shared with. */
        enum status status = i == 0 && !is_unix ? socket_probe(&address, &error) : OK;
        if (status == OK)
            status = socket_listen(&address, false, &listening->fds[i], &error);
        if (status == OK)
            continue;
        char holder[96];
        find_holder(&address, holder, sizeof holder);
        log_write(LOG_ERROR, "listen_failed", "cannot listen on %.*s: %s%s%s",
                  SLICE_ARG(listening->config->name), error, holder,
                  status == ERR_DENIED ? " (ports below 1024 need root or CAP_NET_BIND_SERVICE)"
                                       : "");
        return status;
    }
    for (unsigned i = 1; is_unix && i < count; i++)
        listening->fds[i] = listening->fds[0];
    return OK;
}

enum status workers_open(struct workers *workers, const struct snapshot *snapshot, unsigned count)
{
    *workers = (struct workers){.snapshot = snapshot, .count = count};
    int64_t descriptors = process_raise_open_files();
    int64_t for_clients = descriptors * 2 / 3 - RESERVED_FDS;
    int64_t wanted = snapshot->limits.connections;
    workers->shared.connections_max = wanted > 0 && wanted < for_clients ? wanted : for_clients;
    workers->shared.clients = tally_new();
    workers->shared.trust = snapshot->trust;
    workers->listening_count = snapshot->listeners_count;
    workers->listening = memory_zero(workers->listening_count * sizeof *workers->listening);
    enum status first = OK;
    for (size_t i = 0; i < snapshot->listeners_count; i++) {
        workers->listening[i].config = &snapshot->listeners[i];
        enum status status = open_address(&workers->listening[i], count);
        first = first == OK ? status : first;
    }
    return first;
}

static void on_all_gone(struct serve_worker *serve)
{
    struct worker *worker = LIST_ENTRY(serve, struct worker, serve);
    if (worker->is_stopped)
        return;
    worker->is_stopped = true;
    loop_stop();
}

/* A turn that took long kept all others of this thread waiting. */
static void watch_turn(void *argument)
{
    struct worker *worker = argument;
    int64_t took = clock_monotonic() - worker->serve.thread.now;
    if (took > MILLISECONDS(SLOW_TURN_MS))
        log_write(LOG_WARN, "slow_turn", "worker %u: one turn of the loop took %lld ms",
                  worker->index, (long long)(took / MILLISECONDS(1)));
}

static enum status start_serving(struct worker *worker)
{
    struct serve_worker *serve = &worker->serve;
    struct workers *all = worker->all;
    serve->snapshot = all->snapshot;
    serve->thread.worker = serve;
    if (all->snapshot->fibers_max < serve->thread.fibers_max)
        serve->thread.fibers_max = all->snapshot->fibers_max;
    list_init(&serve->connections);
    list_init(&serve->h2_connections);
    handshake_prepare(serve);
    for (size_t i = 0; i < all->snapshot->upstreams_count; i++)
        upstream_worker_start(all->snapshot->upstreams[i]);
    serve->log = access_log_worker_new(all->snapshot->access_log);
    serve->listeners = memory_zero(all->listening_count * sizeof *serve->listeners);
    for (size_t i = 0; i < all->listening_count; i++) {
        TRY(listener_start(&serve->listeners[i], serve, all->listening[i].config,
                           all->listening[i].fds[worker->index]));
        serve->listeners_count++;
    }
    loop_at_turn_end(watch_turn, worker);
    return OK;
}

static void on_thread_ended(void *argument)
{
    struct worker *worker = argument;
    struct workers *all = worker->all;
    native_join(worker->native);
    if (--all->running == 0)
        all->on_ended();
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
    worker->started = start_serving(worker);
    bool has_started = worker->started == OK;
    gate_pass(all_started);
    if (has_started)
        loop_run();
    serve_close_all(serve);
    for (size_t i = 0; i < worker->all->snapshot->upstreams_count; i++)
        upstream_worker_stop(worker->all->snapshot->upstreams[i]);
    for (int64_t until = clock_monotonic() + MILLISECONDS(CUT_GRACE_MS);
         serve->thread.fibers_count > 0 && clock_monotonic() < until;)
        loop_turn(loop_now() + MILLISECONDS(10));
    take_leave(worker);
    loop_turn(loop_now()); /* the last letters: some own what they carry */
    access_log_worker_free(serve->log);
    timer_clear(&serve->thread.timers, &worker->cut);
    gate_pass(all_stopped);
    tunnel_release();
    pipe_release_all();
    free(serve->listeners);
    thread_done(&serve->thread);
}

static void work(void *argument)
{
    struct worker *worker = argument;
    worker->started = thread_init(&worker->serve.thread, worker->name, (int)worker->index);
    if (worker->started == OK) {
        serve_until_stopped(worker);
    } else {
        gate_pass(all_started);
        gate_pass(all_stopped);
    }
    check(thread_post(worker->control, on_thread_ended, worker));
}

enum status workers_start(struct workers *workers)
{
    worker_array = memory_zero(workers->count * sizeof *worker_array);
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
    on_all_gone(&LIST_ENTRY(timer, struct worker, cut)->serve);
}

/* New clients are refused by the kernel then, and may try elsewhere. A unix socket is everybody's
 * and stays until the end. */
static void close_sockets(struct worker *worker)
{
    for (size_t i = 0; i < worker->all->listening_count; i++) {
        struct listening *listening = &worker->all->listening[i];
        if (listening->config->address.any.sa_family == AF_UNIX)
            continue;
        socket_close(listening->fds[worker->index], false);
        listening->fds[worker->index] = -1;
    }
}

static void drain(void *argument)
{
    struct worker *worker = argument;
    worker->cut.on_fire = on_cut;
    timer_set(&worker->serve.thread.timers, &worker->cut,
              loop_now() + worker->all->snapshot->timeouts.drain);
    serve_drain(&worker->serve, on_all_gone);
    close_sockets(worker);
}

static void cut(void *argument)
{
    struct worker *worker = argument;
    for (size_t i = 0; i < worker->serve.listeners_count; i++)
        listener_stop(&worker->serve.listeners[i]);
    on_all_gone(&worker->serve);
}

static void tell_all(struct workers *workers, void (*what)(void *argument))
{
    for (unsigned i = 0; i < workers->count; i++)
        if (worker_array[i].started == OK && !worker_array[i].is_leaving)
            check(thread_post(&worker_array[i].serve.thread, what, &worker_array[i]));
}

void workers_drain(struct workers *workers)
{
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
    for (size_t i = 0; i < workers->listening_count; i++) {
        struct listening *listening = &workers->listening[i];
        bool is_unix = listening->config->address.any.sa_family == AF_UNIX;
        for (unsigned w = 0; listening->fds != NULL && w < (is_unix ? 1 : workers->count); w++)
            if (listening->fds[w] >= 0)
                socket_close(listening->fds[w], false);
        free(listening->fds);
    }
    free(workers->listening);
    if (workers->shared.clients != NULL)
        tally_free(workers->shared.clients);
    if (worker_array != NULL) { /* joined: nobody is still on the way out of one */
        gate_free(all_started);
        gate_free(all_stopped);
    }
    free(workers->shared.workers);
    free(worker_array);
    worker_array = NULL;
}
