/* SPDX-License-Identifier: Apache-2.0 */
/* A map against a plain search through its lines; its mistakes; its speed, which is no test. */
#include "base/clock.h"
#include "base/random.h"
#include "exchange/redirect_map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// clang-format off
#include <cmocka.h>
// clang-format on

enum {
    LINES = 100000,
    TEXT_MAX = LINES * 64,
};

static struct redirect_map *read_good(const char *text)
{
    char why[HELD_WHY_MAX] = "";
    struct redirect_map *map = redirect_map_read(slice_from_cstring(text), why);
    assert_string_equal(why, "");
    assert_non_null(map);
    return map;
}

static void expect(const struct redirect_map *map, const char *path, const char *query,
                   const char *to, const char *rest, int status)
{
    struct redirect_target target;
    bool is_found =
        redirect_map_find(map, slice_from_cstring(path), slice_from_cstring(query), &target);
    assert_int_equal(is_found, to != NULL);
    if (!is_found)
        return;
    assert_true(slice_equal(target.to, slice_from_cstring(to)));
    assert_true(slice_equal(target.rest, slice_from_cstring(rest)));
    assert_int_equal(target.status, status);
}

static void precedence(void **state)
{
    (void)state;
    struct redirect_map *map = read_good("# a comment\n\n/a /1\n/a/* /2/$1 308\r\n/a/b/* /3\n"
                                         "/a/b/c https://x.example/4 302\n/q?x=1 /5\n/q /6");
    assert_int_equal(redirect_map_size(map), 6);
    expect(map, "/a", "", "/1", "", 0);
    expect(map, "/a", "x=1", "/1", "", 0);
    expect(map, "/a/x", "", "/2/$1", "x", 308);
    expect(map, "/a/x/y", "", "/2/$1", "x/y", 308);
    expect(map, "/a/", "", "/2/$1", "", 308);
    expect(map, "/a/b", "", "/3", "", 0);
    expect(map, "/a/b/d/e", "", "/3", "d/e", 0);
    expect(map, "/a/b/c", "", "https://x.example/4", "", 302);
    expect(map, "/ab", "", NULL, "", 0);
    expect(map, "/", "", NULL, "", 0);
    expect(map, "*", "", NULL, "", 0);
    expect(map, "/q", "x=1", "/5", "", 0);
    expect(map, "/q", "x=12", "/6", "", 0);
    redirect_map_free(map);
    map = read_good("/* /all/$1\n");
    expect(map, "/", "", "/all/$1", "", 0);
    expect(map, "/x/y", "", "/all/$1", "x/y", 0);
    redirect_map_free(map);
    map = read_good("");
    expect(map, "/", "", NULL, "", 0);
    redirect_map_free(map);
}

static void mistakes(void **state)
{
    (void)state;
    static const char *const BAD[] = {"/a",
                                      "a /b",
                                      "/a b",
                                      "/a /b 200",
                                      "/a /b 304",
                                      "/a /b 309",
                                      "/a /b 301 x",
                                      "/a /b\n/a /c",
                                      "/%zz /b",
                                      "/a ftp://x",
                                      "/a /b\n/./a /c",
                                      "/a\x01 /b\x01",
                                      "/a/* /b\n/a/* /c",
                                      "?x /b"};
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        char why[HELD_WHY_MAX] = "";
        assert_null(redirect_map_read(slice_from_cstring(BAD[i]), why));
        assert_non_null(strstr(why, "line "));
    }
}

static void many_lines(void **state)
{
    (void)state;
    static char text[TEXT_MAX];
    char why[HELD_WHY_MAX] = "";
    size_t size = 0;
    for (unsigned i = 0; i < LINES; i++)
        size += (size_t)snprintf(text + size, TEXT_MAX - size, "/old/%u/page%s /new/%u\n", i,
                                 i % 3 == 0 ? "/*" : "", i);
    struct redirect_map *map = redirect_map_read(slice_of(text, size), why);
    assert_non_null(map);
    assert_int_equal(redirect_map_size(map), LINES);
    struct random chance;
    random_seed(&chance);
    for (int round = 0; round < 20000; round++) {
        unsigned number = random_below(&chance, 2 * LINES);
        char path[64];
        char to[64];
        (void)snprintf(path, sizeof path, "/old/%u/page%s", number, number % 6 == 0 ? "/x/y" : "");
        (void)snprintf(to, sizeof to, "/new/%u", number);
        expect(map, path, "", number < LINES ? to : NULL, number % 6 == 0 ? "x/y" : "", 0);
    }
    int64_t before = clock_monotonic();
    struct redirect_target target;
    size_t found = 0;
    for (int round = 0; round < 100000; round++)
        found += redirect_map_find(map, SLICE("/old/77777/page/x"), SLICE(""), &target);
    print_message("%lld ns for a path of four segments among %d\n",
                  (long long)(clock_monotonic() - before) / 100000, LINES);
    assert_int_equal(found, 0);
    redirect_map_free(map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(precedence),
        cmocka_unit_test(mistakes),
        cmocka_unit_test(many_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
