/* SPDX-License-Identifier: Apache-2.0 */
/* Several workers choose at once: the shares are those of one, and nothing is raced for while
 * servers go, come and are ordered anew. */
#include "fiber/native.h"
#include "upstream/balance.h"
#include "upstream/origin.h"

enum {
    CHOICES = 100000, /* of all workers together */
    WORKERS_MAX = 4,
    IN_FLIGHT = 64, /* of a worker: the shares hold when the others have not begun or have ended */
    SERVERS = 8,
};

static struct address anywhere[SERVERS];
static const uint32_t WEIGHTS[SERVERS] = {1, 2, 5, 1, 1, 2, 5, 3};
static enum balance policy;

static void adjust(struct upstream_config *config, struct server_config *servers)
{
    config->balance = policy;
    config->affinity.key = balance_key_of(policy);
    config->slow_start = SECONDS(1);
    for (int i = 0; i < SERVERS; i++)
        servers[i].weight = WEIGHTS[i];
}

struct crew {
    struct upstream *upstream;
    int choices; /* of one worker */
    bool keeps_some_in_flight;
    uint32_t counts[SERVERS]; /* atomic */
    int next;                 /* atomic: numbers the workers */
};

static void choose_many(struct crew *crew, int worker)
{
    struct server *in_flight[IN_FLIGHT] = {0};
    for (int i = 0; i < crew->choices; i++) {
        uint64_t number = (uint64_t)worker << 32 | (uint64_t)i;
        uint64_t hash = upstream_hash(slice_of((const char *)&number, sizeof number));
        struct choice choice = {.key = {true, hash, 0}};
        struct server *server = balance_choose(crew->upstream, NULL, 0, &choice);
        if (server == NULL)
            continue;
        __atomic_add_fetch(&crew->counts[server->index], 1, __ATOMIC_RELAXED);
        if (!crew->keeps_some_in_flight)
            continue;
        if (i % 64 == 0)
            thread_self()->now = clock_monotonic();
        if (in_flight[i % IN_FLIGHT] != NULL) {
            server_timed(in_flight[i % IN_FLIGHT], MILLISECONDS(1 + i % 3), i % 1000 == 0);
            server_leave(in_flight[i % IN_FLIGHT]);
        }
        in_flight[i % IN_FLIGHT] = server_enter(server) ? server : NULL;
    }
    for (int i = 0; i < IN_FLIGHT; i++)
        if (in_flight[i] != NULL)
            server_leave(in_flight[i]);
}

static void work(void *argument)
{
    struct crew *crew = argument;
    int worker = __atomic_fetch_add(&crew->next, 1, __ATOMIC_RELAXED);
    struct thread thread;
    assert_int_equal(thread_init(&thread, "worker", worker), OK);
    choose_many(crew, worker);
    thread_done(&thread);
}

/* Runs that many workers to their end; `meanwhile` again and again beside them. */
static void run_crew(struct crew *crew, int workers, void (*meanwhile)(struct upstream *upstream))
{
    struct native *natives[WORKERS_MAX];
    crew->choices = CHOICES / workers;
    for (int i = 0; i < workers; i++) {
        natives[i] = native_start(work, crew);
        assert_non_null(natives[i]);
    }
    if (meanwhile != NULL)
        meanwhile(crew->upstream);
    for (int i = 0; i < workers; i++)
        native_join(natives[i]);
}

/* How far counts are from what the weights ask for, in units of chance: about the number of servers
 * less one when chance decides, 0 when nothing is left to it. */
static double chi_square(const struct crew *crew)
{
    double weights = 0;
    double total = 0;
    double sum = 0;
    for (int i = 0; i < SERVERS; i++) {
        weights += WEIGHTS[i];
        total += crew->counts[i];
    }
    for (int i = 0; i < SERVERS; i++) {
        double expected = total * WEIGHTS[i] / weights;
        sum += (crew->counts[i] - expected) * (crew->counts[i] - expected) / expected;
    }
    return sum;
}

static void run_shares(void)
{
    static const char *const NAMES[] = {
#define BALANCE(id, name, policy, key, doc) name,
#include "upstream/balance.def"
#undef BALANCE
    };
    for (policy = 0; policy < BALANCES; policy++)
        for (int workers = 1; workers <= WORKERS_MAX; workers *= 2) {
            struct crew crew = {.upstream = make_upstream(anywhere, SERVERS, adjust)};
            run_crew(&crew, workers, NULL);
            double chi = chi_square(&crew);
            print_message("%-12s %d workers: chi square %.3f (7 degrees of freedom)\n",
                          NAMES[policy], workers, chi);
            assert_true(chi < 46); /* once in ten million runs it is more */
            if (policy == BALANCE_ROUND_ROBIN)
                assert_true(chi < 0.01);
            drop_upstream(crew.upstream);
        }
}
ON_FIBER(shares)

/* With requests in flight the less busy ones are found: nobody is far from its share. Whole
 * requests weigh more on light servers, of which each has three here. */
static void run_shares_under_load(void)
{
    for (policy = 0; policy < BALANCE_LEAST_TIME; policy++) {
        struct crew crew = {.upstream = make_upstream(anywhere, SERVERS, adjust),
                            .keeps_some_in_flight = true};
        run_crew(&crew, WORKERS_MAX, NULL);
        for (int i = 0; i < SERVERS; i++)
            assert_in_range(crew.counts[i], CHOICES / 20 * WEIGHTS[i] * 7 / 10,
                            CHOICES / 20 * WEIGHTS[i] * 14 / 10);
        drop_upstream(crew.upstream);
    }
}
ON_FIBER(shares_under_load)

static void come_and_go(struct upstream *upstream)
{
    struct server *servers = upstream->servers;
    for (int i = 0; i < 200; i++) {
        struct server *server = &servers[i % SERVERS];
        __atomic_store_n(&server->health, i % 3 == 0 ? SERVER_REFUSING : SERVER_UP,
                         __ATOMIC_RELAXED);
        __atomic_store_n(&server->back_since, clock_monotonic(), __ATOMIC_RELAXED);
        __atomic_store_n(&servers[(i + 3) % SERVERS].addresses_count, i % 5 != 0, __ATOMIC_RELAXED);
        if (i % 10 == 0)
            upstream_renew_roster(upstream);
        usleep(200);
    }
    for (int i = 0; i < SERVERS; i++)
        __atomic_store_n(&servers[i].health, SERVER_UP, __ATOMIC_RELAXED);
}

static void run_churn(void)
{
    for (policy = 0; policy < BALANCES; policy++) {
        struct crew crew = {.upstream = make_upstream(anywhere, SERVERS, adjust),
                            .keeps_some_in_flight = true};
        run_crew(&crew, WORKERS_MAX, come_and_go);
        uint32_t total = 0;
        for (int i = 0; i < SERVERS; i++)
            total += crew.counts[i];
        assert_true(total > CHOICES * 9 / 10);
        drop_upstream(crew.upstream);
    }
}
ON_FIBER(churn)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(shares, world_open, world_close),
        cmocka_unit_test_setup_teardown(shares_under_load, world_open, world_close),
        cmocka_unit_test_setup_teardown(churn, world_open, world_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
