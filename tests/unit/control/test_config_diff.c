/* SPDX-License-Identifier: Apache-2.0 */
/* What is said about two configurations that differ. */
#include "control/config_diff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct config_node *parse(const char *text, struct arena *arena)
{
    struct config_errors errors;
    config_errors_init(&errors, arena);
    struct config_tree *tree = config_tree_new(arena, &errors, &CONFIG_SYSTEM);
    config_tree_parse(tree, SLICE("weir.conf"), arena_copy(arena, slice_from_cstring(text)));
    assert_int_equal(errors.errors, 0);
    return tree->root;
}

#define API                                                                                        \
    "upstream api {\n    server 10.0.0.11:3000\n    server 10.0.0.12:3000 weight=2\n    queue "    \
    "5\n}\n"
#define SITE                                                                                       \
    "site a.example b.example {\n    route /old/* {\n        proxy api\n    }\n"                   \
    "    route /new/* {\n        header set x 1\n        proxy api tries=2\n    }\n"               \
    "    respond 404\n}\n"

static const struct {
    const char *from, *to, *lines;
} CASES[] = {
    {API SITE, API SITE, ""},
    {API,
     "# comment\nupstream  \"api\" {\n server 10.0.0.11:3000 # here\n\n  server "
     "10.0.0.12:3000 weight=2; queue 5\n}\n",
     ""},
    {API,
     "upstream api {\n    server 10.0.0.12:3000 weight=2\n    queue 5\n    server "
     "10.0.0.11:3000\n}\n",
     ""},
    {API,
     "upstream api {\n server 10.0.0.11:3000\n server 10.0.0.12:3000 weight=2\n server "
     "10.0.0.14:3000\n queue 5\n}\n",
     "upstream api: +server 10.0.0.14:3000\n"},
    {API, "upstream api {\n server 10.0.0.12:3000 weight=3\n queue 9\n}\n",
     "upstream api: -server 10.0.0.11:3000; server 10.0.0.12:3000 weight=2 -> server "
     "10.0.0.12:3000 weight=3; queue 5 -> queue 9\n"},
    {API SITE,
     API "site a.example b.example {\n    route /new/* {\n        proxy api tries=2\n        "
         "header set x 1\n    }\n    respond 404\n}\n",
     "site a.example b.example: route /old/* removed; route /new/*: the order changed\n"},
    {API SITE,
     API
     "site a.example b.example {\n route /old/* {\n proxy web\n }\n route /new/* {\n header set "
     "x 1\n proxy api tries=2\n }\n route /more {\n respond 204\n }\n respond 404\n}\n",
     "site a.example b.example: route /old/*: proxy api -> proxy web; route /more added\n"},
    {API SITE, SITE, "upstream api removed\n"},
    {SITE, API SITE, "upstream api added\n"},
    {"workers 2\n", "workers 4\n", "workers 2 -> workers 4\n"},
    {"workers 2\n", "", "-workers 2\n"},
    {"", "workers 2\n", "+workers 2\n"},
    {"log access to=stdout\n", "log access to=stderr\n",
     "log access to=stdout -> log access to=stderr\n"},
    {"upstream a {\n server x:1\n sticky cookie secret=one\n}\n",
     "upstream a {\n server x:1\n sticky cookie secret=two\n}\n", "upstream a: sticky changed\n"},
    {"upstream a {\n server x:1 {\n weight 2\n }\n}\n",
     "upstream a {\n server x:1 {\n weight 3\n }\n}\n",
     "upstream a: server x:1: weight 2 -> weight 3\n"},
};

static void cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct arena arena;
        struct slice_list lines;
        arena_init(&arena, NULL, 0);
        config_diff(parse(CASES[i].from, &arena), parse(CASES[i].to, &arena), &arena, &lines);
        struct buffer all = buffer_in(&arena, 256);
        for (size_t n = 0; n < lines.count; n++)
            buffer_format(&all, "%.*s\n", SLICE_ARG(lines.items[n]));
        assert_string_equal(arena_cstring(&arena, buffer_slice(&all)), CASES[i].lines);
        arena_done(&arena);
    }
}

/* However different two files are, what is said stays short. */
static void bounds(void **state)
{
    (void)state;
    struct arena arena;
    struct slice_list lines;
    arena_init(&arena, NULL, 0);
    struct buffer many = buffer_in(&arena, 1024);
    for (int i = 0; i < CONFIG_DIFF_LINES + 1; i++)
        buffer_format(&many, "upstream u%d {\n    server x:1\n}\n", i);
    const char *text = arena_cstring(&arena, buffer_slice(&many));
    config_diff(parse("", &arena), parse(text, &arena), &arena, &lines);
    assert_int_equal(lines.count, CONFIG_DIFF_LINES + 1);
    assert_true(slice_equal(lines.items[CONFIG_DIFF_LINES], SLICE("… and 1 more")));
    struct buffer servers = buffer_in(&arena, 1024);
    buffer_append(&servers, SLICE("upstream a {\n"));
    for (int i = 0; i < 1000; i++)
        buffer_format(&servers, "    server 10.0.0.1:%d\n", i + 1);
    buffer_append(&servers, SLICE("}\n"));
    text = arena_cstring(&arena, buffer_slice(&servers));
    config_diff(parse("upstream a {\n    server x:1\n}\n", &arena), parse(text, &arena), &arena,
                &lines);
    assert_int_equal(lines.count, 1);
    assert_true(lines.items[0].size < CONFIG_DIFF_LINE_MAX + 200);
    assert_true(slice_ends(lines.items[0], SLICE(" more")));
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(cases), cmocka_unit_test(bounds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
