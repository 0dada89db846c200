/* SPDX-License-Identifier: Apache-2.0 */
/* What comes out is what replacing in the whole text makes, wherever its pieces are cut. */
#include "base/arena.h"
#include "base/random.h"
#include "exchange/replacer.h"
#include "exchange/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
// clang-format off
#include <cmocka.h>
// clang-format on

enum { ROOM = 1024 * 1024 };
static char out[ROOM], wanted[ROOM], text[ROOM];
static struct random chance;
static struct arena arena;

/* Runs the text through, in pieces of `cut` bytes; 0: of any size. */
static size_t run(const struct replacer_rule *rule, struct slice from, struct slice to,
                  uint64_t times, size_t cut, uint64_t *count)
{
    struct replacer *r = replacer_new(rule, to, times);
    size_t made = 0;
    bool has_ended = false;
    for (;;) {
        struct slice piece;
        assert_int_equal(replacer_next(r, &piece), OK);
        assert_true(made + piece.size <= ROOM);
        memcpy(out + made, piece.data, piece.size);
        made += piece.size;
        if (piece.size > 0)
            continue;
        if (has_ended)
            break;
        size_t size = cut > 0 ? cut : 1 + random_below(&chance, 40);
        struct slice next = slice_first(from, size);
        from = slice_from(from, next.size);
        has_ended = next.size == 0;
        if (has_ended)
            replacer_end(r);
        else
            replacer_feed(r, next);
    }
    *count = replacer_count(r);
    replacer_free(r);
    return made;
}

static size_t expected(struct slice rest, struct slice from, struct slice to, uint64_t times)
{
    size_t made = 0;
    for (uint64_t i = 0; times == 0 || i < times; i++) {
        size_t at = slice_find_slice(rest, from);
        if (at == rest.size)
            break;
        memcpy(wanted + made, rest.data, at);
        memcpy(wanted + made + at, to.data, to.size);
        made += at + to.size;
        rest = slice_from(rest, at + from.size);
    }
    memcpy(wanted + made, rest.data, rest.size);
    return made + rest.size;
}

static void check_literal(struct slice whole, struct slice from, struct slice to, uint64_t times,
                          size_t cut)
{
    struct replacer_rule rule;
    uint64_t count;
    replacer_rule_literal(&rule, from, &arena);
    size_t size = expected(whole, from, to, times);
    assert_int_equal(run(&rule, whole, to, times, cut, &count), size);
    assert_memory_equal(out, wanted, size);
}

static void literals_at_every_split(void **state)
{
    (void)state;
    static const char *const CASES[][3] = {{"hello world", "o", "0"},
                                           {"aaaaaaa", "aa", "b"},
                                           {"aabaabaaab", "aaab", "x"},
                                           {"abababac", "ababac", "!"},
                                           {"abcabcabd", "abcabd", ""},
                                           {"nothing here", "xyz", "q"},
                                           {"", "a", "b"},
                                           {"a", "a", ""},
                                           {"aXbXc", "X", "XX"},
                                           {"ends with par", "part", "-"},
                                           {"ppartpart", "part", "PART"}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        for (size_t cut = 1; cut < 13; cut++)
            for (uint64_t times = 0; times < 3; times++)
                check_literal(slice_from_cstring(CASES[i][0]), slice_from_cstring(CASES[i][1]),
                              slice_from_cstring(CASES[i][2]), times, cut);
}

/* Texts of two letters: everything is nearly a match. */
static void literals_by_chance(void **state)
{
    (void)state;
    for (int round = 0; round < 4000; round++) {
        char from[12];
        size_t from_size = 1 + random_below(&chance, sizeof from);
        size_t size = random_below(&chance, 400);
        for (size_t i = 0; i < from_size; i++)
            from[i] = (char)('a' + random_below(&chance, 2));
        for (size_t i = 0; i < size; i++)
            text[i] = (char)('a' + random_below(&chance, 2));
        check_literal(slice_of(text, size), slice_of(from, from_size),
                      round % 3 == 0 ? SLICE("") : SLICE("<a>"), random_below(&chance, 4), 0);
        arena_done(&arena);
        arena_init(&arena, NULL, 0);
    }
}

static void expect_regex(const char *pattern, const char *whole, const char *to, uint64_t times,
                         const char *result)
{
    char error[64];
    size_t at;
    uint64_t count;
    struct replacer_rule rule = {
        .regex = regex_compile(slice_from_cstring(pattern), error, sizeof error, &at)};
    assert_non_null(rule.regex);
    for (size_t cut = 1; cut < 20; cut++) {
        size_t made =
            run(&rule, slice_from_cstring(whole), slice_from_cstring(to), times, cut, &count);
        out[made] = '\0';
        assert_string_equal(out, result);
    }
    regex_free((void *)(uintptr_t)rule.regex);
}

static void expressions_at_every_split(void **state)
{
    (void)state;
    expect_regex("o+", "foo boo o", "0", 0, "f0 b0 0");
    expect_regex("(\\w+)@(\\w+)", "me@home you@work", "$2 of $1", 0, "home of me work of you");
    expect_regex("<b>(.*?)</b>", "x <b>1</b> <b>2</b>", "[$1]", 0, "x [1] [2]");
    expect_regex("<b>(.*?)</b>", "x <b>1</b> <b>2</b>", "[$1]", 1, "x [1] <b>2</b>");
    expect_regex("^a", "aaa", "b", 0, "baa");
    expect_regex("a$", "aaa", "b", 0, "aab");
    expect_regex("\\bcat\\b", "cat concat cat", "dog", 0, "dog concat dog");
    expect_regex("(?<=x)y", "xy y xy", "z", 0, "xz y xz");
    expect_regex("(?i)HTTP://", "http://a HTTP://b", "https://", 0, "https://a https://b");
    expect_regex("x*", "abc", "-", 0, "-a-b-c-");
    expect_regex("a|ab", "abab", "$$$0", 0, "$ab$ab");
    expect_regex("nothing", "abc", "-", 0, "abc");
    expect_regex("a+b", "aaaa", "-", 0, "aaaa");
    expect_regex(".", "", "-", 0, "");
}

/* More than the window, with matches on all of its borders. */
static void long_texts(void **state)
{
    (void)state;
    char error[64];
    size_t at;
    uint64_t count;
    struct replacer_rule rule = {.regex =
                                     regex_compile(SLICE("<[0-9]+>"), error, sizeof error, &at)};
    for (int round = 0; round < 30; round++) {
        size_t size = 0;
        uint64_t matches = 0;
        while (size < 100000) {
            size_t gap = random_below(&chance, 900);
            memset(text + size, random_below(&chance, 2) == 0 ? '.' : '<', gap);
            size += gap;
            memcpy(text + size, "<12345>", 7);
            size += 7;
            matches++;
        }
        size_t cut = round % 2 == 0 ? 0 : 16384;
        size_t made = run(&rule, slice_of(text, size), SLICE("()"), 0, cut, &count);
        assert_int_equal(count, matches);
        assert_int_equal(made, size - 5 * matches);
    }
    /* What may be a match for longer than is looked at goes by as it is. */
    memset(text, '1', 100000);
    text[0] = '<';
    text[99999] = '>';
    assert_int_equal(run(&rule, slice_of(text, 100000), SLICE("()"), 0, 0, &count), 100000);
    assert_memory_equal(out, text, 100000);
    text[50] = text[REPLACER_MATCH_MAX / 2] = '<';
    text[REPLACER_MATCH_MAX - 10] = '>';
    (void)run(&rule, slice_of(text, 100000), SLICE("()"), 0, 1000, &count);
    assert_int_equal(count, 1);
    regex_free((void *)(uintptr_t)rule.regex);
}

static void a_limit_is_an_error(void **state)
{
    (void)state;
    char error[64];
    size_t at;
    struct slice piece = SLICE("x");
    struct replacer_rule rule = {.regex = regex_compile(SLICE("(a+)+$"), error, sizeof error, &at)};
    struct replacer *r = replacer_new(&rule, SLICE("-"), 0);
    enum status status = OK;
    memset(text, 'a', 4000);
    text[3999] = 'b';
    replacer_feed(r, slice_of(text, 4000));
    while (status == OK && piece.size > 0)
        status = replacer_next(r, &piece);
    replacer_end(r);
    for (int i = 0; i < 10 && status == OK; i++)
        status = replacer_next(r, &piece);
    assert_int_equal(status, ERR_LIMIT);
    replacer_free(r);
    regex_free((void *)(uintptr_t)rule.regex);
}

static int start(void **state)
{
    (void)state;
    random_seed(&chance);
    arena_init(&arena, NULL, 0);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    arena_done(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(literals_at_every_split),    cmocka_unit_test(literals_by_chance),
        cmocka_unit_test(expressions_at_every_split), cmocka_unit_test(long_texts),
        cmocka_unit_test(a_limit_is_an_error),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
