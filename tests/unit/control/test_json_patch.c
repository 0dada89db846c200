/* SPDX-License-Identifier: Apache-2.0 */
/* Changes to JSON: the examples of RFC 7396 and RFC 6902, and what must be refused. */
#include "control/json_patch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static struct json_value *read(const char *text, struct arena *arena)
{
    struct config_errors errors;
    config_errors_init(&errors, arena);
    struct config_tree *tree = config_tree_new(arena, &errors, &CONFIG_SYSTEM);
    struct config_file *file = arena_zero(arena, sizeof *file);
    struct json_value *value = arena_zero(arena, sizeof *value);
    *file = (struct config_file){.name = SLICE("t"), .text = slice_from_cstring(text)};
    assert_true(json_value_parse(tree, file, value));
    return value;
}

static void merge(const char *from, const char *patch, const char *to)
{
    struct arena arena;
    arena_init(&arena, NULL, 0);
    struct json_value *value = read(from, &arena);
    json_merge_patch(value, read(patch, &arena), &arena);
    struct buffer out = buffer_in(&arena, 64);
    json_value_write(value, &out);
    buffer_append_byte(&out, '\0');
    assert_string_equal(out.data, to);
    arena_done(&arena);
}

/* NULL `to`: it must be refused. */
static void operate(const char *from, const char *patch, const char *to)
{
    struct arena arena;
    struct slice why = SLICE("");
    arena_init(&arena, NULL, 0);
    struct json_value *value = read(from, &arena);
    bool is_good = json_patch(value, read(patch, &arena), &arena, &why);
    assert_int_equal(is_good, to != NULL);
    assert_int_equal(is_good, why.size == 0);
    if (is_good) {
        struct buffer out = buffer_in(&arena, 64);
        json_value_write(value, &out);
        buffer_append_byte(&out, '\0');
        assert_string_equal(out.data, to);
    }
    arena_done(&arena);
}

static void test_merge(void **state)
{
    (void)state;
    merge("{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}");
    merge("{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}");
    merge("{\"a\":\"b\"}", "{\"a\":null}", "{}");
    merge("{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}");
    merge("{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}");
    merge("{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}");
    merge("{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}", "{\"a\":{\"b\":\"d\"}}");
    merge("{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}");
    merge("[\"a\",\"b\"]", "[\"c\",\"d\"]", "[\"c\",\"d\"]");
    merge("{\"a\":\"b\"}", "[\"c\"]", "[\"c\"]");
    merge("{\"a\":\"foo\"}", "null", "null");
    merge("{\"e\":null}", "{\"a\":1}", "{\"e\":null,\"a\":1}");
    merge("[1,2]", "{\"a\":\"b\",\"c\":null}", "{\"a\":\"b\"}");
    merge("{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}");
}

static void test_operations(void **state)
{
    (void)state;
    operate("{\"foo\":\"bar\"}", "[{\"op\":\"add\",\"path\":\"/baz\",\"value\":\"qux\"}]",
            "{\"foo\":\"bar\",\"baz\":\"qux\"}");
    operate("{\"foo\":[\"bar\",\"baz\"]}", "[{\"op\":\"add\",\"path\":\"/foo/1\",\"value\":9}]",
            "{\"foo\":[\"bar\",9,\"baz\"]}");
    operate("{\"foo\":[1]}", "[{\"op\":\"add\",\"path\":\"/foo/-\",\"value\":[2]}]",
            "{\"foo\":[1,[2]]}");
    operate("{\"a\":1,\"b\":2}", "[{\"op\":\"remove\",\"path\":\"/a\"}]", "{\"b\":2}");
    operate("{\"foo\":[1,2,3]}", "[{\"op\":\"remove\",\"path\":\"/foo/1\"}]", "{\"foo\":[1,3]}");
    operate("{\"a\":1,\"b\":2}", "[{\"op\":\"replace\",\"path\":\"/a\",\"value\":{\"c\":null}}]",
            "{\"a\":{\"c\":null},\"b\":2}");
    operate("{\"foo\":{\"bar\":1,\"waldo\":2},\"qux\":{\"corge\":3}}",
            "[{\"op\":\"move\",\"from\":\"/foo/waldo\",\"path\":\"/qux/thud\"}]",
            "{\"foo\":{\"bar\":1},\"qux\":{\"corge\":3,\"thud\":2}}");
    operate("{\"foo\":[1,2,3,4]}", "[{\"op\":\"move\",\"from\":\"/foo/1\",\"path\":\"/foo/3\"}]",
            "{\"foo\":[1,3,4,2]}");
    operate("{\"a\":{\"b\":1}}", "[{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/a/c\"}]",
            "{\"a\":{\"b\":1,\"c\":{\"b\":1}}}");
    operate("{\"/\":9,\"~1\":10}", "[{\"op\":\"test\",\"path\":\"/~01\",\"value\":10.0}]",
            "{\"/\":9,\"~1\":10}");
    operate("{\"a\":[1,{\"b\":2,\"c\":3}]}",
            "[{\"op\":\"test\",\"path\":\"/a\",\"value\":[1,{\"c\":3,\"b\":2}]}]",
            "{\"a\":[1,{\"b\":2,\"c\":3}]}");
    operate("{\"a\":1}", "[{\"op\":\"add\",\"path\":\"\",\"value\":[7]}]", "[7]");
    operate("{\"a\":1}", "[{\"op\":\"add\",\"path\":\"/a\",\"value\":2}]", "{\"a\":2}");
    operate("{\"\":1}", "[{\"op\":\"replace\",\"path\":\"/\",\"value\":2}]", "{\"\":2}");
    operate("{}", "[]", "{}");
}

static void test_refused(void **state)
{
    static const char *const PATCHES[] = {
        "{}",
        "[1]",
        "[{}]",
        "[{\"op\":\"add\",\"path\":\"/a\"}]",
        "[{\"op\":\"bad\",\"path\":\"/a\",\"value\":1}]",
        "[{\"op\":\"add\",\"value\":1}]",
        "[{\"op\":\"add\",\"path\":\"a\",\"value\":1}]",
        "[{\"op\":\"add\",\"path\":\"/x/y\",\"value\":1}]",
        "[{\"op\":\"add\",\"path\":\"/list/3\",\"value\":1}]",
        "[{\"op\":\"add\",\"path\":\"/list/01\",\"value\":1}]",
        "[{\"op\":\"add\",\"path\":\"/list/1e0\",\"value\":1}]",
        "[{\"op\":\"add\",\"path\":\"/a~2\",\"value\":1}]",
        "[{\"op\":\"remove\",\"path\":\"/none\"}]",
        "[{\"op\":\"remove\",\"path\":\"/list/2\"}]",
        "[{\"op\":\"remove\",\"path\":\"/list/-\"}]",
        "[{\"op\":\"remove\",\"path\":\"\"}]",
        "[{\"op\":\"replace\",\"path\":\"/none\",\"value\":1}]",
        "[{\"op\":\"move\",\"path\":\"/o/p\",\"from\":\"/o\"}]",
        "[{\"op\":\"move\",\"path\":\"/x\"}]",
        "[{\"op\":\"copy\",\"path\":\"/x\",\"from\":\"/none\"}]",
        "[{\"op\":\"test\",\"path\":\"/a\",\"value\":\"1\"}]",
        "[{\"op\":\"test\",\"path\":\"/list\",\"value\":[1]}]",
        "[{\"op\":\"test\",\"path\":\"/o\",\"value\":{\"p\":1,\"q\":2}}]",
    };
    (void)state;
    for (size_t i = 0; i < sizeof PATCHES / sizeof *PATCHES; i++)
        operate("{\"a\":1,\"list\":[1,2],\"o\":{\"p\":1}}", PATCHES[i], NULL);
}

/* Each doubles: a few hundred bytes must not fill the memory. */
static void test_copies_are_bounded(void **state)
{
    struct arena arena;
    (void)state;
    arena_init(&arena, NULL, 0);
    struct buffer patch = buffer_in(&arena, 4096);
    buffer_append_byte(&patch, '[');
    for (int i = 0; i < 40; i++)
        buffer_format(&patch, "%s{\"op\":\"copy\",\"from\":\"\",\"path\":\"/a%d\"}",
                      i == 0 ? "" : ",", i);
    buffer_append_byte(&patch, (char)0x5d);
    buffer_append_byte(&patch, '\0');
    operate("{\"a\":1}", patch.data, NULL);
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merge),
        cmocka_unit_test(test_operations),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_copies_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
