/* SPDX-License-Identifier: Apache-2.0 */
/* What a breaker counts, and in which time most of the answers came. */
#include "upstream/server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static struct thread thread;
static struct upstream *upstream;
static struct upstream_rules rules;

static int open(void **state)
{
    (void)state;
    upstream = memory_zero(sizeof *upstream);
    rules = (struct upstream_rules){0};
    upstream->rules_now = &rules;
    upstream->rules = &rules.config;
    return thread_init(&thread, "test", 0) == OK ? 0 : -1;
}

static int close(void **state)
{
    (void)state;
    thread_done(&thread);
    free(upstream);
    return 0;
}

static void requests_are_counted(void **state)
{
    (void)state;
    bool is_counted;
    assert_true(breaker_enter(upstream, &is_counted));
    assert_false(is_counted); /* no limit, no counting */
    assert_int_equal(upstream->breaker.requests, 0);
    rules.config.requests_max = 2;
    for (int i = 0; i < 2; i++) {
        assert_true(breaker_enter(upstream, &is_counted));
        assert_true(is_counted);
    }
    assert_false(breaker_enter(upstream, &is_counted));
    assert_false(is_counted);
    assert_int_equal(upstream->breaker.requests, 2);
    breaker_leave(upstream);
    assert_true(breaker_enter(upstream, &is_counted));
    assert_int_equal(breaker_limit(upstream), 2);
}

static void connects_are_counted(void **state)
{
    (void)state;
    assert_true(breaker_begin_connect(upstream));
    breaker_end_connect(upstream);
    assert_int_equal(upstream->breaker.connects, 0);
    rules.config.connects_max = 1;
    assert_true(breaker_begin_connect(upstream));
    assert_false(breaker_begin_connect(upstream));
    assert_int_equal(upstream->breaker.connects, 1);
    breaker_end_connect(upstream);
    assert_true(breaker_begin_connect(upstream));
}

static void percentiles(void **state)
{
    (void)state;
    for (int64_t took = 65536; took < SECONDS(100); took += 1 + took / 61) {
        struct latency latency = {0};
        for (int i = 0; i < 19; i++)
            latency_add(&latency, took);
        assert_int_equal(latency_percentile(&latency, 95), 0);
        latency_add(&latency, took);
        int64_t said = latency_percentile(&latency, 95);
        assert_in_range(said, took + 1, took + took / 4 + 1);
        /* What lies at the end of a bucket belongs to the next. */
        struct latency next = {0};
        for (int i = 0; i < 20; i++)
            latency_add(&next, said);
        assert_true(latency_percentile(&next, 95) > said);
    }
    struct latency latency = {0};
    for (int i = 0; i < 95; i++)
        latency_add(&latency, MILLISECONDS(1));
    for (int i = 0; i < 5; i++)
        latency_add(&latency, MILLISECONDS(100));
    assert_in_range(latency_percentile(&latency, 95), MILLISECONDS(1), MILLISECONDS(1) * 5 / 4);
    latency_add(&latency, MILLISECONDS(100));
    assert_in_range(latency_percentile(&latency, 95), MILLISECONDS(100), MILLISECONDS(100) * 5 / 4);
    struct latency quick = {0};
    for (int i = 0; i < 20; i++)
        latency_add(&quick, i);
    assert_int_equal(latency_percentile(&quick, 95), 65536);
    struct latency slow = {0};
    for (int i = 0; i < 20; i++)
        latency_add(&slow, INT64_MAX);
    assert_true(latency_percentile(&slow, 95) > SECONDS(900));
}

/* 4,096 answers later the old ones count half. */
static void old_answers_count_less(void **state)
{
    (void)state;
    struct latency latency = {0};
    for (int i = 0; i < 4095; i++)
        latency_add(&latency, MILLISECONDS(1));
    assert_int_equal(latency.total, 4095);
    latency_add(&latency, MILLISECONDS(1));
    assert_int_equal(latency.total, 2048);
    for (int i = 0; i < 200; i++)
        latency_add(&latency, MILLISECONDS(100));
    assert_true(latency_percentile(&latency, 95) > MILLISECONDS(100));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open, close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(requests_are_counted),
        TEST(connects_are_counted),
        TEST(percentiles),
        TEST(old_answers_count_less),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
