/* SPDX-License-Identifier: Apache-2.0 */
/* limit/verified: bounded, and forgets in time. */
#include "limit/verified.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static bool has(struct slice key, int64_t now, struct slice wanted)
{
    struct arena arena;
    struct slice value = SLICE("");
    arena_init(&arena, NULL, 0);
    bool is_found = verified_find(verified_table(), key, now, &arena, &value);
    if (is_found)
        assert_true(slice_equal(value, wanted));
    arena_done(&arena);
    return is_found;
}

static void keeps_and_forgets(void **state)
{
    (void)state;
    struct verified *table = verified_table();
    assert_false(has(SLICE("a"), 0, SLICE("")));
    verified_keep(table, SLICE("a"), SLICE("one"), 10, 0);
    assert_true(has(SLICE("a"), 0, SLICE("one")) && has(SLICE("a"), 9, SLICE("one")));
    assert_false(has(SLICE("a"), 10, SLICE("")));
    assert_false(has(SLICE("b"), 0, SLICE("")) || has(SLICE("aa"), 0, SLICE("")));
    verified_keep(table, SLICE("a"), SLICE("two"), 20, 0);
    assert_true(has(SLICE("a"), 10, SLICE("two")));
    verified_keep(table, SLICE("c"), SLICE("x"), 5, 5); /* over before it began */
    assert_false(has(SLICE("c"), 0, SLICE("")));
    /* The same last bytes, as of two tokens with one signature. */
    char first[200];
    char second[200];
    memset(first, 'x', sizeof first);
    memset(second, 'x', sizeof second);
    second[0] = 'y';
    verified_keep(table, slice_of(first, sizeof first), SLICE("1"), 10, 0);
    assert_true(has(slice_of(first, sizeof first), 0, SLICE("1")));
    assert_false(has(slice_of(second, sizeof second), 0, SLICE("")));
}

static void is_bounded(void **state)
{
    (void)state;
    static char large[VERIFIED_SIZE_MAX + 1];
    struct slice most = slice_of(large, VERIFIED_SIZE_MAX - 1);
    verified_keep(verified_table(), most, SLICE("v"), 10, 0);
    assert_true(has(most, 0, SLICE("v")));
    large[0] = 'x';
    verified_keep(verified_table(), slice_of(large, VERIFIED_SIZE_MAX), SLICE("v"), 10, 0);
    assert_false(has(slice_of(large, VERIFIED_SIZE_MAX), 0, SLICE("")));
    size_t found = 0;
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 2 * VERIFIED_ENTRIES; i++) {
            char key[32];
            int size = snprintf(key, sizeof key, "key %d", i);
            if (round == 0)
                verified_keep(verified_table(), slice_of(key, (size_t)size), SLICE("v"), 100, 0);
            else
                found += has(slice_of(key, (size_t)size), 0, SLICE("v"));
        }
    assert_true(found <= VERIFIED_ENTRIES && found > VERIFIED_ENTRIES / 2);
}

static void is_cleared(void **state)
{
    (void)state;
    verified_clear();
    verified_keep(verified_table(), SLICE("a"), SLICE("1"), 10, 0);
    verified_keep(verified_table(), SLICE("b"), SLICE(""), 10, 0);
    verified_clear();
    assert_false(has(SLICE("a"), 0, SLICE("1")));
    assert_false(has(SLICE("b"), 0, SLICE("")));
    verified_keep(verified_table(), SLICE("a"), SLICE("2"), 10, 0);
    assert_true(has(SLICE("a"), 0, SLICE("2")));
}

static void digests(void **state)
{
    (void)state;
    char a[VERIFIED_DIGEST_SIZE];
    char b[VERIFIED_DIGEST_SIZE];
    verified_digest(SLICE("x"), a);
    verified_digest(SLICE("x"), b);
    assert_memory_equal(a, b, sizeof a);
    verified_digest(SLICE("y"), b);
    assert_memory_not_equal(a, b, sizeof a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_and_forgets),
        cmocka_unit_test(is_bounded),
        cmocka_unit_test(is_cleared),
        cmocka_unit_test(digests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
