/* SPDX-License-Identifier: Apache-2.0 */
#include "base/automaton.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct automaton *build(const char *const *words, struct arena *arena)
{
    struct automaton_word list[16];
    size_t count = 0;
    for (; words[count] != NULL; count++) {
        struct slice text = slice_from_cstring(words[count]);
        struct automaton_word *word = &list[count];
        word->at_start = text.data[0] == '^';
        word->at_end = text.data[text.size - 1] == '$';
        text = slice_from(text, word->at_start);
        word->text = slice_first(text, text.size - word->at_end);
    }
    return automaton_build(list, count, arena);
}

static void words_are_found(void **state)
{
    (void)state;
    static const char *const WORDS[] = {"she",  "he",    "hers", "his",    "/.git/", "^/admin",
                                        "env$", "^all$", "aaa",  "A\303b", "x",      NULL};
    static const struct {
        struct slice text;
        size_t found;
    } CASES[] = {
        {SLICE("she"), 0},
        {SLICE("the"), 1},
        {SLICE("HERS"), 1},
        {SLICE("shis"), 3},
        {SLICE("ushers"), 0},
        {SLICE("/a/.GIT/b"), 4},
        {SLICE("/.github/"), AUTOMATON_NONE},
        {SLICE("/Admin/1"), 5},
        {SLICE("/v/admin"), AUTOMATON_NONE},
        {SLICE("/.env"), 6},
        {SLICE("/.env2"), AUTOMATON_NONE},
        {SLICE("all"), 7},
        {SLICE("alls"), AUTOMATON_NONE},
        {SLICE("call"), AUTOMATON_NONE},
        {SLICE("aa"), AUTOMATON_NONE},
        {SLICE("baaab"), 8},
        {SLICE("a\xc3"
               "B"),
         9},
        {SLICE("a\xe3"
               "b"),
         AUTOMATON_NONE},
        {SLICE(""), AUTOMATON_NONE},
        {SLICE("\0x"), 10},
        {SLICE("hi he"), 1},
        {SLICE("x she"), 0},
        {SLICE("\xff\x80"), AUTOMATON_NONE},
    };
    struct arena arena;
    arena_init(&arena, NULL, 0);
    const struct automaton *automaton = build(WORDS, &arena);
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        assert_int_equal(automaton_find(automaton, CASES[i].text), CASES[i].found);
    arena_done(&arena);
}

static void none_is_in_nothing(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, NULL, 0);
    const struct automaton *automaton = automaton_build(NULL, 0, &arena);
    assert_true(automaton_find(automaton, SLICE("anything")) == AUTOMATON_NONE);
    arena_done(&arena);
}

static void the_first_of_equal_words_counts(void **state)
{
    (void)state;
    static const char *const WORDS[] = {"b", "ab$", "AB", "ab", "^ab", NULL};
    struct arena arena;
    arena_init(&arena, NULL, 0);
    const struct automaton *automaton = build(WORDS, &arena);
    assert_int_equal(automaton_find(automaton, SLICE("ab")), 0);
    static const char *const OTHERS[] = {"ab$", "^AB", "ab", NULL};
    automaton = build(OTHERS, &arena);
    assert_int_equal(automaton_find(automaton, SLICE("ab")), 0);
    assert_int_equal(automaton_find(automaton, SLICE("abc")), 1);
    assert_int_equal(automaton_find(automaton, SLICE("cabc")), 2);
    arena_done(&arena);
}

/* The same as looking for one word after the other. */
static void chance_finds_no_difference(void **state)
{
    (void)state;
    srandom(7);
    for (int round = 0; round < 300; round++) {
        struct arena arena;
        arena_init(&arena, NULL, 0);
        struct automaton_word words[12];
        size_t count = (size_t)random() % 12 + 1;
        for (size_t i = 0; i < count; i++) {
            size_t size = (size_t)random() % 4 + 1;
            char *text = arena_alloc(&arena, size);
            for (size_t at = 0; at < size; at++)
                text[at] = "abAB"[random() % 4];
            words[i] =
                (struct automaton_word){slice_of(text, size), random() % 4 == 0, random() % 4 == 0};
        }
        const struct automaton *automaton = automaton_build(words, count, &arena);
        for (int n = 0; n < 50; n++) {
            char text[16];
            size_t size = (size_t)random() % sizeof text;
            for (size_t at = 0; at < size; at++)
                text[at] = "abcAB"[random() % 5];
            size_t expected = AUTOMATON_NONE;
            for (size_t i = 0; i < count && expected == AUTOMATON_NONE; i++)
                for (size_t at = 0; at + words[i].text.size <= size; at++)
                    if (slice_equal_nocase(slice_of(text + at, words[i].text.size),
                                           words[i].text) &&
                        (!words[i].at_start || at == 0) &&
                        (!words[i].at_end || at + words[i].text.size == size)) {
                        expected = i;
                        break;
                    }
            assert_true(automaton_find(automaton, slice_of(text, size)) == expected);
        }
        arena_done(&arena);
    }
}

static void words_have_a_size_together(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, NULL, 0);
    char *text = arena_alloc(&arena, AUTOMATON_BYTES_MAX);
    memset(text, 'a', AUTOMATON_BYTES_MAX);
    struct automaton_word words[] = {{.text = slice_of(text, AUTOMATON_BYTES_MAX - 1)},
                                     {.text = SLICE("b")},
                                     {.text = SLICE("c")}};
    assert_non_null(automaton_build(words, 2, &arena));
    assert_null(automaton_build(words, 3, &arena));
    arena_done(&arena);
}

int main(void)
{
    static const struct CMUnitTest TESTS[] = {
        cmocka_unit_test(words_are_found),
        cmocka_unit_test(none_is_in_nothing),
        cmocka_unit_test(the_first_of_equal_words_counts),
        cmocka_unit_test(chance_finds_no_difference),
        cmocka_unit_test(words_have_a_size_together),
    };
    return cmocka_run_group_tests(TESTS, NULL, NULL);
}
