/* SPDX-License-Identifier: Apache-2.0 */
#include "base/random.h"
#include "fiber/timer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MANY = 2000 };

struct probe {
    struct timer timer;
    int64_t wanted;
    int64_t fired;
};

static int64_t now_of_test;
static int fired_count;

static void on_fire(struct timer *timer)
{
    struct probe *probe = LIST_ENTRY(timer, struct probe, timer);
    probe->fired = now_of_test;
    fired_count++;
}

/* Whatever the order of setting, moving and clearing: never early, and at most a tick late. */
static void timers_fire_in_time(void **state)
{
    (void)state;
    static struct timers timers; /* too large for a frame */
    struct random random = {{1, 2, 3, 4}};
    struct probe *probes = calloc(MANY, sizeof *probes);
    now_of_test = SECONDS(100) + 12345;
    timers_init(&timers, now_of_test);
    fired_count = 0;
    for (int i = 0; i < MANY; i++) {
        int64_t range = i % 3 == 0 ? SECONDS(1) : i % 3 == 1 ? SECONDS(90) : SECONDS(100000);
        probes[i].wanted = now_of_test + (int64_t)(random_next(&random) % (uint64_t)range);
        probes[i].timer.on_fire = on_fire;
        timer_set(&timers, &probes[i].timer, probes[i].wanted);
    }
    for (int i = 0; i < MANY; i += 7) {
        timer_clear(&timers, &probes[i].timer);
        probes[i].wanted = 0;
    }
    for (int i = 1; i < MANY; i += 7) {
        probes[i].wanted += SECONDS(3);
        timer_set(&timers, &probes[i].timer, probes[i].wanted);
    }
    while (timers.count > 0) {
        int64_t next = timers_next(&timers);
        assert_true(next > 0 && next != CLOCK_NEVER);
        now_of_test = next > now_of_test ? next : now_of_test;
        timers_run(&timers, now_of_test, MANY);
    }
    assert_int_equal(timers_next(&timers), CLOCK_NEVER);
    for (int i = 0; i < MANY; i++) {
        if (probes[i].wanted == 0) {
            assert_int_equal(probes[i].fired, 0);
            continue;
        }
        assert_true(probes[i].fired >= probes[i].wanted);
        assert_true(probes[i].fired <= probes[i].wanted + MILLISECONDS(3));
    }
    free(probes);
}

static struct timers shared;
static struct probe again;
static int rounds;

static void on_fire_again(struct timer *timer)
{
    if (++rounds < 5)
        timer_set(&shared, timer, now_of_test + MILLISECONDS(10));
}

static void a_timer_may_set_itself_again(void **state)
{
    (void)state;
    now_of_test = SECONDS(5);
    timers_init(&shared, now_of_test);
    again.timer.on_fire = on_fire_again;
    timer_set(&shared, &again.timer, now_of_test);
    for (int i = 0; i < 100; i++) {
        now_of_test += MILLISECONDS(2);
        timers_run(&shared, now_of_test, MANY);
    }
    assert_int_equal(rounds, 5);
    timer_set(&shared, &again.timer, CLOCK_NEVER);
    assert_false(timer_is_set(&again.timer));
}

static void a_long_sleep_fires_all_that_is_due(void **state)
{
    (void)state;
    static struct timers timers; /* too large for a frame */
    struct probe probes[3] = {0};
    now_of_test = 1;
    timers_init(&timers, now_of_test);
    fired_count = 0;
    for (int i = 0; i < 3; i++) {
        probes[i].timer.on_fire = on_fire;
        timer_set(&timers, &probes[i].timer, SECONDS(1 + i * 1000));
    }
    now_of_test = SECONDS(86400);
    timers_run(&timers, now_of_test, MANY);
    assert_int_equal(fired_count, 3);
}

/* Those that are left come first the next time, also when the hand stands still; one of them may be
 * cleared or moved before. */
static void no_more_fire_than_asked_for(void **state)
{
    (void)state;
    static struct timers timers;
    struct probe probes[10] = {0};
    now_of_test = SECONDS(7);
    timers_init(&timers, now_of_test);
    fired_count = 0;
    for (int i = 0; i < 10; i++) {
        probes[i].timer.on_fire = on_fire;
        timer_set(&timers, &probes[i].timer, now_of_test + MILLISECONDS(i < 8 ? 5 : 9));
    }
    now_of_test += MILLISECONDS(20);
    timers_run(&timers, now_of_test, 3);
    assert_int_equal(fired_count, 3);
    assert_true(timers_next(&timers) <= now_of_test);
    timers_run(&timers, now_of_test, 0);
    assert_int_equal(fired_count, 3);
    timer_clear(&timers, &probes[3].timer);
    timer_set(&timers, &probes[4].timer, now_of_test + SECONDS(1));
    timers_run(&timers, now_of_test, 3);
    assert_int_equal(fired_count, 6);
    assert_true(probes[7].fired > 0 && probes[8].fired == 0);
    timers_run(&timers, now_of_test, 3);
    assert_int_equal(fired_count, 8);
    assert_int_equal(timers.count, 1);
    assert_true(timers_next(&timers) > now_of_test);
    now_of_test += SECONDS(2);
    timers_run(&timers, now_of_test, 1);
    assert_int_equal(fired_count, 9);
    assert_int_equal(probes[3].fired, 0);
    assert_int_equal(timers_next(&timers), CLOCK_NEVER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_fire_in_time),
        cmocka_unit_test(a_timer_may_set_itself_again),
        cmocka_unit_test(a_long_sleep_fires_all_that_is_due),
        cmocka_unit_test(no_more_fire_than_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
