/* SPDX-License-Identifier: Apache-2.0 */
#include "http/trace_context.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define TRACE  "4bf92f3577b34da6a3ce929d0e0e4736"
#define PARENT "00f067aa0ba902b7"
#define ZEROS  "00000000000000000000000000000000"

static void values(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        bool is_good;
    } TABLE[] = {
        {"00-" TRACE "-" PARENT "-01", true},
        {"00-" TRACE "-" PARENT "-00", true},
        {"00-" TRACE "-" PARENT "-ff", true},
        {"cc-" TRACE "-" PARENT "-01", true},
        {"cc-" TRACE "-" PARENT "-01-what-comes", true}, /* §4.3: a later version */
        {"cc-" TRACE "-" PARENT "-01.what", false},
        {"00-" TRACE "-" PARENT "-01-more", false},
        {"00-" TRACE "-" PARENT "-01-", false},
        {"ff-" TRACE "-" PARENT "-01", false}, /* §3.2.2.1: no version */
        {"00-" ZEROS "-" PARENT "-01", false},
        {"00-" TRACE "-0000000000000000-01", false},
        {"00-4BF92F3577B34DA6A3CE929D0E0E4736-" PARENT "-01", false},
        {"00-" TRACE "-00F067AA0BA902B7-01", false},
        {"00-" TRACE "-" PARENT "-0", false},
        {"00-" TRACE "-" PARENT "-0g", false},
        {"00-" TRACE "-" PARENT, false},
        {"00_" TRACE "-" PARENT "-01", false},
        {"00-" TRACE "_" PARENT "-01", false},
        {"00-" TRACE "-" PARENT "_01", false},
        {"0-" TRACE "-" PARENT "-001", false},
        {"00-" TRACE "-" PARENT "-01, 00-" TRACE "-" PARENT "-01", false}, /* twice */
        {"gg-" TRACE "-" PARENT "-01", false},
        {"00", false},
        {"", false},
    };
    for (size_t i = 0; i < sizeof TABLE / sizeof *TABLE; i++) {
        struct slice id = trace_context_id(slice_from_cstring(TABLE[i].value));
        if (slice_equal(id, TABLE[i].is_good ? SLICE(TRACE) : SLICE("")))
            continue;
        fail_msg("%s", TABLE[i].value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(values)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
