/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "http/conditional.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MONDAY  "Mon, 16 Nov 2026 08:00:00 GMT"
#define TUESDAY "Tue, 17 Nov 2026 08:00:00 GMT"
#define SUNDAY  "Sun, 15 Nov 2026 08:00:00 GMT"

static void lists_of_tags(void **state)
{
    (void)state;
    static const struct {
        const char *list, *etag;
        bool weakly, strongly;
    } CASES[] = {
        {"\"a\"", "\"a\"", true, true}, /* RFC 9110 §8.8.3.2, the table */
        {"W/\"1\"", "W/\"1\"", true, false},
        {"W/\"1\"", "W/\"2\"", false, false},
        {"W/\"1\"", "\"1\"", true, false},
        {"\"1\"", "W/\"1\"", true, false},
        {"\"1\"", "\"1\"", true, true},
        {"*", "\"a\"", true, true},
        {" * ", "\"a\"", true, true},
        {"\"b\", \"a\"", "\"a\"", true, true},
        {"\"b\",\"a\"", "\"a\"", true, true},
        {",, \"b\" , ,\"a\",", "\"a\"", true, true},
        {"\"b,a\"", "\"a\"", false, false},
        {"\"b,a\"", "\"b,a\"", true, true},
        {"\"\"", "\"\"", true, true},
        {"a", "\"a\"", false, false},
        {"\"b\" \"a\"", "\"a\"", false, false},
        {"\"b\", a\"", "\"a\"", false, false},
        {"\"a\" x", "\"a\"", true, true},
        {"w/\"a\"", "\"a\"", false, false},
        {"\"a", "\"a\"", false, false},
        {"\"a b\", \"a\"", "\"a\"", false, false},
        {"", "\"a\"", false, false},
        {"\"a\"", "", false, false},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct slice list = slice_from_cstring(CASES[i].list);
        struct slice etag = slice_from_cstring(CASES[i].etag);
        if (conditional_list_has(list, etag, true) != CASES[i].weakly ||
            conditional_list_has(list, etag, false) != CASES[i].strongly)
            fail_msg("%s of %s", CASES[i].etag, CASES[i].list);
    }
    assert_true(conditional_is_etag(SLICE("W/\"a\"")) && conditional_is_etag(SLICE("\"\"")));
    assert_false(conditional_is_etag(SLICE("\"")) || conditional_is_etag(SLICE("a")) ||
                 conditional_is_etag(SLICE("")) || conditional_is_etag(SLICE("\"a\"b")));
    assert_true(conditional_is_strong(SLICE("\"a\"")));
    assert_false(conditional_is_strong(SLICE("W/\"a\"")));
}

/* RFC 9110 §13.2.2: what is said of "\"a\"", last modified on MONDAY. */
static void in_their_order(void **state)
{
    (void)state;
    static const struct {
        enum method method;
        const char *if_match, *if_unmodified, *if_none_match, *if_modified;
        enum condition all, cached;
    } CASES[] = {
        {METHOD_GET, "", "", "", "", CONDITION_NONE, CONDITION_NONE},
        /* §13.1.2 */
        {METHOD_GET, "", "", "\"a\"", "", CONDITION_NOT_MODIFIED, CONDITION_NOT_MODIFIED},
        {METHOD_HEAD, "", "", "W/\"a\"", "", CONDITION_NOT_MODIFIED, CONDITION_NOT_MODIFIED},
        {METHOD_QUERY, "", "", "\"a\"", "", CONDITION_NOT_MODIFIED, CONDITION_NOT_MODIFIED},
        {METHOD_PUT, "", "", "\"a\"", "", CONDITION_FAILED, CONDITION_FAILED},
        {METHOD_PUT, "", "", "*", "", CONDITION_FAILED, CONDITION_FAILED},
        {METHOD_GET, "", "", "\"b\"", "", CONDITION_HOLDS, CONDITION_HOLDS},
        {METHOD_GET, "", "", "nonsense", "", CONDITION_HOLDS, CONDITION_HOLDS},
        /* §13.1.3; not looked at beside If-None-Match */
        {METHOD_GET, "", "", "", MONDAY, CONDITION_NOT_MODIFIED, CONDITION_NOT_MODIFIED},
        {METHOD_GET, "", "", "", TUESDAY, CONDITION_NOT_MODIFIED, CONDITION_NOT_MODIFIED},
        {METHOD_GET, "", "", "", SUNDAY, CONDITION_HOLDS, CONDITION_HOLDS},
        {METHOD_GET, "", "", "\"b\"", TUESDAY, CONDITION_HOLDS, CONDITION_HOLDS},
        {METHOD_GET, "", "", "\"a\"", SUNDAY, CONDITION_NOT_MODIFIED, CONDITION_NOT_MODIFIED},
        {METHOD_GET, "", "", "", "yesterday", CONDITION_NONE, CONDITION_NONE},
        {METHOD_POST, "", "", "", TUESDAY, CONDITION_NONE, CONDITION_NONE},
        /* §13.1.1 */
        {METHOD_PUT, "\"a\"", "", "", "", CONDITION_HOLDS, CONDITION_NONE},
        {METHOD_PUT, "*", "", "", "", CONDITION_HOLDS, CONDITION_NONE},
        {METHOD_PUT, "W/\"a\"", "", "", "", CONDITION_FAILED, CONDITION_NONE},
        {METHOD_GET, "\"b\"", "", "\"a\"", "", CONDITION_FAILED, CONDITION_NOT_MODIFIED},
        {METHOD_GET, "\"a\"", "", "\"a\"", "", CONDITION_NOT_MODIFIED, CONDITION_NOT_MODIFIED},
        /* §13.1.4; not looked at beside If-Match */
        {METHOD_PUT, "", MONDAY, "", "", CONDITION_HOLDS, CONDITION_NONE},
        {METHOD_PUT, "", SUNDAY, "", "", CONDITION_FAILED, CONDITION_NONE},
        {METHOD_PUT, "", "yesterday", "", "", CONDITION_NONE, CONDITION_NONE},
        {METHOD_PUT, "\"a\"", SUNDAY, "", "", CONDITION_HOLDS, CONDITION_NONE},
    };
    const struct validators now = {SLICE("\"a\""), SLICE(MONDAY), 0};
    struct arena arena;
    arena_init(&arena, NULL, 0);
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct fields fields;
        fields_init(&fields, &arena, NULL, 0);
        const struct {
            enum field_id id;
            const char *value;
        } SAID[] = {{FIELD_IF_MATCH, CASES[i].if_match},
                    {FIELD_IF_UNMODIFIED_SINCE, CASES[i].if_unmodified},
                    {FIELD_IF_NONE_MATCH, CASES[i].if_none_match},
                    {FIELD_IF_MODIFIED_SINCE, CASES[i].if_modified}};
        for (size_t k = 0; k < 4; k++)
            if (SAID[k].value[0] != '\0')
                fields_add(&fields, SAID[k].id, slice_from_cstring(SAID[k].value));
        enum condition all = conditional_check(CASES[i].method, &fields, &now, true, &arena);
        enum condition cached = conditional_check_cached(CASES[i].method, &fields, &now, &arena);
        if (all != CASES[i].all || cached != CASES[i].cached)
            fail_msg("case %zu: %d, %d", i, all, cached);
    }
    arena_done(&arena);
}

static void of_nothing(void **state)
{
    (void)state;
    struct field items[2];
    struct fields fields;
    const struct validators none = {.date = 0};
    fields_init(&fields, NULL, items, 2);
    fields_add(&fields, FIELD_IF_NONE_MATCH, SLICE("*"));
    assert_int_equal(conditional_check(METHOD_PUT, &fields, &none, false, NULL), CONDITION_HOLDS);
    fields_init(&fields, NULL, items, 2);
    fields_add(&fields, FIELD_IF_MATCH, SLICE("*"));
    assert_int_equal(conditional_check(METHOD_PUT, &fields, &none, false, NULL), CONDITION_FAILED);
    fields_init(&fields, NULL, items, 2);
    fields_add(&fields, FIELD_IF_MODIFIED_SINCE, SLICE(MONDAY));
    assert_int_equal(conditional_check(METHOD_GET, &fields, &none, true, NULL), CONDITION_NONE);
}

static void several_lines_are_one_list(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, NULL, 0);
    struct fields fields;
    fields_init(&fields, &arena, NULL, 0);
    fields_add(&fields, FIELD_IF_NONE_MATCH, SLICE("\"b\""));
    fields_add(&fields, FIELD_IF_NONE_MATCH, SLICE("\"a\""));
    const struct validators now = {SLICE("\"a\""), SLICE(""), 0};
    assert_int_equal(conditional_check(METHOD_GET, &fields, &now, true, &arena),
                     CONDITION_NOT_MODIFIED);
    arena_done(&arena);
}

/* RFC 9110 §13.1.5 */
static void ranges_of_what_there_is(void **state)
{
    (void)state;
    int64_t monday = SECONDS(1794816000);
    static const struct {
        const char *value, *etag, *modified;
        int64_t later;
        bool holds;
    } CASES[] = {
        {"\"a\"", "\"a\"", "", 0, true},      {"\"a\"", "\"b\"", "", 0, false},
        {"W/\"a\"", "W/\"a\"", "", 0, false}, {"\"a\"", "W/\"a\"", "", 0, false},
        {"\"a\"", "", MONDAY, 60, false},     {MONDAY, "", MONDAY, 1, true},
        {MONDAY, "", MONDAY, 0, false}, /* §8.8.2.2: it may have changed again since */
        {MONDAY, "\"a\"", MONDAY, 60, true},  {TUESDAY, "", MONDAY, 60, false},
        {SUNDAY, "", MONDAY, 60, false},      {"nonsense", "\"a\"", MONDAY, 60, false},
        {"", "\"a\"", MONDAY, 60, false},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct field items[1];
        struct fields fields;
        fields_init(&fields, NULL, items, 1);
        struct validators now = {slice_from_cstring(CASES[i].etag),
                                 slice_from_cstring(CASES[i].modified),
                                 monday + SECONDS(CASES[i].later)};
        assert_true(conditional_range_holds(&fields, &now));
        fields_add(&fields, FIELD_IF_RANGE, slice_from_cstring(CASES[i].value));
        if (conditional_range_holds(&fields, &now) != CASES[i].holds)
            fail_msg("%s of %s %s", CASES[i].value, CASES[i].etag, CASES[i].modified);
    }
}

static void validators_are_found(void **state)
{
    (void)state;
    struct field items[3];
    struct fields fields;
    fields_init(&fields, NULL, items, 3);
    struct validators now = validators_of(&fields);
    assert_true(now.etag.size == 0 && now.last_modified.size == 0 && now.date == 0);
    fields_add(&fields, FIELD_ETAG, SLICE("W/\"x\""));
    fields_add(&fields, FIELD_LAST_MODIFIED, SLICE(MONDAY));
    fields_add(&fields, FIELD_DATE, SLICE(TUESDAY));
    now = validators_of(&fields);
    assert_true(slice_equal(now.etag, SLICE("W/\"x\"")));
    assert_true(slice_equal(now.last_modified, SLICE(MONDAY)));
    assert_true(now.date == SECONDS(1794816000 + 86400));
    fields_set(&fields, FIELD_ETAG, SLICE("bare"));
    assert_int_equal(validators_of(&fields).etag.size, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_of_tags),
        cmocka_unit_test(in_their_order),
        cmocka_unit_test(of_nothing),
        cmocka_unit_test(several_lines_are_one_list),
        cmocka_unit_test(ranges_of_what_there_is),
        cmocka_unit_test(validators_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
