/* SPDX-License-Identifier: Apache-2.0 */
/* cache/tags: what a purge means, and what it must not miss. */
#include "cache/tags.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void lists(void **state)
{
    (void)state;
    static const struct {
        const char *list, *tag;
        bool has;
    } ROWS[] = {
        {"", "a", false},
        {"a", "a", true},
        {"a", "A", false},
        {"a b", "b", true},
        {"a,b", "b", true},
        {" , a ,\t,b,, ", "a", true},
        {" , a ,\t,b,, ", "b", true},
        {" , a ,\t,b,, ", "", false},
        {"ab", "a", false},
        {"product-12 product-123", "product-1", false},
        {"product-12 product-123", "product-123", true},
        {"a a a a", "a", true},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct tags *tags = tags_new(SLICE("http://h/"), slice_from_cstring(ROWS[i].list));
        assert_int_equal(tags_has(tags, slice_from_cstring(ROWS[i].tag)), ROWS[i].has);
        assert_true(tags_bytes(tags) >= 9);
        free(tags);
    }
}

static void at_most(void **state)
{
    (void)state;
    char list[TAGS_MAX * 8];
    size_t size = 0;
    for (int i = 0; i < TAGS_MAX; i++)
        size += (size_t)sprintf(list + size, "t%d,", i);
    struct tags *tags = tags_new(SLICE(""), slice_of(list, size));
    assert_true(tags_has(tags, SLICE("t0")) && tags_has(tags, SLICE("t63")));
    assert_false(tags_has(tags, SLICE("t64")));
    free(tags);
    size += (size_t)sprintf(list + size, "t64");
    tags = tags_new(SLICE(""), slice_of(list, size));
    assert_true(tags_has(tags, SLICE("t64")) && tags_has(tags, SLICE("another")));
    free(tags);

    static char text[TAGS_TEXT_MAX + 1];
    memset(text, ' ', sizeof text);
    text[0] = 'a';
    tags = tags_new(SLICE(""), slice_of(text, TAGS_TEXT_MAX));
    assert_true(tags_has(tags, SLICE("a")) && !tags_has(tags, SLICE("b")));
    free(tags);
    tags = tags_new(SLICE(""), slice_of(text, TAGS_TEXT_MAX + 1));
    assert_true(tags_has(tags, SLICE("b")));
    free(tags);
}

static void prefixes(void **state)
{
    (void)state;
    struct tags *tags = tags_new(SLICE("http://h/a/b?c"), SLICE("x"));
    assert_true(tags_has_prefix(tags, SLICE("")));
    assert_true(tags_has_prefix(tags, SLICE("http://h/a/b?c")));
    assert_true(tags_has_prefix(tags, SLICE("http://h/a/")));
    assert_false(tags_has_prefix(tags, SLICE("http://h/a/b?cd")));
    assert_false(tags_has_prefix(tags, SLICE("http://i/")));
    struct slice list[] = {SLICE("y"), SLICE("x")};
    assert_true(tags_match(tags, &(struct tags_wanted){.all = true}));
    assert_true(tags_match(tags, &(struct tags_wanted){.list = list, .count = 2}));
    assert_false(tags_match(tags, &(struct tags_wanted){.list = list, .count = 1}));
    assert_true(tags_match(tags, &(struct tags_wanted){.prefix = SLICE("http://h")}));
    assert_false(tags_match(tags, &(struct tags_wanted){.prefix = SLICE("https")}));
    assert_false(tags_match(tags, &(struct tags_wanted){0}));
    free(tags);

    static char url[TAGS_URL_MAX + 2];
    memset(url, 'u', sizeof url);
    tags = tags_new(slice_of(url, TAGS_URL_MAX), SLICE(""));
    assert_true(tags_has_prefix(tags, slice_of(url, TAGS_URL_MAX)));
    assert_false(tags_has_prefix(tags, slice_of(url, TAGS_URL_MAX + 1)));
    free(tags);
    /* What was cut off is not known: better too much than too little. */
    tags = tags_new(slice_of(url, TAGS_URL_MAX + 1), SLICE(""));
    assert_true(tags_has_prefix(tags, slice_of(url, TAGS_URL_MAX + 2)));
    url[0] = 'v';
    assert_false(tags_has_prefix(tags, slice_of(url, TAGS_URL_MAX + 2)));
    free(tags);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists),
        cmocka_unit_test(at_most),
        cmocka_unit_test(prefixes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
