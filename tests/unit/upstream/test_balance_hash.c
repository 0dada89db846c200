/* SPDX-License-Identifier: Apache-2.0 */
/* Where keys are hashed to: how evenly, and how many of them move. */
#include "upstream/balance.h"
#include "upstream/origin.h"

#include <stdio.h>

enum { KEYS = 1000000 };

static struct server_config configs[1000];
static char names[1000][24];
static uint16_t owners[KEYS];

static uint64_t key_of(uint64_t number)
{
    return upstream_hash(slice_of((const char *)&number, sizeof number));
}

/* Servers of which the one at `without` is missing; −1: none. Heavier by weight[i % 3]. */
static struct upstream *make(size_t count, int without, const uint32_t *weights, uint32_t percent)
{
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        if ((int)i == without)
            continue;
        int size = snprintf(names[used], sizeof names[used], "10.0.%zu.%zu:8080", i / 250, i % 250);
        configs[used] = (struct server_config){.name = slice_of(names[used], (size_t)size),
                                               .weight = weights == NULL ? 1 : weights[i % 3]};
        used++;
    }
    struct upstream_config config = {.name = SLICE("app"),
                                     .balance = BALANCE_URI_HASH,
                                     .affinity = {.key = UPSTREAM_KEY_URI},
                                     .load_percent = percent,
                                     .servers = configs,
                                     .servers_count = used,
                                     .keepalive = 1};
    return upstream_new(&config, 1);
}

static struct server *ask(struct upstream *upstream, uint64_t hash)
{
    struct choice choice = {.key = {true, hash, 0}};
    return balance_choose(upstream, NULL, 0, &choice);
}

static void count_all(struct upstream *upstream, int *counts, bool remember)
{
    memset(counts, 0, upstream->count * sizeof *counts);
    for (uint64_t i = 0; i < KEYS; i++) {
        size_t index = ask(upstream, key_of(i))->index;
        counts[index]++;
        if (remember)
            owners[i] = (uint16_t)index;
    }
}

/* Largest and smallest share, as permille of what each should have. */
static void assert_spread(const struct upstream *upstream, const int *counts, int permille,
                          const char *what)
{
    double total = 0;
    double worst = 0;
    for (size_t i = 0; i < upstream->count; i++)
        total += upstream->servers[i].config.weight;
    for (size_t i = 0; i < upstream->count; i++) {
        double expected = KEYS * upstream->servers[i].config.weight / total;
        double off = counts[i] / expected - 1;
        worst = off < 0 ? (-off > worst ? -off : worst) : (off > worst ? off : worst);
    }
    print_message("%s: worst share is off by %.2f %%\n", what, worst * 100);
    assert_true(worst * 1000 <= permille);
}

static void run_spread(void)
{
    static const uint32_t WEIGHTS[] = {1, 2, 5};
    static int counts[1000];
    struct upstream *upstream = make(10, -1, NULL, 0);
    count_all(upstream, counts, false);
    assert_spread(upstream, counts, 15, "10 equal servers");
    upstream_free(upstream);
    upstream = make(10, -1, WEIGHTS, 0);
    count_all(upstream, counts, false);
    assert_spread(upstream, counts, 20, "10 servers of weight 1, 2, 5");
    upstream_free(upstream);
    upstream = make(100, -1, NULL, 0);
    count_all(upstream, counts, false);
    assert_spread(upstream, counts, 50, "100 equal servers"); /* 1 % is one deviation of chance */
    upstream_free(upstream);
}
ON_FIBER(spread)

/* It is down: its keys alone move, to all others alike. */
static void run_one_is_down(void)
{
    static int counts[10];
    struct upstream *upstream = make(10, -1, NULL, 0);
    count_all(upstream, counts, true);
    upstream->servers[3].health = SERVER_REFUSING;
    int moved = 0;
    int got[10] = {0};
    for (uint64_t i = 0; i < KEYS; i++) {
        size_t index = ask(upstream, key_of(i))->index;
        if (index == owners[i])
            continue;
        assert_int_equal(owners[i], 3);
        got[index]++;
        moved++;
    }
    print_message("one of 10 down: %.2f %% moved\n", moved * 100.0 / KEYS);
    assert_int_equal(moved, counts[3]);
    assert_in_range(moved, KEYS * 97 / 1000, KEYS * 103 / 1000);
    for (int i = 0; i < 10; i++)
        if (i != 3)
            assert_in_range(got[i], moved / 9 * 9 / 10, moved / 9 * 11 / 10);
    upstream->servers[3].health = SERVER_UP;
    for (uint64_t i = 0; i < KEYS; i++)
        assert_int_equal(ask(upstream, key_of(i))->index, owners[i]);
    upstream_free(upstream);
}
ON_FIBER(one_is_down)

/* It is taken out of the configuration, or put back: at most 1.1 times its share moves. */
static void run_one_is_gone(void)
{
    static int counts[10];
    struct upstream *ten = make(10, -1, NULL, 0);
    count_all(ten, counts, true);
    upstream_free(ten);
    struct upstream *nine = make(10, 3, NULL, 0);
    int moved = 0;
    for (uint64_t i = 0; i < KEYS; i++) {
        size_t index = ask(nine, key_of(i))->index;
        moved += index + (index >= 3) != owners[i];
    }
    print_message("one of 10 gone: %.2f %% moved\n", moved * 100.0 / KEYS);
    assert_in_range(moved, KEYS * 97 / 1000, KEYS * 110 / 1000);
    upstream_free(nine);
}
ON_FIBER(one_is_gone)

/* One key that everybody asks for does not drown its server. */
static void run_load_is_bounded(void)
{
    struct upstream *upstream = make(10, -1, NULL, 150);
    uint64_t hot = key_of(7);
    struct server *owner = ask(upstream, hot);
    for (int i = 0; i < 8; i++) { /* so few are no load */
        assert_ptr_equal(ask(upstream, hot), owner);
        owner->active++;
    }
    assert_ptr_not_equal(ask(upstream, hot), owner);
    for (int i = 8; i < 10000; i++)
        ask(upstream, hot)->active++;
    uint32_t most = 0;
    for (int i = 0; i < 10; i++)
        most = upstream->servers[i].active > most ? upstream->servers[i].active : most;
    assert_in_range(owner->active, 1490, 1500); /* 150 % of a tenth */
    assert_in_range(most, 1490, 1500);
    owner->active = 0; /* it has finished: the key comes home */
    assert_ptr_equal(ask(upstream, hot), owner);
    upstream_free(upstream);
}
ON_FIBER(load_is_bounded)

static void run_unbounded_stays(void)
{
    struct upstream *upstream = make(10, -1, NULL, 0);
    struct server *owner = ask(upstream, 42);
    for (int i = 0; i < 10000; i++) {
        assert_ptr_equal(ask(upstream, 42), owner);
        owner->active++;
    }
    upstream_free(upstream);
}
ON_FIBER(unbounded_stays)

/* All have more than their share only when the others cannot take it: still somebody serves. */
static void run_room_and_tries(void)
{
    struct upstream *upstream = make(3, -1, NULL, 150);
    struct choice choice = {.key = {true, key_of(1), 0}};
    struct server *first = balance_choose(upstream, NULL, 0, &choice);
    struct server *second = balance_choose(upstream, &first, 1, &choice);
    assert_ptr_not_equal(first, second);
    struct server *tried[] = {first, second};
    struct server *third = balance_choose(upstream, tried, 2, &choice);
    assert_true(third != NULL && third != first && third != second);
    first->config.max_conns = second->config.max_conns = third->config.max_conns = 1;
    first->active = 1;
    assert_ptr_equal(balance_choose(upstream, NULL, 0, &choice), second);
    second->active = third->active = 1;
    assert_null(balance_choose(upstream, NULL, 0, &choice));
    assert_true(choice.is_full && !choice.is_panic);
    upstream_free(upstream);
}
ON_FIBER(room_and_tries)

static void run_few_of_many_are_left(void)
{
    struct upstream *upstream = make(500, -1, NULL, 150);
    for (size_t i = 0; i < 500; i++)
        upstream->servers[i].health = i == 123 ? SERVER_UP : SERVER_REFUSING;
    for (uint64_t i = 0; i < 2000; i++)
        assert_int_equal(ask(upstream, key_of(i))->index, 123);
    upstream_free(upstream);
}
ON_FIBER(few_of_many_are_left)

/* Without the value that is hashed nobody is favoured. */
static void run_no_key(void)
{
    struct upstream *upstream = make(4, -1, NULL, 150);
    int counts[4] = {0};
    for (int i = 0; i < 40000; i++) {
        struct choice choice = {0};
        counts[balance_choose(upstream, NULL, 0, &choice)->index]++;
    }
    for (int i = 0; i < 4; i++)
        assert_in_range(counts[i], 9300, 10700);
    upstream_free(upstream);
}
ON_FIBER(no_key)

/* A server that warms up takes a growing part of its own keys and of no others. */
static void run_slow_start(void)
{
    struct upstream *upstream = make(10, -1, NULL, 0);
    struct server *server = &upstream->servers[3];
    static int counts[10];
    count_all(upstream, counts, true);
    upstream->rules_now->config.slow_start = SECONDS(30);
    test_thread.now = SECONDS(1000);
    server->back_since = test_thread.now;
    test_thread.now += SECONDS(15);
    int kept = 0;
    for (uint64_t i = 0; i < KEYS; i++) {
        size_t index = ask(upstream, key_of(i))->index;
        assert_true(index == owners[i] || owners[i] == 3);
        kept += index == 3;
    }
    assert_in_range(kept, counts[3] * 48 / 100, counts[3] * 52 / 100);
    test_thread.now += SECONDS(15);
    for (uint64_t i = 0; i < KEYS; i++)
        assert_int_equal(ask(upstream, key_of(i))->index, owners[i]);
    upstream_free(upstream);
}
ON_FIBER(slow_start)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(spread, world_open, world_close),
        cmocka_unit_test_setup_teardown(one_is_down, world_open, world_close),
        cmocka_unit_test_setup_teardown(one_is_gone, world_open, world_close),
        cmocka_unit_test_setup_teardown(load_is_bounded, world_open, world_close),
        cmocka_unit_test_setup_teardown(unbounded_stays, world_open, world_close),
        cmocka_unit_test_setup_teardown(room_and_tries, world_open, world_close),
        cmocka_unit_test_setup_teardown(few_of_many_are_left, world_open, world_close),
        cmocka_unit_test_setup_teardown(no_key, world_open, world_close),
        cmocka_unit_test_setup_teardown(slow_start, world_open, world_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
