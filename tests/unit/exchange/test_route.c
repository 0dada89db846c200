/* SPDX-License-Identifier: Apache-2.0 */
/* Which route, which site: precedence, conditions, names. */
#include "exchange/cidr.h"
#include "exchange/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct slice GET[] = {{"GET", 3}, {"HEAD", 4}};
static const struct match BY_METHOD[] = {{.kind = MATCH_METHOD, .values = GET, .count = 2}};
static const struct match BY_HEADER[] = {
    {.kind = MATCH_HEADER, .name = {"X-Beta", 6}, .value = {"on", 2}}};
static const struct match BY_TWO_HEADERS[] = {
    {.kind = MATCH_HEADER, .name = {"X-Beta", 6}, .any_value = true},
    {.kind = MATCH_COOKIE, .name = {"group", 5}, .value = {"b", 1}}};
static const struct match BY_QUERY[] = {{.kind = MATCH_QUERY, .name = {"v", 1}, .value = {"2", 1}}};

/* In an order that is not theirs; `order` is that of the file. */
static struct route routes[] = {
    {.kind = ROUTE_PREFIX,
     .path = {"", 0},
     .pattern = {"fallback", 8},
     .is_fallback = true,
     .order = 1},
    {.kind = ROUTE_PREFIX, .path = {"", 0}, .pattern = {"/*", 2}, .order = 2},
    {.kind = ROUTE_PREFIX, .path = {"/a", 2}, .pattern = {"/a/*", 4}, .order = 3},
    {.kind = ROUTE_PREFIX, .path = {"/a/b", 4}, .pattern = {"/a/b/*", 6}, .order = 4},
    {.kind = ROUTE_EXACT, .path = {"/a/b", 4}, .pattern = {"/a/b", 4}, .order = 5},
    {.kind = ROUTE_REGEX, .pattern = {"~[.]php$", 8}, .order = 6},
    {.kind = ROUTE_PREFIX,
     .path = {"/a", 2},
     .pattern = {"query", 5},
     .matches = BY_QUERY,
     .matches_count = 1,
     .order = 7},
    {.kind = ROUTE_PREFIX,
     .path = {"/a", 2},
     .pattern = {"header", 6},
     .matches = BY_HEADER,
     .matches_count = 1,
     .order = 8},
    {.kind = ROUTE_PREFIX,
     .path = {"/a", 2},
     .pattern = {"two", 3},
     .matches = BY_TWO_HEADERS,
     .matches_count = 2,
     .order = 9},
    {.kind = ROUTE_PREFIX, .path = {"/m", 2}, .pattern = {"later", 5}, .order = 11},
    {.kind = ROUTE_PREFIX,
     .path = {"/m", 2},
     .pattern = {"method", 6},
     .matches = BY_METHOD,
     .matches_count = 1,
     .order = 12},
    {.kind = ROUTE_PREFIX, .path = {"/m", 2}, .pattern = {"first", 5}, .order = 10},
};
enum { ROUTES = sizeof routes / sizeof *routes };

static int sort_routes(void **state)
{
    (void)state;
    char error[128];
    size_t at;
    for (size_t i = 0; i < ROUTES; i++)
        if (routes[i].kind == ROUTE_REGEX)
            routes[i].regex = regex_compile(SLICE("[.]php$"), error, sizeof error, &at);
    routes_sort(routes, ROUTES);
    return 0;
}

static int free_routes(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROUTES; i++)
        if (routes[i].regex != NULL)
            regex_free(routes[i].regex);
    return 0;
}

static void precedence(void **state)
{
    (void)state;
    static const char *const ORDER[ROUTES] = {"/a/b",   "/a/b/*", "method",   "two",
                                              "header", "query",  "/a/*",     "first",
                                              "later",  "/*",     "~[.]php$", "fallback"};
    for (size_t i = 0; i < ROUTES; i++)
        for (size_t j = 0; j < ROUTES; j++)
            if (slice_equal(routes[i].pattern, slice_from_cstring(ORDER[j])) && i != j)
                fail_msg("%s is at %zu, not at %zu", ORDER[j], i, j);
}

static void choosing(void **state)
{
    (void)state;
    static const struct {
        const char *method, *path, *query, *beta, *cookie, *route;
    } table[] = {
        {"GET", "/a/b", "", NULL, NULL, "/a/b"},
        {"GET", "/a/b/", "", NULL, NULL, "/a/b/*"},
        {"GET", "/a/b/c", "", NULL, NULL, "/a/b/*"},
        {"GET", "/a/bc", "", NULL, NULL, "/a/*"},
        {"GET", "/a", "", NULL, NULL, "/a/*"},
        {"GET", "/ab", "", NULL, NULL, "/*"},
        {"GET", "/A", "", NULL, NULL, "/*"},
        {"GET", "/a", "v=2", NULL, NULL, "query"},
        {"GET", "/a", "x=1&v=2", NULL, NULL, "query"},
        {"GET", "/a", "v=2&v=3", NULL, NULL, "query"},
        {"GET", "/a", "v=3&v=2", NULL, NULL, "/a/*"}, /* the first counts */
        {"GET", "/a", "vv=2", NULL, NULL, "/a/*"},
        {"GET", "/a", "v", NULL, NULL, "/a/*"},
        {"GET", "/a", "v=2", "on", NULL, "header"},
        {"GET", "/a", "v=2", "ON", NULL, "query"}, /* values have a case */
        {"GET", "/a", "", "off", "group=b", "two"},
        {"GET", "/a", "", "on", "x=y; group=b", "two"},
        {"GET", "/a", "", "on", "xgroup=b; group=c", "header"},
        {"GET", "/m/1", "", NULL, NULL, "method"},
        {"HEAD", "/m/1", "", NULL, NULL, "method"},
        {"get", "/m/1", "", NULL, NULL, "first"},
        {"POST", "/m/1", "", NULL, NULL, "first"},
        {"OPTIONS", "*", "", NULL, NULL, "/*"},
    };
    struct site site = {.routes = routes, .routes_count = ROUTES};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct field items[4];
        struct fields fields;
        fields_init(&fields, NULL, items, 4);
        if (table[i].beta != NULL)
            assert_true(
                fields_add_named(&fields, SLICE("x-beta"), slice_from_cstring(table[i].beta)));
        if (table[i].cookie != NULL)
            assert_true(fields_add(&fields, FIELD_COOKIE, slice_from_cstring(table[i].cookie)));
        struct route_question question = {
            .path = slice_from_cstring(table[i].path),
            .query = slice_from_cstring(table[i].query),
            .method = slice_from_cstring(table[i].method),
            .fields = &fields,
        };
        bool limit_hit = true;
        const struct route *route = route_choose(&site, &question, &limit_hit);
        assert_non_null(route);
        assert_false(limit_hit);
        if (!slice_equal(route->pattern, slice_from_cstring(table[i].route)))
            fail_msg("row %zu: %.*s", i, SLICE_ARG(route->pattern));
    }
}

/* The shortest conditions, and a list that ends where it ends. */
static void short_ones_count(void **state)
{
    (void)state;
    static const struct match HAS_V[] = {
        {.kind = MATCH_QUERY, .name = {"v", 1}, .any_value = true}};
    struct route two[] = {{.kind = ROUTE_PREFIX, .matches = HAS_V, .matches_count = 1},
                          {.kind = ROUTE_PREFIX}};
    struct site site = {.routes = two, .routes_count = 1};
    struct field items[4];
    struct fields fields;
    fields_init(&fields, NULL, items, 4);
    struct route_question question = {.path = SLICE("/"), .query = SLICE("v"), .fields = &fields};
    bool limit_hit;
    assert_ptr_equal(route_choose(&site, &question, &limit_hit), &two[0]);
    question.query = SLICE("x=1&v");
    assert_ptr_equal(route_choose(&site, &question, &limit_hit), &two[0]);
    question.query = SLICE("x");
    assert_null(route_choose(&site, &question, &limit_hit));
    struct slice value;
    assert_true(fields_add(&fields, FIELD_COOKIE, SLICE("a; b=1;=")));
    assert_false(cookie_find(&fields, SLICE("a"), &value));
    assert_true(cookie_find(&fields, SLICE("b"), &value));
    assert_true(slice_equal(value, SLICE("1")));
    assert_true(cookie_find(&fields, SLICE(""), &value));
    assert_int_equal(value.size, 0);
}

static void regular_expressions_are_bounded(void **state)
{
    (void)state;
    char error[128];
    size_t at;
    void *slow = regex_compile(SLICE("^(a+)+$"), error, sizeof error, &at);
    assert_non_null(slow);
    assert_int_equal(regex_match(slow, SLICE("aaaa")), REGEX_YES);
    assert_int_equal(regex_match(slow, SLICE("b")), REGEX_NO);
    struct route route = {.kind = ROUTE_REGEX, .regex = slow};
    struct site site = {.routes = &route, .routes_count = 1};
    struct fields fields;
    fields_init(&fields, NULL, NULL, 0);
    struct route_question question = {
        .path = SLICE("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"),
        .fields = &fields,
    };
    bool limit_hit;
    assert_null(route_choose(&site, &question, &limit_hit));
    assert_true(limit_hit);
    regex_free(slow);
    assert_null(regex_compile(SLICE("a(b"), error, sizeof error, &at));
    assert_int_equal(at, 3);
    assert_true(strlen(error) > 0);
}

static void sites(void **state)
{
    (void)state;
    static struct site exact, wild, longer, any;
    static const struct site_name names[] = {
        {{".example.com", 12}, &wild},
        {{"example.com", 11}, &exact},
        {{".eu.example.com", 15}, &longer},
        {{"*", 1}, &any},
        {{"[::1]", 5}, &exact},
    };
    static const struct {
        const char *host;
        struct site *with_any, *without;
    } table[] = {
        {"example.com", &exact, &exact},
        {"www.example.com", &wild, &wild},
        {"a.b.example.com", &wild, &wild},
        {"x.eu.example.com", &longer, &longer},
        {"eu.example.com", &wild, &wild},
        {".example.com", &any, NULL}, /* the star stands for something */
        {"notexample.com", &any, NULL},
        {"[::1]", &exact, &exact},
        {"", &any, NULL},
    };
    struct arena arena;
    arena_init(&arena, NULL, 0);
    struct site_table full, bare, empty;
    site_table_build(&full, names, 5, &arena);
    struct site_name fewer[] = {names[0], names[1], names[2], names[4]};
    site_table_build(&bare, fewer, 4, &arena);
    site_table_build(&empty, NULL, 0, &arena);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct slice host = slice_from_cstring(table[i].host);
        assert_ptr_equal(site_choose(&full, host), table[i].with_any);
        assert_ptr_equal(site_choose(&bare, host), table[i].without);
        assert_null(site_choose(&empty, host));
    }
    arena_done(&arena);
}

enum { MANY = 700 };

/* So many that their places in the table collide. */
static void many_sites(void **state)
{
    (void)state;
    static struct site sites_of[MANY];
    static struct site_name names[MANY];
    static char texts[2 * MANY][24];
    struct arena arena;
    struct site_table table;
    arena_init(&arena, NULL, 0);
    for (int i = 0; i < 2 * MANY; i++)
        snprintf(texts[i], sizeof texts[i], "h%d.example", i);
    for (int i = 0; i < MANY; i++)
        names[i] = (struct site_name){slice_from_cstring(texts[i]), &sites_of[i]};
    site_table_build(&table, names, MANY, &arena);
    assert_false(table.names_vary);
    for (int i = 0; i < 2 * MANY; i++)
        assert_ptr_equal(site_choose(&table, slice_from_cstring(texts[i])),
                         i < MANY ? &sites_of[i] : NULL);
    sites_of[1].field_names = FIELD_NAMES_ALLOW;
    site_table_build(&table, names, MANY, &arena);
    assert_true(table.names_vary);
    arena_done(&arena);
}

/* Whether a client that accepts these would rather have German or French than anything else. */
static void languages(void **state)
{
    (void)state;
    static const struct slice VALUES[] = {{"de", 2}, {"fr-CA", 5}};
    static const struct match BY_LANGUAGE[] = {
        {.kind = MATCH_LANGUAGE, .values = VALUES, .count = 2}};
    static struct route route = {
        .kind = ROUTE_PREFIX, .matches = BY_LANGUAGE, .matches_count = 1, .order = 1};
    static const struct {
        const char *accept;
        bool holds;
    } table[] = {
        {"de", true},
        {"DE-ch", true},
        {"deu", false},
        {"fr", false},
        {"fr-CA-x", true},
        {"en, de", false}, /* of equal ones the first */
        {"de;q=0.9, en", false},
        {"en;q=0.5, de;q=0.6", true},
        {"en;q=0.59, de;q=0.6", true},
        {"en;q=0.7, de;q=0.69", false},
        {"en;q=0.001, de;q=0.002", true},
        {"en;q=0.9, de;q=1", true},
        {"en;q=0.9, de;q=1.000", true},
        {"de;q=0", false},
        {"de;q=", false},
        {"de;level=1", false},
        {"*, de;q=0.1", true}, /* anything is no wish */
        {"", false},
    };
    struct site site = {.routes = &route, .routes_count = 1};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct field items[1];
        struct fields fields;
        bool limit_hit;
        fields_init(&fields, NULL, items, 1);
        assert_true(fields_add_named(&fields, SLICE("accept-language"),
                                     slice_from_cstring(table[i].accept)));
        struct route_question question = {
            .path = SLICE("/"), .method = SLICE("GET"), .fields = &fields};
        if ((route_choose(&site, &question, &limit_hit) != NULL) != table[i].holds)
            fail_msg("\"%s\"", table[i].accept);
    }
}

static void networks(void **state)
{
    (void)state;
    static const struct {
        const char *cidr, *address;
        bool has;
    } table[] = {
        {"10.0.0.0/8", "10.255.255.255", true},
        {"10.0.0.0/8", "11.0.0.0", false},
        {"10.0.0.0/8", "9.255.255.255", false},
        {"192.0.2.7", "192.0.2.7", true},
        {"192.0.2.7", "192.0.2.6", false},
        {"192.0.2.0/25", "192.0.2.127", true},
        {"192.0.2.0/25", "192.0.2.128", false},
        {"0.0.0.0/0", "203.0.113.9", true},
        {"0.0.0.0/0", "::1", false},
        {"::/0", "::1", true},
        {"10.0.0.0/8", "::ffff:10.1.2.3", true},
        {"2001:db8::/33", "2001:db8:7fff::1", true},
        {"2001:db8::/33", "2001:db8:8000::1", false},
        {"::1", "::1", true},
        {"::1", "::2", false},
    };
    struct cidr cidr;
    struct address address;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        assert_true(cidr_parse(slice_from_cstring(table[i].cidr), &cidr));
        assert_true(address_parse_ip(slice_from_cstring(table[i].address), &address));
        if (cidr_has(&cidr, &address) != table[i].has)
            fail_msg("%s in %s", table[i].address, table[i].cidr);
        assert_int_equal(cidr_list_has(&cidr, 1, &address), table[i].has);
    }
    assert_false(cidr_list_has(NULL, 0, &address));
    assert_true(address_parse(SLICE("unix:/run/x"), 0, &address));
    assert_true(cidr_parse(SLICE("0.0.0.0/0"), &cidr));
    assert_false(cidr_has(&cidr, &address));
    static const char *const BAD[] = {"",    "10.0.0.0/",   "10.0.0.0/33", "::/129", "10.0.0/8",
                                      "a/8", "10.0.0.0/-1", "10.0.0.0/8x", "/8"};
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
        assert_false(cidr_parse(slice_from_cstring(BAD[i]), &cidr));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(precedence),
        cmocka_unit_test(choosing),
        cmocka_unit_test(short_ones_count),
        cmocka_unit_test(regular_expressions_are_bounded),
        cmocka_unit_test(sites),
        cmocka_unit_test(many_sites),
        cmocka_unit_test(languages),
        cmocka_unit_test(networks),
    };
    return cmocka_run_group_tests(tests, sort_routes, free_routes);
}
