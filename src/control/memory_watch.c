/* SPDX-License-Identifier: Apache-2.0 */
/* One question to the workers at a time: what each client holds, who has to go,
 * or to give back what is only kept. Where nobody can tell what the process has
 * (under a sanitizer, in a simulated world), what all clients hold stands for
 * it. */
#include "control/memory_watch.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "cache/store.h"
#include "control/caches.h"
#include "control/memory_source.h"
#include "control/service.h"
#include "control/snapshot.h"
#include "control/worker.h"
#include "serve/overload.h"
#include "upstream/upstream.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    CALM_MS = 500,
    BUSY_MS = 100, /* above so many hundredths of the budget: */
    BUSY = 60,
    TIGHT_MS = 25,  /* where something is asked of the workers */
    TRIM_MS = 1000, /* between two trimmings */
    END_MS = 100,   /* what was ended needs that long to be gone, when workers have time */
    VICTIMS_MAX = 64,
    FORGET_S = 600, /* what nobody can tell any more */
    MIB = 1024 * 1024,
};

static struct {
    struct workers *workers; /* NULL: not started */
    struct timer timer;
    bool is_asking; /* the workers were asked something */
    struct memory_state state;
    int64_t next_trim, next_end;
    struct charges all;
    struct charges *parts; /* of each worker, in the last question */
    size_t *ended;         /* connections of each client who had to go, likewise */
    size_t victims;        /* at the start of all.places */
    int64_t excess;
    int64_t other; /* bytes that are neither committed to clients nor a cache's */
    int64_t other_at;
} watch;

static void trim_worker(struct serve_worker *serve, void *argument)
{
    const struct snapshot *snapshot = serve->view->snapshot;
    (void)argument;
    overload_trim(serve,
                  (enum pressure)__atomic_load_n(&serve->shared->pressure.level, __ATOMIC_RELAXED));
    for (size_t i = 0; i < snapshot->upstreams_count; i++)
        upstream_worker_trim(snapshot->upstreams[i]);
}

static void on_trimmed(void *argument)
{
    (void)argument;
    malloc_trim(0);
    watch.is_asking = false;
}

static void trim(void)
{
    watch.next_trim = loop_now() + MILLISECONDS(TRIM_MS);
    watch.is_asking = workers_each(watch.workers, trim_worker, NULL, on_trimmed);
}

/* In a network as the tables know it: an IPv4 address, an IPv6 /64, or the unix
 * sockets. */
static const char *name_of(const uint64_t client[2], char text[ADDRESS_TEXT_MAX + 4])
{
    struct address address = {0};
    char ip[ADDRESS_TEXT_MAX];
    if (client[1] != AF_INET && client[1] != AF_INET6)
        return "a unix socket";
    address.any.sa_family = (sa_family_t)client[1];
    address.size = client[1] == AF_INET ? sizeof address.v4 : sizeof address.v6;
    if (client[1] == AF_INET)
        address.v4.sin_addr.s_addr = (uint32_t)client[0];
    else
        memcpy(address.v6.sin6_addr.s6_addr, &client[0], sizeof client[0]);
    struct slice name = address_format_ip(&address, ip);
    (void)snprintf(text, ADDRESS_TEXT_MAX + 4, "%.*s%s", SLICE_ARG(name),
                   client[1] == AF_INET6 ? "/64" : "");
    return text;
}

static void end_worker(struct serve_worker *serve, void *argument)
{
    size_t *ended = &watch.ended[(size_t)serve->thread.index * VICTIMS_MAX];
    int64_t excess = watch.excess;
    (void)argument;
    for (size_t i = 0; i < watch.victims; i++) {
        const struct charge *victim = &watch.all.places[i];
        int64_t wanted = victim->bytes < excess ? victim->bytes : excess;
        excess -= wanted;
        /* Each worker its part of what the client holds with all of them. */
        const struct charge *own = charges_find(&watch.parts[serve->thread.index], victim->client);
        ended[i] = own == NULL ? 0
                               : overload_end(serve, victim->client,
                                              (int64_t)((double)wanted * (double)own->bytes /
                                                        (double)victim->bytes));
    }
}

static void on_ended(void *argument)
{
    (void)argument;
    for (size_t i = 0; i < watch.victims; i++) {
        const struct charge *victim = &watch.all.places[i];
        char text[ADDRESS_TEXT_MAX + 4];
        size_t count = 0;
        for (unsigned w = 0; w < watch.workers->count; w++)
            count += watch.ended[w * VICTIMS_MAX + i];
        watch.state.ended += count;
        log_write(LOG_WARN, "client_ended",
                  "limits.memory: %zu connections of %s were ended, which held %" PRId64
                  " KiB in all",
                  count, name_of(victim->client, text), victim->bytes / 1024);
    }
    watch.is_asking = false;
    trim();
}

static void end_largest(void)
{
    watch.next_end = loop_now() + MILLISECONDS(END_MS);
    watch.excess = pressure_excess(watch.state.committed, watch.state.budget);
    watch.victims = charges_largest(&watch.all, watch.excess, VICTIMS_MAX);
    if (watch.victims == 0 || !workers_each(watch.workers, end_worker, NULL, on_ended))
        watch.is_asking = false;
}

static void say_level(enum pressure level, enum pressure before)
{
    static const char *const MEANINGS[] = {
        "all is as usual again",
        "what is only kept for later is given back",
        "connections are not kept",
        "requests are refused and connections wait",
        "the clients that hold the most are ended",
    };
    log_write(level > before ? LOG_WARN : LOG_INFO, "memory_pressure",
              "limits.memory: %" PRId64 " of %" PRId64 " MiB are in use or promised: %s",
              watch.state.committed / MIB, watch.state.budget / MIB, MEANINGS[level]);
}

/* What caches hold goes before anything is refused. They may grow until that begins; when it has,
 * each gives back its part, at most a quarter at a time: what was freed is not seen at once. */
static void bound_caches(int64_t used, int64_t budget)
{
    const struct snapshot *snapshot = service_snapshot();
    size_t count = snapshot == NULL ? 0 : snapshot->caches_count;
    bool may_give = watch.state.level >= PRESSURE_TRIM && loop_now() >= watch.next_trim;
    for (size_t i = 0; i < count; i++) {
        struct store *store = snapshot->caches[i].cache->store;
        int64_t held = (int64_t)store_bytes(store);
        int64_t spare = pressure_spare(used, budget) / (int64_t)count;
        if (spare < -held / 4)
            spare = -held / 4;
        if (spare < 0 && !may_give)
            spare = 0;
        store_bound(store, budget > 0 ? (uint64_t)(held + spare) : UINT64_MAX);
    }
}

static int64_t cached(void)
{
    const struct snapshot *snapshot = service_snapshot();
    int64_t bytes = 0;
    for (size_t i = 0; snapshot != NULL && i < snapshot->caches_count; i++)
        bytes += (int64_t)store_bytes(snapshot->caches[i].cache->store);
    return bytes;
}

/* What the process has beside what is committed, of which nobody knows how much is resident: all of
 * it or nothing, that bounds the answer, and in between the last one holds. It was good when little
 * was committed; in the end it is forgotten. */
static void learn_other(int64_t used, int64_t committed)
{
    int64_t now = loop_now();
    int64_t least = used - committed;
    double age = (double)(now - watch.other_at) / (double)SECONDS(FORGET_S);
    watch.other_at = now;
    if (watch.other > least)
        watch.other -= (int64_t)((double)(watch.other - least) * (age < 1 ? age : 1));
    if (watch.other < least)
        watch.other = least;
    if (watch.other > used)
        watch.other = used;
}

/* Tells the workers. */
static void publish(struct memory_reading reading)
{
    struct serve_pressure *pressure = &watch.workers->shared.pressure;
    enum pressure before = watch.state.level;
    int64_t used = reading.used, budget = reading.budget, room = INT64_MAX;
    int64_t committed = used, committed_max = INT64_MAX, slack = 0;
    if (budget > 0 && used >= 0) {
        int64_t caches = cached();
        int64_t connections = overload_connections(&watch.workers->shared);
        int64_t given = connections + __atomic_load_n(&pressure->committed, __ATOMIC_RELAXED);
        learn_other(used - caches, given);
        committed = watch.other + caches + given;
        committed_max = pressure_room(watch.other + caches + connections, budget);
        slack = budget / 10;
    } else if (budget > 0) {
        used = committed = watch.all.total;
    }
    enum pressure level = budget > 0 ? pressure_next(before, committed, budget) : PRESSURE_NONE;
    if (budget > 0)
        room = pressure_room(committed, budget) / watch.workers->count;
    watch.state.used = used;
    watch.state.committed = committed;
    watch.state.budget = budget;
    watch.state.level = level;
    __atomic_store_n(&pressure->level, (int)level, __ATOMIC_RELAXED);
    __atomic_store_n(&pressure->room, room, __ATOMIC_RELAXED);
    __atomic_store_n(&pressure->committed_max, committed_max, __ATOMIC_RELAXED);
    __atomic_store_n(&pressure->committed_full, committed_max + slack, __ATOMIC_RELAXED);
    __atomic_add_fetch(&pressure->sample, 1, __ATOMIC_RELEASE);
    if (level != before)
        say_level(level, before);
    if (level > before)
        watch.next_trim = 0;
    bound_caches(watch.state.committed, budget);
}

static void weigh_worker(struct serve_worker *serve, void *argument)
{
    (void)argument;
    overload_weigh(serve, &watch.parts[serve->thread.index]);
}

static void on_weighed(void *argument)
{
    (void)argument;
    charges_done(&watch.all);
    charges_init(&watch.all);
    for (unsigned i = 0; i < watch.workers->count; i++)
        charges_add_all(&watch.all, &watch.parts[i]);
    struct memory_reading reading = memory_source_read(watch.workers->memory);
    publish(reading);
    watch.is_asking = false;
    if (watch.state.level == PRESSURE_END && loop_now() >= watch.next_end) {
        watch.is_asking = true;
        end_largest();
    } else if (watch.state.level >= PRESSURE_TRIM && loop_now() >= watch.next_trim) {
        trim();
    }
}

static void weigh(void)
{
    for (unsigned i = 0; i < watch.workers->count; i++) {
        charges_done(&watch.parts[i]);
        charges_init(&watch.parts[i]);
    }
    watch.is_asking = workers_each(watch.workers, weigh_worker, NULL, on_weighed);
}

/* Measures, and does what follows. A worker that is busy may be long in answering: the level does
 * not wait for that. */
static void look(void)
{
    struct memory_reading reading = memory_source_read(watch.workers->memory);
    bool has_reading = reading.used >= 0 || reading.budget == 0;
    if (has_reading)
        publish(reading);
    if (watch.is_asking)
        return;
    /* First what nobody needs goes: it counts as well. */
    if (has_reading && watch.state.level >= PRESSURE_TRIM && loop_now() >= watch.next_trim)
        trim();
    else if (!has_reading || (watch.state.level == PRESSURE_END && loop_now() >= watch.next_end))
        weigh();
}

static void on_timer(struct timer *timer)
{
    look();
    int next = watch.state.level > PRESSURE_NONE                         ? TIGHT_MS
               : watch.state.committed > watch.state.budget / 100 * BUSY ? BUSY_MS
                                                                         : CALM_MS;
    timer_set(&thread_self()->timers, timer, loop_now() + MILLISECONDS(next));
}

static void on_wanted(void *argument)
{
    (void)argument;
    if (watch.workers != NULL)
        look();
}

/* On a worker. A mailbox that is full will be looked at soon enough. */
static void ask(void)
{
    if (!thread_post(watch.workers->control, on_wanted, NULL)) {
        /* The timer comes. */
    }
}

void memory_watch_start(struct workers *workers)
{
    unsigned count = workers->count;
    watch = (typeof(watch)){.workers = workers, .state.used = -1};
    watch.parts = memory_zero(count * sizeof *watch.parts);
    watch.ended = memory_zero(count * VICTIMS_MAX * sizeof *watch.ended);
    charges_init(&watch.all);
    watch.timer.on_fire = on_timer;
    workers->shared.pressure.ask = ask;
    on_timer(&watch.timer);
}

void memory_watch_stop(void)
{
    if (watch.workers == NULL)
        return;
    timer_clear(&thread_self()->timers, &watch.timer);
    for (unsigned i = 0; i < watch.workers->count; i++)
        charges_done(&watch.parts[i]);
    charges_done(&watch.all);
    free(watch.parts);
    free(watch.ended);
    watch.workers = NULL;
}

void memory_watch_look(struct memory_state *state)
{
    *state = watch.state;
}
