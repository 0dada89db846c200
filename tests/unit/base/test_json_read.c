/* SPDX-License-Identifier: Apache-2.0 */
/* base/json_read, base/base64. */
#include "base/base64.h"
#include "base/json_read.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static bool reads(struct arena *arena, const char *text, unsigned depth, const struct json **value)
{
    const char *why = NULL;
    /* A copy of its exact size: whoever reads past it is found out. */
    size_t size = strlen(text);
    char *copy = malloc(size + (size == 0));
    memcpy(copy, text, size);
    bool is_read = json_read(slice_of(copy, size), depth, arena, value, &why);
    assert_non_null(why);
    assert_true(is_read == (why[0] == '\0'));
    if (is_read && (*value)->kind == JSON_STRING)
        ((struct json *)(uintptr_t)*value)->text = arena_copy(arena, (*value)->text);
    free(copy);
    return is_read;
}

static void accepted_and_refused(void **state)
{
    (void)state;
    static const char *const GOOD[] = {"null",
                                       "true",
                                       "false",
                                       " 1 ",
                                       "-0",
                                       "0",
                                       "10",
                                       "1.5",
                                       "1e5",
                                       "1E+5",
                                       "1.0e-5",
                                       "\"\"",
                                       "\"a\"",
                                       "[]",
                                       "{}",
                                       "[1,2]",
                                       "{\"a\":1}",
                                       "{\"a\":{},\"b\":[]}",
                                       "\t\r\n[ ]\n",
                                       "\"\\u00e4\\n\\/\"",
                                       "\"\\ud83c\\udf89\"",
                                       "\"gr\xc3\xbc\xc3\x9f\"",
                                       "[[[[[[[[]]]]]]]]"};
    static const char *const BAD[] = {"",
                                      " ",
                                      "nul",
                                      "nulll",
                                      "True",
                                      "01",
                                      "1.",
                                      ".5",
                                      "+1",
                                      "-",
                                      "1e",
                                      "1e+",
                                      "0x1",
                                      "NaN",
                                      "Infinity",
                                      "\"",
                                      "\"\\",
                                      "\"\\x\"",
                                      "\"\\u12\"",
                                      "\"\\u12g4\"",
                                      "\"\n\"",
                                      "\"\x01\"",
                                      "\"\\ud83c\"",
                                      "\"\\udf89\"",
                                      "\"\\ud83c\\u0041\"",
                                      "\"\\u0000\"",
                                      "\"\xff\"",
                                      "\"\xc0\xaf\"",
                                      "\"\xed\xa0\x80\"",
                                      "\"\xf4\x90\x80\x80\"",
                                      "\"\xc3\"",
                                      "[",
                                      "[1",
                                      "[1,",
                                      "[1,]",
                                      "[,]",
                                      "[1 2]",
                                      "]",
                                      "{",
                                      "{\"a\"",
                                      "{\"a\":",
                                      "{\"a\":1",
                                      "{\"a\":1,",
                                      "{\"a\":1,}",
                                      "{a:1}",
                                      "{1:1}",
                                      "{\"a\" 1}",
                                      "{\"a\":1 \"b\":2}",
                                      "{\"a\":1,\"a\":2}",
                                      "{\"a\":1,\"\\u0061\":2}",
                                      "1 2",
                                      "{}x",
                                      "{}{}",
                                      "[]]",
                                      "'a'",
                                      "/**/1",
                                      "[[[[[[[[[]]]]]]]]]"};
    for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++) {
        struct arena arena;
        const struct json *value;
        arena_init(&arena, NULL, 0);
        if (!reads(&arena, GOOD[i], 8, &value))
            fail_msg("refused: %s", GOOD[i]);
        arena_done(&arena);
    }
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        struct arena arena;
        const struct json *value;
        arena_init(&arena, NULL, 0);
        if (reads(&arena, BAD[i], 8, &value))
            fail_msg("accepted: %s", BAD[i]);
        arena_done(&arena);
    }
}

static void texts(void **state)
{
    (void)state;
    static const struct {
        const char *json, *text;
    } TABLE[] = {
        {"\"plain\"", "plain"},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
        {"\"\\u0041\\u00e4\\u20ac\\ud83c\\udf89\"", "A\xc3\xa4\xe2\x82\xac\xf0\x9f\x8e\x89"},
        {"\"gr\xc3\xbc\xc3\x9f \\u20AC\"", "gr\xc3\xbc\xc3\x9f \xe2\x82\xac"},
    };
    for (size_t i = 0; i < sizeof TABLE / sizeof *TABLE; i++) {
        struct arena arena;
        const struct json *value;
        arena_init(&arena, NULL, 0);
        assert_true(reads(&arena, TABLE[i].json, 1, &value));
        assert_true(slice_equal(json_text(value), slice_from_cstring(TABLE[i].text)));
        arena_done(&arena);
    }
}

static void numbers(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        bool is_whole;
        int64_t number;
    } TABLE[] = {
        {"0", true, 0},
        {"-1", true, -1},
        {"1.9", true, 1},
        {"9007199254740992", true, INT64_C(9007199254740992)},
        {"9007199254740993", false, 0},
        {"99999999999999999999999", false, 0},
        {"1e3", false, 0},
        {"\"1\"", false, 0},
        {"true", false, 0},
        {"[1]", false, 0},
    };
    for (size_t i = 0; i < sizeof TABLE / sizeof *TABLE; i++) {
        struct arena arena;
        const struct json *value;
        const char *why;
        int64_t number = 0;
        arena_init(&arena, NULL, 0);
        assert_true(json_read(slice_from_cstring(TABLE[i].json), 2, &arena, &value, &why));
        assert_true(json_whole(value, &number) == TABLE[i].is_whole);
        assert_int_equal(number, TABLE[i].number);
        arena_done(&arena);
    }
    assert_false(json_whole(NULL, &(int64_t){0}));
}

static void members(void **state)
{
    (void)state;
    for (int count = JSON_MEMBERS_MAX; count <= JSON_MEMBERS_MAX + 1; count++) {
        struct arena arena;
        const struct json *value;
        const char *why;
        arena_init(&arena, NULL, 0);
        struct buffer out = buffer_in(&arena, 64);
        buffer_append_byte(&out, '{');
        for (int i = 0; i < count; i++)
            buffer_format(&out, "%s\"m%d\":%d", i > 0 ? "," : "", i, i);
        buffer_append_byte(&out, '}');
        bool is_read = json_read(buffer_slice(&out), 1, &arena, &value, &why);
        assert_true(is_read == (count == JSON_MEMBERS_MAX));
        if (is_read) {
            int64_t number = 0;
            assert_true(json_whole(json_member(value, SLICE("m511")), &number) && number == 511);
            assert_null(json_member(value, SLICE("m512")));
        }
        arena_done(&arena);
    }
    assert_null(json_member(NULL, SLICE("a")));
}

static void base64(void **state)
{
    (void)state;
    static const struct {
        enum base64 alphabet;
        const char *text, *bytes;
    } GOOD[] = {
        {BASE64_STANDARD, "", ""},
        {BASE64_STANDARD, "Zg==", "f"},
        {BASE64_STANDARD, "Zm8=", "fo"},
        {BASE64_STANDARD, "Zm9v", "foo"},
        {BASE64_STANDARD, "+/+/", "\xfb\xff\xbf"},
        {BASE64_URL, "", ""},
        {BASE64_URL, "Zg", "f"},
        {BASE64_URL, "Zm8", "fo"},
        {BASE64_URL, "Zm9v", "foo"},
        {BASE64_URL, "-_-_", "\xfb\xff\xbf"},
    };
    static const struct {
        enum base64 alphabet;
        const char *text;
    } BAD[] = {
        {BASE64_STANDARD, "Zg"},   {BASE64_STANDARD, "Zg="},      {BASE64_STANDARD, "Zg=== "},
        {BASE64_STANDARD, "Zh=="}, {BASE64_STANDARD, "Zm9="},     {BASE64_STANDARD, "Z"},
        {BASE64_STANDARD, "===="}, {BASE64_STANDARD, "Zg==Zg=="}, {BASE64_STANDARD, "Zm9v\n"},
        {BASE64_STANDARD, "-_-_"}, {BASE64_URL, "Zg=="},          {BASE64_URL, "Z"},
        {BASE64_URL, "Zh"},        {BASE64_URL, "Zm9"},           {BASE64_URL, "+/+/"},
        {BASE64_URL, "Zm 9"},      {BASE64_URL, "Zm9vZ"},
    };
    for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++) {
        struct arena arena;
        struct slice bytes;
        arena_init(&arena, NULL, 0);
        assert_true(
            base64_decode(GOOD[i].alphabet, slice_from_cstring(GOOD[i].text), &arena, &bytes));
        assert_true(slice_equal(bytes, slice_from_cstring(GOOD[i].bytes)));
        struct buffer out = buffer_in(&arena, 16);
        base64_encode(GOOD[i].alphabet, bytes, &out);
        assert_true(slice_equal(buffer_slice(&out), slice_from_cstring(GOOD[i].text)));
        arena_done(&arena);
    }
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        struct arena arena;
        struct slice bytes;
        arena_init(&arena, NULL, 0);
        if (base64_decode(BAD[i].alphabet, slice_from_cstring(BAD[i].text), &arena, &bytes))
            fail_msg("accepted: %s", BAD[i].text);
        arena_done(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepted_and_refused),
        cmocka_unit_test(texts),
        cmocka_unit_test(numbers),
        cmocka_unit_test(members),
        cmocka_unit_test(base64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
