/* SPDX-License-Identifier: Apache-2.0 */
/* What it costs each exchange to look after the health of servers, to have a retry at hand and to
 * be counted by limits, when all goes well: on one thread, and on two that share it all. Prints
 * lines of "what threads nanoseconds" of CPU for each exchange. */
#include "base/clock.h"
#include "fiber/native.h"
#include "fiber/thread.h"
#include "serve/overload.h"
#include "upstream/breaker.h"
#include "upstream/call_inside.h"
#include "upstream/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    TIMES = 2000000,
    SERVERS = 3,
    THREADS_MAX = 2,
};

struct job {
    struct upstream *upstream;
    void (*work)(struct upstream *upstream, struct upstream_call *call, int i);
    int index;
    double ns;
    struct thread thread;
};

static double cpu_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* Counted in and out, and the success noted. */
static void health(struct upstream *upstream, struct upstream_call *call, int i)
{
    (void)call;
    struct server *server = &upstream->servers[i % SERVERS];
    if (!server_is_usable(server, loop_now()) || !server_enter(server))
        abort();
    server_succeeded(server);
    server_leave(server);
}

/* The same while one in a hundred fails. */
static void health_with_errors(struct upstream *upstream, struct upstream_call *call, int i)
{
    health(upstream, call, i);
    if (i % 100 == 0)
        server_failed(&upstream->servers[i % SERVERS], loop_now());
}

/* The budget counts the call, and its answer needs no other. */
static void retry(struct upstream *upstream, struct upstream_call *call, int i)
{
    (void)i;
    if (!call_spend_budget(upstream, false) ||
        call_may_try_again(call, OK, false, CLOCK_NEVER) != AGAIN_NO)
        abort();
}

static void limits(struct upstream *upstream, struct upstream_call *call, int i)
{
    (void)call;
    bool is_counted;
    if (breaker_enter(upstream, &is_counted) && is_counted)
        breaker_leave(upstream);
    breaker_measure(upstream, MILLISECONDS(2) + i % 1000);
    latency_add(&upstream->latency, MILLISECONDS(2) + i % 1000);
}

static void ask(void)
{
}

/* Whether there is memory for it: the room of the worker changes a thousand times as often as a
 * measurement would. */
static void memory(struct upstream *upstream, struct upstream_call *call, int i)
{
    static struct serve_shared shared = {.pressure = {.sample = 1, .room = 1 << 30, .ask = ask}};
    static _Thread_local struct serve_worker worker = {.shared = &shared};
    (void)upstream, (void)call;
    if (i % 1024 == 0)
        __atomic_add_fetch(&shared.pressure.sample, 1, __ATOMIC_RELAXED);
    worker.thread.blocks_taken = (size_t)(i & 255);
    worker.thread.fibers_count = (size_t)(i & 127);
    if (overload_level(&worker) != PRESSURE_NONE)
        abort();
}

static void run(void *argument)
{
    struct job *job = argument;
    struct upstream_retry wanted = {0};
    struct upstream_exchange inside = {.is_kept = true};
    struct body body = {0};
    struct upstream_call call = {
        .upstream = job->upstream,
        .request = {.method = METHOD_GET, .body = &body},
        .policy = {.tries = 2, .retry = &wanted, .hedge = UPSTREAM_HEDGE_P95},
        .inside = &inside,
        .head = {.status = 200},
    };
    if (thread_init(&job->thread, "bench", job->index) != OK ||
        !upstream_retry_add(&wanted, SLICE("502-504")))
        abort();
    double began = 0;
    for (int i = -TIMES / 10; i < TIMES; i++) {
        if (i == 0)
            began = cpu_now();
        job->work(job->upstream, &call, i + TIMES);
    }
    job->ns = (cpu_now() - began) / TIMES;
    thread_done(&job->thread);
}

static struct upstream *make(void)
{
    static struct server_config servers[SERVERS] = {{.name = {"a", 1}, .weight = 1},
                                                    {.name = {"b", 1}, .weight = 1},
                                                    {.name = {"c", 1}, .weight = 1}};
    struct upstream_config config = {
        .name = SLICE("bench"),
        .servers = servers,
        .servers_count = SERVERS,
        .requests_max = 1000,
        .adaptive_min = 8,
        .adaptive_max = 1000,
        .slow_start = SECONDS(30),
    };
    return upstream_new(&config, THREADS_MAX);
}

int main(void)
{
    static const struct {
        const char *name;
        void (*work)(struct upstream *upstream, struct upstream_call *call, int i);
    } CASES[] = {{"health", health},
                 {"health_with_errors", health_with_errors},
                 {"retry", retry},
                 {"limits", limits},
                 {"memory", memory}};
    static struct job jobs[THREADS_MAX];
    for (size_t c = 0; c < sizeof CASES / sizeof *CASES; c++)
        for (int threads = 1; threads <= THREADS_MAX; threads++) {
            struct upstream *upstream = make();
            struct native *natives[THREADS_MAX];
            double sum = 0;
            for (int i = 0; i < threads; i++) {
                jobs[i] = (struct job){.upstream = upstream, .work = CASES[c].work, .index = i};
                natives[i] = native_start(run, &jobs[i]);
            }
            for (int i = 0; i < threads; i++) {
                native_join(natives[i]);
                sum += jobs[i].ns;
            }
            printf("%s %d %.1f\n", CASES[c].name, threads, sum / threads);
            upstream_free(upstream);
        }
    return 0;
}
