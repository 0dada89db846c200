/* SPDX-License-Identifier: Apache-2.0 */
/* What a choice of a server costs: each policy, with few and with many servers, on one thread and
 * on two at once. Prints lines of "policy servers threads nanoseconds": of CPU for each choice with
 * its entering and leaving, 16 requests in flight on each thread. */
#include "upstream/balance.h"
#include "base/clock.h"
#include "fiber/native.h"
#include "fiber/thread.h"
#include "upstream/call.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    CHOICES = 400000,
    IN_FLIGHT = 16,
    KEYS = 4096,
    SERVERS_MAX = 100,
    THREADS_MAX = 2,
};

struct job {
    struct upstream *upstream;
    const uint64_t *hashes;
    int index;
    bool with_cookie;
    double ns;
    struct thread thread;
};

static double cpu_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void choose(void *argument)
{
    struct job *job = argument;
    struct upstream *upstream = job->upstream;
    struct server *in_flight[IN_FLIGHT] = {0};
    if (thread_init(&job->thread, "bench", job->index) != OK)
        abort();
    double began = 0;
    for (int i = -CHOICES / 10; i < CHOICES; i++) {
        if (i == 0)
            began = cpu_now();
        size_t slot = (size_t)(i + CHOICES) % IN_FLIGHT;
        struct choice choice = {.key = {true, job->hashes[(size_t)(i + CHOICES) % KEYS], 0}};
        if (job->with_cookie)
            choice.key.server_id = upstream->servers[(size_t)(i + CHOICES) % upstream->count].id;
        struct server *server = balance_choose(upstream, NULL, 0, &choice);
        if (in_flight[slot] != NULL) {
            if (upstream->rules_now->config.balance == BALANCE_LEAST_TIME)
                server_timed(in_flight[slot], MILLISECONDS(2), false);
            server_leave(in_flight[slot]);
        }
        if (server == NULL || !server_enter(server))
            abort();
        in_flight[slot] = server;
    }
    job->ns = (cpu_now() - began) / CHOICES;
    for (int i = 0; i < IN_FLIGHT; i++)
        server_leave(in_flight[i]);
    thread_done(&job->thread);
}

static double measure(struct upstream *upstream, const uint64_t *hashes, bool with_cookie,
                      int threads)
{
    static struct job jobs[THREADS_MAX];
    struct native *natives[THREADS_MAX];
    double sum = 0;
    for (int i = 0; i < threads; i++) {
        jobs[i] = (struct job){
            .upstream = upstream, .hashes = hashes, .index = i, .with_cookie = with_cookie};
        natives[i] = native_start(choose, &jobs[i]);
    }
    for (int i = 0; i < threads; i++) {
        native_join(natives[i]);
        sum += jobs[i].ns;
    }
    return sum / threads;
}

static struct upstream *make(enum balance balance, size_t count, bool with_cookie)
{
    static struct server_config servers[SERVERS_MAX];
    static char names[SERVERS_MAX][24];
    for (size_t i = 0; i < count; i++) {
        int size = snprintf(names[i], sizeof names[i], "10.0.0.%zu:80", i);
        servers[i] = (struct server_config){.name = slice_of(names[i], (size_t)size),
                                            .weight = 1 + (uint32_t)i % 3};
    }
    struct upstream_config config = {
        .name = SLICE("bench"),
        .balance = balance,
        .affinity = {.key = balance_key_of(balance),
                     .cookie = with_cookie ? SLICE("c") : SLICE("")},
        .load_percent = 150,
        .servers = servers,
        .servers_count = count,
    };
    return upstream_new(&config, THREADS_MAX);
}

int main(void)
{
    static const char *const NAMES[] = {
#define BALANCE(id, name, policy, key, doc) name,
#include "upstream/balance.def"
#undef BALANCE
        "sticky",
    };
    static const size_t COUNTS[] = {3, 10, 100};
    static uint64_t hashes[KEYS];
    for (uint64_t i = 0; i < KEYS; i++)
        hashes[i] = upstream_hash(slice_of((const char *)&i, sizeof i));
    for (int policy = 0; policy <= BALANCES; policy++)
        for (size_t c = 0; c < sizeof COUNTS / sizeof *COUNTS; c++)
            for (int threads = 1; threads <= THREADS_MAX; threads++) {
                bool with_cookie = policy == BALANCES;
                struct upstream *upstream =
                    make(with_cookie ? BALANCE_RANDOM_TWO : (enum balance)policy, COUNTS[c],
                         with_cookie);
                printf("%s %zu %d %.1f\n", NAMES[policy], COUNTS[c], threads,
                       measure(upstream, hashes, with_cookie, threads));
                upstream_free(upstream);
            }
    return 0;
}
