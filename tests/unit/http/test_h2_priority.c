/* SPDX-License-Identifier: Apache-2.0 */
#include "http/h2_inside.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_values(void **state)
{
    static const struct {
        const char *value;
        unsigned urgency;
        bool is_incremental;
    } CASES[] = {
        {"", 3, false},
        {"u=0", 0, false},
        {"u=7", 7, false},
        {"u=8", 3, false},
        {"u=-1", 3, false},
        {"u=1.0", 3, false},
        {"u=10", 3, false},
        {"u", 3, false},
        {"U=1", 3, false},
        {"i", 3, true},
        {"i=?1", 3, true},
        {"i=?0", 3, false},
        {"i=1", 3, false},
        {"i, i=?0", 3, false},
        {"u=5, i", 5, true},
        {"i,u=5", 5, true},
        {" \tu=5 ,\t i ", 5, true},
        {"u=1,u=2", 2, false},
        {"u=1,u=9", 1, false},
        {"u=2;a=b;c, i;d", 2, true},
        {"x=\"a,u=1\", u=6", 6, false},
        {"x=\"a\\\",u=1\", i", 3, true},
        {"x=\"u=1,i", 3, false},
        {"x=\"\\", 3, false},
        {"x=(1 2), u=4", 4, false},
        {"(((", 3, false},
        {",,,", 3, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct h2_priority got = h2_priority_read(slice_from_cstring(CASES[i].value));
        assert_int_equal(got.urgency, CASES[i].urgency);
        assert_int_equal(got.is_incremental, CASES[i].is_incremental);
        assert_int_equal(got.id, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_values)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
