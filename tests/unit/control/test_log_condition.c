/* SPDX-License-Identifier: Apache-2.0 */
#include "control/log_condition.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static bool takes(const char *text, unsigned low, unsigned high)
{
    struct log_condition condition = {0};
    if (!log_condition_add_status(&condition, slice_from_cstring(text)))
        return false;
    assert_int_equal(condition.statuses[0].low, low);
    assert_int_equal(condition.statuses[0].high, high);
    return true;
}

static void statuses(void **state)
{
    (void)state;
    assert_true(takes("404", 404, 404));
    assert_true(takes("100-599", 100, 599));
    assert_true(takes("500-500", 500, 500));
    assert_true(takes("1xx", 100, 199));
    assert_true(takes("5xx", 500, 599));
    static const char *const WRONG[] = {"",        "0xx",     "6xx",  "99",  "600", "404-",
                                        "-404",    "500-499", "4xx5", "xxx", "4x",  "99-200",
                                        "200-600", "4 04",    "+404", "4XX"};
    for (size_t i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++)
        assert_false(takes(WRONG[i], 0, 0));
    struct log_condition condition = {0};
    for (int i = 0; i < LOG_CONDITION_STATUSES_MAX; i++)
        assert_true(log_condition_add_status(&condition, SLICE("404")));
    assert_false(log_condition_add_status(&condition, SLICE("404")));
}

static void all_or_any(void **state)
{
    (void)state;
    struct log_condition nothing = {0};
    assert_true(log_condition_holds(&nothing, 200, 0, false));
    nothing.any = true;
    assert_true(log_condition_holds(&nothing, 200, 0, false));

    struct log_condition one = {.slow = SECONDS(1), .failed = true};
    assert_true(log_condition_add_status(&one, SLICE("4xx")));
    assert_true(log_condition_add_status(&one, SLICE("500-502")));
    assert_true(log_condition_holds(&one, 502, SECONDS(1), true));
    assert_false(log_condition_holds(&one, 503, SECONDS(1), true));
    assert_false(log_condition_holds(&one, 502, SECONDS(1) - 1, true));
    assert_false(log_condition_holds(&one, 502, SECONDS(1), false));
    one.any = true;
    assert_true(log_condition_holds(&one, 499, 0, false));
    assert_true(log_condition_holds(&one, 200, SECONDS(1), false));
    assert_true(log_condition_holds(&one, 200, 0, true));
    assert_false(log_condition_holds(&one, 399, SECONDS(1) - 1, false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statuses),
        cmocka_unit_test(all_or_any),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
