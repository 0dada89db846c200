/* SPDX-License-Identifier: Apache-2.0 */
#include "base/slice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static void comparing(void **state)
{
    (void)state;
    static const struct {
        struct slice a, b;
        bool equal, nocase, starts, starts_nocase, ends;
        int order;
    } table[] = {
        {{"", 0}, {"", 0}, true, true, true, true, true, 0},
        {{NULL, 0}, {"", 0}, true, true, true, true, true, 0},
        {{"a", 1}, {"", 0}, false, false, true, true, true, 1},
        {{"", 0}, {"a", 1}, false, false, false, false, false, -1},
        {{"abc", 3}, {"abc", 3}, true, true, true, true, true, 0},
        {{"abc", 3}, {"ABC", 3}, false, true, false, true, false, 1},
        {{"abc", 3}, {"ab", 2}, false, false, true, true, false, 1},
        {{"abc", 3}, {"AB", 2}, false, false, false, true, false, 1},
        {{"abc", 3}, {"bc", 2}, false, false, false, false, true, -1},
        {{"ab", 2}, {"abc", 3}, false, false, false, false, false, -1},
        {{"@", 1}, {"`", 1}, false, false, false, false, false, -1},
        {{"[", 1}, {"{", 1}, false, false, false, false, false, -1},
        {{"\x80", 1}, {"a", 1}, false, false, false, false, false, 1},
        {{"a\0b", 3}, {"a\0c", 3}, false, false, false, false, false, -1},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct slice a = table[i].a, b = table[i].b;
        assert_int_equal(slice_equal(a, b), table[i].equal);
        assert_int_equal(slice_equal_nocase(a, b), table[i].nocase);
        assert_int_equal(slice_starts(a, b), table[i].starts);
        assert_int_equal(slice_starts_nocase(a, b), table[i].starts_nocase);
        assert_int_equal(slice_ends(a, b), table[i].ends);
        int order = slice_compare(a, b);
        assert_int_equal((order > 0) - (order < 0), table[i].order);
    }
}

static void parts(void **state)
{
    (void)state;
    struct slice text = SLICE("key=value=");
    assert_int_equal(slice_find(text, '='), 3);
    assert_int_equal(slice_find(text, '!'), text.size);
    assert_int_equal(slice_find_slice(text, SLICE("=v")), 3);
    assert_int_equal(slice_find_slice(text, SLICE("=w")), text.size);
    assert_int_equal(slice_find_slice(SLICE("ab"), SLICE("abc")), 2);
    assert_true(slice_equal(slice_first(text, 3), SLICE("key")));
    assert_true(slice_equal(slice_first(text, 99), text));
    assert_true(slice_equal(slice_from(text, 4), SLICE("value=")));
    assert_int_equal(slice_from(text, 10).size, 0);
    assert_int_equal(slice_from(text, 99).size, 0);
    assert_true(slice_equal(slice_trim(SLICE(" \t a b\t ")), SLICE("a b")));
    assert_int_equal(slice_trim(SLICE(" \t ")).size, 0);
}

static void lists(void **state)
{
    (void)state;
    static const struct {
        const char *list, *joined; /* the elements, each followed by "|" */
    } table[] = {
        {"", ""},         {"a", "a|"},
        {"a,b", "a|b|"},  {" a ,\tb ", "a|b|"},
        {",,a,, ", "a|"}, {"gzip, br;q=1", "gzip|br;q=1|"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char joined[64] = "";
        struct slice rest = slice_from_cstring(table[i].list), element;
        while (slice_next_element(&rest, &element)) {
            strncat(joined, element.data, element.size);
            strcat(joined, "|");
        }
        assert_string_equal(joined, table[i].joined);
    }
    assert_true(slice_list_has(SLICE("keep-alive, Upgrade"), SLICE("upgrade")));
    assert_false(slice_list_has(SLICE("keep-alive, Upgraded"), SLICE("upgrade")));
    assert_false(slice_list_has(SLICE(""), SLICE("upgrade")));
}

static void numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t max;
        bool is_good;
        uint64_t value;
    } table[] = {
        {"0", 10, true, 0},
        {"10", 10, true, 10},
        {"11", 10, false, 0},
        {"", 10, false, 0},
        {"-1", 10, false, 0},
        {"+1", 10, false, 0},
        {" 1", 10, false, 0},
        {"1 ", 10, false, 0},
        {"0x1", 10, false, 0},
        {"18446744073709551615", UINT64_MAX, true, UINT64_MAX},
        {"18446744073709551616", UINT64_MAX, false, 0},
        {"99999999999999999999999", UINT64_MAX, false, 0},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        uint64_t value = 0;
        bool is_good = slice_to_u64(slice_from_cstring(table[i].text), table[i].max, &value);
        assert_int_equal(is_good, table[i].is_good);
        if (is_good)
            assert_true(value == table[i].value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comparing),
        cmocka_unit_test(parts),
        cmocka_unit_test(lists),
        cmocka_unit_test(numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
