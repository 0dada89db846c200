/* SPDX-License-Identifier: Apache-2.0 */
/* http/cache_unkeyed: what goes, and what looks alike and stays. */
#include "http/cache_unkeyed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void names(void **state)
{
    (void)state;
    static const char *const GO[] = {
        "X-Forwarded-Host", "x-forwarded-host", "X-FORWARDED-ANYTHING",   "X-Forwarded",
        "Forwarded",        "X-Original-URL",   "x-original-host",        "X-Rewrite-Url",
        "X-Host",           "X-Scheme",         "X-HTTP-Method-Override", "X-Method-Override",
        "True-Client-IP",   "Front-End-Https",
    };
    static const char *const STAY[] = {
        "Host",  "Accept", "Cookie",   "X-Forward", "X-Origin", "X-Hosts", "X-Original",
        "Range", "Origin", "X-Method", "Scheme",    "Via",      "",        "X-Request-ID",
    };
    struct arena arena;
    struct field items[64];
    struct fields fields;
    arena_init(&arena, NULL, 0);
    fields_init(&fields, &arena, items, 64);
    uint32_t stay = 0;
    for (size_t i = 0; i < sizeof STAY / sizeof *STAY; i++) {
        assert_false(cache_is_unkeyed(slice_from_cstring(STAY[i])));
        stay += fields_add_named(&fields, slice_from_cstring(STAY[i]), SLICE("a"));
        assert_true(cache_is_unkeyed(slice_from_cstring(GO[i])));
        assert_true(fields_add_named(&fields, slice_from_cstring(GO[i]), SLICE("b")));
        assert_true(fields_add_named(&fields, slice_from_cstring(GO[i]), SLICE("c")));
    }
    cache_strip_unkeyed(&fields);
    assert_int_equal(fields.count, stay);
    for (uint32_t i = 0; i < fields.count; i++)
        assert_true(slice_equal(fields.items[i].value, SLICE("a")));
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
