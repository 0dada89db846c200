/* SPDX-License-Identifier: Apache-2.0 */
#include "limit/tally.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void counts_in_and_out(void **state)
{
    (void)state;
    struct tally *tally = tally_new();
    uint64_t a = tally_key(tally, SLICE("a"));
    uint64_t b = tally_key(tally, SLICE("b"));
    assert_true(a != b && a == tally_key(tally, SLICE("a")));
    assert_true(tally_enter(tally, a, 2) && tally_enter(tally, a, 2));
    assert_false(tally_enter(tally, a, 2));
    assert_true(tally_enter(tally, b, 1));
    assert_false(tally_enter(tally, b, 1));
    tally_leave(tally, a);
    assert_true(tally_enter(tally, a, 2));
    assert_false(tally_enter(tally, a, 0));
    tally_free(tally);
}

static void secrets_differ(void **state)
{
    (void)state;
    struct tally *one = tally_new();
    struct tally *other = tally_new();
    assert_true(tally_key(one, SLICE("a")) != tally_key(other, SLICE("a")));
    tally_free(one);
    tally_free(other);
}

enum { THREADS = 4, ROUNDS = 50000, MOST = 3 };

static struct tally *shared;
static int inside, most_inside;

static void *enter_and_leave(void *argument)
{
    (void)argument;
    uint64_t key = tally_key(shared, SLICE("one"));
    for (int i = 0; i < ROUNDS; i++) {
        if (!tally_enter(shared, key, MOST))
            continue;
        int now = __atomic_add_fetch(&inside, 1, __ATOMIC_RELAXED);
        int most = __atomic_load_n(&most_inside, __ATOMIC_RELAXED);
        while (now > most && !__atomic_compare_exchange_n(&most_inside, &most, now, false,
                                                          __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
        }
        __atomic_sub_fetch(&inside, 1, __ATOMIC_RELAXED);
        tally_leave(shared, key);
    }
    return NULL;
}

static void never_more_than_allowed(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    shared = tally_new();
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, enter_and_leave, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_in_range(most_inside, 1, MOST);
    uint64_t key = tally_key(shared, SLICE("one"));
    for (int i = 0; i < MOST; i++)
        assert_true(tally_enter(shared, key, MOST)); /* all have left */
    tally_free(shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_in_and_out),
        cmocka_unit_test(secrets_differ),
        cmocka_unit_test(never_more_than_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
