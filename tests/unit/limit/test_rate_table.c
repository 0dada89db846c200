/* SPDX-License-Identifier: Apache-2.0 */
#include "limit/rate_table.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define MS INT64_C(1000000)

static bool take(struct rate_store *store, const char *key, const struct rate *rate, int64_t now)
{
    struct rate_answer answer;
    assert_int_equal(store->take(store, slice_from_cstring(key), rate, now, &answer), OK);
    return answer.is_allowed;
}

static void keys_are_counted_apart(void **state)
{
    (void)state;
    const struct rate rate = {.interval = 1000 * MS, .burst = 1};
    struct rate_store *store = rate_table_new(1000);
    assert_true(take(store, "a", &rate, MS));
    assert_true(take(store, "a", &rate, MS));
    assert_false(take(store, "a", &rate, MS));
    assert_true(take(store, "b", &rate, MS));
    assert_true(take(store, "", &rate, MS));
    assert_true(take(store, "a", &rate, 1001 * MS));
    store->free(store);
}

/* Ten times as many keys as there is room for: nobody is refused that was not seen before. */
static void eviction_never_refuses(void **state)
{
    (void)state;
    const struct rate rate = {.interval = 3600000 * MS};
    struct rate_store *store = rate_table_new(2000);
    char key[32];
    for (int i = 0; i < 20000; i++) {
        snprintf(key, sizeof key, "key %d", i);
        assert_true(take(store, key, &rate, MS + i));
    }
    assert_true(rate_table_evicted(store) > 10000);
    store->free(store);
}

/* As many keys in use as it was made for: nearly all of them are remembered. */
static void remembers_what_it_was_made_for(void **state)
{
    (void)state;
    enum { KEYS = 50000 };
    const struct rate rate = {.interval = 3600000 * MS};
    struct rate_store *store = rate_table_new(KEYS);
    char key[32];
    int forgotten = 0;
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < KEYS; i++) {
            snprintf(key, sizeof key, "key %d", i);
            forgotten += take(store, key, &rate, MS) && round == 1;
        }
    assert_true(forgotten < KEYS / 20);
    store->free(store);
}

/* Those that are idle make room before those in use. */
static void the_idle_go_first(void **state)
{
    (void)state;
    const struct rate slow = {.interval = 3600000 * MS};
    const struct rate quick = {.interval = MS};
    struct rate_store *store = rate_table_new(1000);
    char key[32];
    for (int i = 0; i < 200; i++) {
        snprintf(key, sizeof key, "held %d", i);
        assert_true(take(store, key, &slow, MS));
    }
    for (int i = 0; i < 100000; i++) {
        snprintf(key, sizeof key, "idle %d", i);
        assert_true(take(store, key, &quick, 2 * MS + i * MS));
    }
    for (int i = 0; i < 200; i++) {
        snprintf(key, sizeof key, "held %d", i);
        assert_false(take(store, key, &slow, 200000 * MS));
    }
    assert_int_equal(rate_table_evicted(store), 0);
    store->free(store);
}

enum { THREADS = 4, ROUNDS = 100000, SHARED_KEYS = 64 };

struct taker {
    struct rate_store *store;
    int64_t allowed[SHARED_KEYS];
};

static void *take_many(void *argument)
{
    struct taker *taker = argument;
    const struct rate rate = {.interval = MS, .burst = 99};
    for (int64_t i = 0; i < ROUNDS; i++) {
        struct rate_answer answer;
        uint64_t key = (uint64_t)i % SHARED_KEYS;
        if (taker->store->take(taker->store, slice_of((const char *)&key, sizeof key), &rate,
                               MS + i * 1000, &answer) == OK)
            taker->allowed[key] += answer.is_allowed;
    }
    return NULL;
}

/* Four threads together get what one would: 100 ms at 1000 a second and the burst of 100. */
static void threads_share(void **state)
{
    (void)state;
    static struct taker takers[THREADS];
    pthread_t threads[THREADS];
    struct rate_store *store = rate_table_new(1000);
    for (int i = 0; i < THREADS; i++) {
        takers[i] = (struct taker){.store = store};
        assert_int_equal(pthread_create(&threads[i], NULL, take_many, &takers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int k = 0; k < SHARED_KEYS; k++) {
        int64_t sum = 0;
        for (int i = 0; i < THREADS; i++)
            sum += takers[i].allowed[k];
        assert_in_range(sum, 100, 201);
    }
    store->free(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_counted_apart),
        cmocka_unit_test(eviction_never_refuses),
        cmocka_unit_test(remembers_what_it_was_made_for),
        cmocka_unit_test(the_idle_go_first),
        cmocka_unit_test(threads_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
