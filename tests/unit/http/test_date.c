/* SPDX-License-Identifier: Apache-2.0 */
/* http/date: the three formats, and moments that nanoseconds cannot tell. */
#include "http/date.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void dates(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t seconds; /* −1: no date */
    } ROWS[] = {
        {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
        {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
        {"Sun Nov  6 08:49:37 1994", 784111777},
        {"Sun Nov 16 08:49:37 1994", 784975777},
        {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
        {"Sun, 06 Nov 1994 08:49:37", -1},
        {"Sun, 06 Nov 1994 08:49:37 UTC", -1},
        {"Sun, 6 Nov 1994 08:49:37 GMT", -1},
        {"Sun, 06 Nov 94 08:49:37 GMT", -1},
        {"0", -1},
        {"", -1},
        {"Thu, 18 Aug 2050 24:01:18 GMT", -1},
        {"Thu, 18 Aug 2050 2:01:18 GMT", -1},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        int64_t wall = -1;
        bool is_date = date_parse(slice_from_cstring(ROWS[i].text), &wall);
        assert_int_equal(is_date, ROWS[i].seconds >= 0);
        if (is_date)
            assert_int_equal(wall, SECONDS(ROWS[i].seconds));
    }
}

static void far_away(void **state)
{
    (void)state;
    int64_t late, later, early;
    assert_true(date_parse(SLICE("Mon, 01 Jan 2300 00:00:00 GMT"), &late));
    assert_true(date_parse(SLICE("Fri, 31 Dec 9999 23:59:59 GMT"), &later));
    assert_true(date_parse(SLICE("Mon, 01 Jan 0001 00:00:00 GMT"), &early));
    assert_int_equal(late, later);
    assert_true(later > SECONDS(INT64_C(4500000000)) && early < -SECONDS(INT64_C(4500000000)));
    assert_true(later - early > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dates),
        cmocka_unit_test(far_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
