/* SPDX-License-Identifier: Apache-2.0 */
/* Every byte in every class, from the grammars and not from the table. */
#include "http/chars.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static bool is_alnum(int c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool is_one_of(int c, const char *list)
{
    return c != 0 && strchr(list, c) != NULL;
}

static void each_byte(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        char byte = (char)c;
        assert_int_equal(chars_is(byte, CHAR_TOKEN),
                         is_alnum(c) || is_one_of(c, "!#$%&'*+-.^_`|~"));
        assert_int_equal(chars_is(byte, CHAR_VALUE), c == '\t' || (c >= 0x20 && c != 0x7f));
        assert_int_equal(chars_is(byte, CHAR_NAME), is_alnum(c) || c == '-');
        assert_int_equal(chars_is(byte, CHAR_HOST), is_alnum(c) || is_one_of(c, "-._~"));
        assert_int_equal(chars_is(byte, CHAR_UNRESERVED), is_alnum(c) || is_one_of(c, "-._~"));
        assert_int_equal(chars_is(byte, CHAR_HEX), is_one_of(c, "0123456789abcdefABCDEF"));
        assert_int_equal(chars_is(byte, CHAR_TARGET), c > 0x20 && c < 0x7f && c != '#');
        if (chars_is(byte, CHAR_PATH))
            assert_true(chars_is(byte, CHAR_TARGET));
        if (chars_is(byte, CHAR_HEX))
            assert_int_equal(chars_hex(byte), strtol((char[]){byte, 0}, NULL, 16));
    }
}

/* The fast way stops where the slow one does: each bad byte at each place of texts of each size. */
static void spans_of_values(void **state)
{
    (void)state;
    char text[80];
    for (size_t size = 0; size <= sizeof text; size++) {
        memset(text, 'v', sizeof text);
        assert_int_equal(chars_span_value(text, size), size);
        for (size_t at = 0; at < size; at++)
            for (int c = 0; c < 256; c++) {
                text[at] = (char)c;
                size_t expected = chars_is(text[at], CHAR_VALUE) ? size : at;
                if (chars_span_value(text, size) != expected)
                    fail_msg("byte %d at %zu of %zu", c, at, size);
                text[at] = 'v';
            }
    }
    assert_int_equal(chars_span(SLICE("token: value"), CHAR_TOKEN), 5);
    assert_int_equal(chars_span(SLICE("token"), CHAR_TOKEN), 5);
}

/* The same for names. */
static void spans_of_names(void **state)
{
    (void)state;
    char text[40];
    for (size_t size = 0; size <= sizeof text; size++) {
        memset(text, 'n', sizeof text);
        assert_int_equal(chars_span_name(text, size), size);
        for (size_t at = 0; at < size; at++)
            for (int c = 0; c < 256; c++) {
                text[at] = (char)c;
                size_t expected = chars_is(text[at], CHAR_NAME) ? size : at;
                if (chars_span_name(text, size) != expected)
                    fail_msg("byte %d at %zu of %zu", c, at, size);
                text[at] = 'n';
            }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_byte),
        cmocka_unit_test(spans_of_values),
        cmocka_unit_test(spans_of_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
