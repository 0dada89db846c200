/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of fields, known names, methods, and the table of refusals. */
#include "http/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void known_names(void **state)
{
    (void)state;
    for (int id = 1; id < FIELD_IDS; id++) {
        struct slice name = field_name_of((enum field_id)id);
        char text[64];
        assert_true(name.size > 0 && name.size < sizeof text);
        assert_int_equal(field_id_of(name), id);
        for (size_t i = 0; i < name.size; i++)
            text[i] = ascii_lower(name.data[i]);
        assert_int_equal(field_id_of(slice_of(text, name.size)), id);
        /* One letter changed, missing or added is another name. */
        for (size_t i = 0; i < name.size; i++) {
            char was = text[i];
            text[i] = '~';
            assert_int_equal(field_id_of(slice_of(text, name.size)), FIELD_OTHER);
            text[i] = was;
        }
        text[name.size] = '~';
        assert_int_equal(field_id_of(slice_of(text, name.size + 1)), FIELD_OTHER);
    }
    assert_int_equal(field_id_of(SLICE("")), FIELD_OTHER);
    assert_int_equal(field_id_of(SLICE("X-Unknown")), FIELD_OTHER);
}

static void what_may_be_added(void **state)
{
    (void)state;
    struct field items[2];
    struct fields fields;
    fields_init(&fields, NULL, items, 2);
    static const struct slice BAD_VALUES[] = {{"a\rb", 3}, {"a\nb", 3}, {"\0", 1}, {"\x7f", 1}};
    for (size_t i = 0; i < sizeof BAD_VALUES / sizeof *BAD_VALUES; i++)
        assert_false(fields_add(&fields, FIELD_HOST, BAD_VALUES[i]));
    static const struct slice BAD_NAMES[] = {
        {"", 0}, {"a b", 3}, {"a:", 2}, {"a\n", 2}, {"\xc3", 1}};
    for (size_t i = 0; i < sizeof BAD_NAMES / sizeof *BAD_NAMES; i++)
        assert_false(fields_add_named(&fields, BAD_NAMES[i], SLICE("v")));
    assert_int_equal(fields.count, 0);
    assert_true(fields_add_named(&fields, SLICE("host"), SLICE("a\tb \xff")));
    assert_int_equal(fields.items[0].id, FIELD_HOST);
    assert_true(fields_add(&fields, FIELD_COOKIE, SLICE("")));
    assert_false(fields_add(&fields, FIELD_COOKIE, SLICE("full")));
}

static void blanks_are_no_part_of_a_value(void **state)
{
    (void)state;
    struct field items[4];
    struct fields fields;
    fields_init(&fields, NULL, items, 4);
    assert_true(fields_add(&fields, FIELD_COOKIE, SLICE(" \t a b\t ")));
    assert_true(fields_add_named(&fields, SLICE("X-One"), SLICE("  ")));
    assert_true(fields_set(&fields, FIELD_SERVER, SLICE(" c")));
    assert_true(fields_set_named(&fields, SLICE("X-Two"), SLICE("d ")));
    static const struct slice WANTED[] = {{"a b", 3}, {"", 0}, {"c", 1}, {"d", 1}};
    for (size_t i = 0; i < 4; i++)
        assert_true(slice_equal(fields.items[i].value, WANTED[i]));
}

static void changing(void **state)
{
    (void)state;
    struct arena arena;
    struct fields fields;
    arena_init(&arena, NULL, 0);
    fields_init(&fields, &arena, NULL, 0);
    for (int i = 0; i < 50; i++) {
        assert_true(fields_add_named(&fields, SLICE("X-A"), SLICE("a")));
        assert_true(fields_add(&fields, FIELD_COOKIE, SLICE("c")));
    }
    assert_int_equal(fields.count, 100);
    assert_true(fields_set_named(&fields, SLICE("x-a"), SLICE("one")));
    assert_int_equal(fields.count, 51);
    assert_true(slice_equal(fields.items[0].value, SLICE("one"))); /* in the place of the first */
    assert_true(fields_set(&fields, FIELD_HOST, SLICE("h")));
    assert_true(slice_equal(fields_find(&fields, FIELD_HOST)->value, SLICE("h")));
    fields_remove(&fields, FIELD_COOKIE);
    assert_null(fields_find(&fields, FIELD_COOKIE));
    assert_int_equal(fields.count, 2);
    assert_true(fields_add_named(&fields, SLICE("X-a"), SLICE("two")));
    assert_true(slice_equal(fields_joined(&fields, SLICE("x-A"), &arena), SLICE("one, two")));
    assert_int_equal(fields_joined(&fields, SLICE("x-b"), &arena).size, 0);
    fields_remove_named(&fields, SLICE("X-A"));
    assert_null(fields_find_named(&fields, SLICE("X-A")));
    assert_int_equal(fields.count, 1);
    arena_done(&arena);
}

static void methods(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool is_safe, is_idempotent;
    } table[] = {
        {"GET", true, true},     {"HEAD", true, true},    {"POST", false, false},
        {"PUT", false, true},    {"DELETE", false, true}, {"CONNECT", false, false},
        {"OPTIONS", true, true}, {"TRACE", true, true},   {"PATCH", false, false},
        {"QUERY", true, true},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        enum method method = method_of(slice_from_cstring(table[i].name));
        assert_int_not_equal(method, METHOD_OTHER);
        assert_true(slice_equal(method_name(method), slice_from_cstring(table[i].name)));
        assert_int_equal(method_is_safe(method), table[i].is_safe);
        assert_int_equal(method_is_idempotent(method), table[i].is_idempotent);
    }
    assert_int_equal(method_of(SLICE("get")), METHOD_OTHER);
    assert_int_equal(method_of(SLICE("GETS")), METHOD_OTHER);
    assert_int_equal(method_name(METHOD_OTHER).size, 0);
    assert_false(method_is_safe(METHOD_OTHER) || method_is_idempotent(METHOD_OTHER));
}

static void refusals(void **state)
{
    (void)state;
    for (int i = 1; i < REFUSALS; i++) {
        const struct refusal_text *text = refusal_text((enum refusal)i);
        assert_in_range(text->status, 400, 599);
        assert_true(strlen(text->reason) > 0 && strlen(text->doc) > 10);
        for (int j = 1; j < i; j++)
            assert_string_not_equal(refusal_text((enum refusal)j)->reason, text->reason);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_names),
        cmocka_unit_test(what_may_be_added),
        cmocka_unit_test(blanks_are_no_part_of_a_value),
        cmocka_unit_test(changing),
        cmocka_unit_test(methods),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
