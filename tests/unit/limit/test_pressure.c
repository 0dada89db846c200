/* SPDX-License-Identifier: Apache-2.0 */
#include "limit/pressure.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { BUDGET = 10000 };

static void begins_at_its_threshold(void **state)
{
    static const struct {
        int64_t used;
        enum pressure level;
    } ROWS[] = {
        {0, PRESSURE_NONE},        {8499, PRESSURE_NONE},   {8500, PRESSURE_TRIM},
        {9199, PRESSURE_TRIM},     {9200, PRESSURE_CLOSE},  {9499, PRESSURE_CLOSE},
        {9500, PRESSURE_REFUSE},   {9799, PRESSURE_REFUSE}, {9800, PRESSURE_END},
        {INT64_MAX, PRESSURE_END},
    };
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        assert_int_equal(pressure_next(PRESSURE_NONE, ROWS[i].used, BUDGET), ROWS[i].level);
}

static void is_left_later_than_it_was_reached(void **state)
{
    static const int64_t BEGINS[] = {0, 8500, 9200, 9500, 9800};
    (void)state;
    for (int level = PRESSURE_TRIM; level <= PRESSURE_END; level++) {
        assert_int_equal(pressure_next((enum pressure)level, BEGINS[level] - 1, BUDGET), level);
        assert_int_equal(pressure_next((enum pressure)level, BEGINS[level] - 200, BUDGET), level);
        assert_true((int)pressure_next((enum pressure)level, BEGINS[level] - 201, BUDGET) < level);
    }
    /* Falling through several, each as late as it is. */
    assert_int_equal(pressure_next(PRESSURE_END, 8300, BUDGET), PRESSURE_TRIM);
    assert_int_equal(pressure_next(PRESSURE_END, 8299, BUDGET), PRESSURE_NONE);
    /* What is above the present one begins where it begins. */
    assert_int_equal(pressure_next(PRESSURE_TRIM, 9199, BUDGET), PRESSURE_TRIM);
}

static void tells_room_and_excess(void **state)
{
    (void)state;
    assert_int_equal(pressure_room(0, BUDGET), 9500);
    assert_int_equal(pressure_room(9499, BUDGET), 1);
    assert_int_equal(pressure_room(9500, BUDGET), 0);
    assert_int_equal(pressure_room(20000, BUDGET), 0);
    assert_int_equal(pressure_spare(0, BUDGET), 8300);
    assert_int_equal(pressure_spare(8300, BUDGET), 0);
    assert_int_equal(pressure_spare(9000, BUDGET), -700);
    assert_int_equal(pressure_excess(9000, BUDGET), 0);
    assert_int_equal(pressure_excess(9001, BUDGET), 1);
    assert_int_equal(pressure_excess(10000, BUDGET), 1000);
    /* The largest budget that can be written does not overflow. */
    assert_int_equal(pressure_next(PRESSURE_NONE, (INT64_C(1) << 50) - 1, INT64_C(1) << 50),
                     PRESSURE_END);
    assert_string_equal(pressure_name(PRESSURE_NONE), "normal");
    assert_string_equal(pressure_name(PRESSURE_END), "end");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(begins_at_its_threshold),
        cmocka_unit_test(is_left_later_than_it_was_reached),
        cmocka_unit_test(tells_room_and_excess),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
