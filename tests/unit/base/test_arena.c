/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* Many pieces of all sizes: aligned, apart from each other, and still what was written. */
static void pieces_do_not_overlap(void **state)
{
    (void)state;
    enum { COUNT = 400 };
    static unsigned char *pieces[COUNT];
    static _Alignas(16) char first[512];
    struct arena arena;
    arena_init(&arena, first, sizeof first);
    for (size_t i = 0; i < COUNT; i++) {
        size_t size = i * 37 % 1500 + 1;
        pieces[i] = arena_alloc(&arena, size);
        assert_int_equal((uintptr_t)pieces[i] % 8, 0);
        memset(pieces[i], (int)(i % 251), size);
    }
    assert_true((char *)pieces[0] >= first && (char *)pieces[0] < first + sizeof first);
    for (size_t i = 0; i < COUNT; i++)
        for (size_t j = 0; j < i * 37 % 1500 + 1; j++)
            assert_int_equal(pieces[i][j], i % 251);
    assert_true(arena.taken > 0);
    arena_done(&arena);
}

static void one_block_is_enough_for_little(void **state)
{
    (void)state;
    static _Alignas(16) char first[256];
    struct arena arena;
    arena_init(&arena, first, sizeof first);
    for (int i = 0; i < 16; i++)
        assert_non_null(arena_alloc(&arena, 16));
    assert_int_equal(arena.taken, 0);
    assert_non_null(arena_alloc(&arena, 1));
    assert_true(arena.taken > 0);
    arena_done(&arena);
}

static void texts(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, NULL, 0);
    const unsigned char *zeroes = arena_zero(&arena, 3000);
    for (int i = 0; i < 3000; i++)
        assert_int_equal(zeroes[i], 0);
    char text[] = "text";
    struct slice copy = arena_copy(&arena, slice_of(text, 4));
    char *string = arena_cstring(&arena, slice_of(text, 2));
    text[0] = 'n';
    assert_true(slice_equal(copy, SLICE("text")));
    assert_string_equal(string, "te");
    struct slice long_text = arena_format(&arena, "%05000d|%s", 7, "end");
    assert_int_equal(long_text.size, 5004);
    assert_true(slice_ends(long_text, SLICE("0007|end")));
    arena_done(&arena);
}

static void a_buffer_grows_in_its_arena(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, NULL, 0);
    struct buffer buffer = buffer_in(&arena, 1);
    for (int i = 0; i < 1000; i++) {
        buffer_append_u64(&buffer, (uint64_t)i);
        buffer_append_byte(&buffer, ',');
    }
    assert_int_equal(buffer.size, 10 + 90 * 2 + 900 * 3 + 1000);
    assert_true(slice_starts(buffer_slice(&buffer), SLICE("0,1,2,")));
    assert_true(slice_ends(buffer_slice(&buffer), SLICE(",998,999,")));
    assert_false(buffer.is_full);
    buffer.size = 0;
    buffer_append_u64(&buffer, UINT64_MAX);
    buffer_format(&buffer, " %d %s", -1, "x");
    assert_true(slice_equal(buffer_slice(&buffer), SLICE("18446744073709551615 -1 x")));
    arena_done(&arena);
}

static void a_fixed_buffer_says_that_it_is_full(void **state)
{
    (void)state;
    char memory[4];
    struct buffer buffer = buffer_fixed(memory, sizeof memory);
    buffer_append(&buffer, SLICE("abcd"));
    assert_false(buffer.is_full);
    buffer_append(&buffer, SLICE(""));
    assert_false(buffer.is_full);
    buffer_append_byte(&buffer, 'e');
    assert_true(buffer.is_full);
    assert_true(slice_equal(buffer_slice(&buffer), SLICE("abcd")));
    buffer = buffer_fixed(memory, sizeof memory);
    buffer_append(&buffer, SLICE("abcde"));
    assert_true(buffer.is_full && buffer.size <= sizeof memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_do_not_overlap),
        cmocka_unit_test(one_block_is_enough_for_little),
        cmocka_unit_test(texts),
        cmocka_unit_test(a_buffer_grows_in_its_arena),
        cmocka_unit_test(a_fixed_buffer_says_that_it_is_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
