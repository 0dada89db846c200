/* SPDX-License-Identifier: Apache-2.0 */
#include "limit/rate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MS INT64_C(1000000)

static void burst_then_the_rate(void **state)
{
    (void)state;
    const struct rate rate = {.interval = 50 * MS, .burst = 3}; /* 20r/s */
    int64_t until = 0;
    int64_t now = 1000 * MS;
    for (int i = 0; i < 4; i++) {
        struct rate_answer answer = rate_take(&rate, now, &until);
        assert_true(answer.is_allowed);
        assert_int_equal(answer.remaining, 3 - i);
        assert_int_equal(answer.pace, i * 50 * MS);
        assert_int_equal(answer.reset, (i + 1) * 50 * MS);
    }
    int64_t before = until;
    struct rate_answer answer = rate_take(&rate, now, &until);
    assert_false(answer.is_allowed);
    assert_int_equal(until, before); /* a refusal costs nothing */
    assert_int_equal(answer.retry, 50 * MS);
    assert_false(rate_take(&rate, now + 50 * MS - 1, &until).is_allowed);
    assert_true(rate_take(&rate, now + 50 * MS, &until).is_allowed);
    assert_false(rate_take(&rate, now + 50 * MS, &until).is_allowed);
}

static void without_a_burst(void **state)
{
    (void)state;
    const struct rate rate = {.interval = 100 * MS};
    int64_t until = 0;
    assert_true(rate_take(&rate, 5 * MS, &until).is_allowed);
    struct rate_answer answer = rate_take(&rate, 5 * MS, &until);
    assert_false(answer.is_allowed);
    assert_int_equal(answer.retry, 100 * MS);
    assert_int_equal(answer.remaining, 0);
    assert_true(rate_take(&rate, 105 * MS, &until).is_allowed);
}

/* However requests are spread, in any time no more come than the rate and the burst say, and no
 * fewer than the rate when there are enough. */
static void holds_over_any_time(void **state)
{
    (void)state;
    const struct rate rate = {.interval = 7 * MS, .burst = 5};
    uint64_t random = 88172645463325252ULL;
    int64_t until = 0;
    int64_t now = 0;
    int64_t allowed = 0;
    for (int i = 0; i < 200000; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        now += (int64_t)(random % (2 * MS)); /* seven times too many */
        allowed += rate_take(&rate, now, &until).is_allowed;
        assert_true(allowed <= now / rate.interval + rate.burst + 1);
    }
    assert_true(allowed >= now / rate.interval);
}

static void idleness_gives_the_burst_and_no_more(void **state)
{
    (void)state;
    const struct rate rate = {.interval = MS, .burst = 9};
    int64_t until = 0;
    int64_t allowed = 0;
    for (int i = 0; i < 100; i++)
        allowed += rate_take(&rate, 3600000 * MS, &until).is_allowed;
    assert_int_equal(allowed, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(burst_then_the_rate),
        cmocka_unit_test(without_a_burst),
        cmocka_unit_test(holds_over_any_time),
        cmocka_unit_test(idleness_gives_the_burst_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
