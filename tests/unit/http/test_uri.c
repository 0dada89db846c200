/* SPDX-License-Identifier: Apache-2.0 */
#include "http/date.h"
#include "http/status_text.h"
#include "http/uri.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static struct arena arena;

static void paths(void **state)
{
    (void)state;
    static const struct {
        const char *raw, *canonical; /* NULL: refused */
        bool keeps_escaped_slash, keeps_slashes;
    } table[] = {
        {"/", "/", false, false},
        {"/a/b", "/a/b", false, false},
        {"/a//b///c", "/a/b/c", false, false},
        {"/a//b", "/a//b", false, true},
        {"/./a/./b/.", "/a/b/", false, false},
        {"/a/b/..", "/a/", false, false},
        {"/a/../b", "/b", false, false},
        {"/a/b/../../c", "/c", false, false},
        {"/..", NULL, false, false},
        {"/a/../../b", NULL, false, false},
        {"/%2e%2E/b", NULL, false, false},
        {"/a/%2e%2e/b", "/b", false, false},
        {"/%41%7a%2d", "/Az-", false, false},
        {"/%c3%a4", "/%C3%A4", false, false},
        {"/%20%3f%23", "/%20%3F%23", false, false},
        {"/%252e", "/%252e", false, false},
        {"/a%2fb", NULL, false, false},
        {"/a%2fb", "/a%2Fb", true, false},
        {"/a%5cb", NULL, true, false},
        {"/a\\b", NULL, true, false},
        {"/%00", NULL, true, false},
        {"/%", NULL, false, false},
        {"/%4", NULL, false, false},
        {"/%zz", NULL, false, false},
        {"", NULL, false, false},
        {"a", NULL, false, false},
        {"/a;b=c/d", "/a;b=c/d", false, false},
        {"/...", "/...", false, false},
        {"/.a/..b", "/.a/..b", false, false},
        {"/a/..;/b", "/a/..;/b", false, false},
        {"//", "/", false, false},
        {"/a/.//..//b", "/b", false, false},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct uri_path_rules rules = {table[i].keeps_escaped_slash, table[i].keeps_slashes};
        struct slice path = {0};
        bool is_good = uri_canonical_path(slice_from_cstring(table[i].raw), &rules, &arena, &path);
        if (is_good != (table[i].canonical != NULL))
            print_error("%s\n", table[i].raw);
        assert_int_equal(is_good, table[i].canonical != NULL);
        if (!is_good)
            continue;
        if (!slice_equal(path, slice_from_cstring(table[i].canonical)))
            print_error("%s gives %.*s\n", table[i].raw, SLICE_ARG(path));
        assert_true(slice_equal(path, slice_from_cstring(table[i].canonical)));
        struct slice again;
        assert_true(uri_canonical_path(path, &rules, &arena, &again));
        assert_true(slice_equal(path, again));
    }
}

static void hosts(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host; /* NULL: refused */
        uint16_t port;
    } table[] = {
        {"Example.COM", "example.com", 0},
        {"example.com:8080", "example.com", 8080},
        {"example.com.", "example.com", 0},
        {"[::1]", "[::1]", 0},
        {"[2001:DB8::1]:443", "[2001:db8::1]", 443},
        {"1.2.3.4:65535", "1.2.3.4", 65535},
        {"a_b.example", "a_b.example", 0},
        {"", NULL, 0},
        {".", NULL, 0},
        {".a", NULL, 0},
        {"a..b", NULL, 0},
        {"a..", NULL, 0},
        {"a:", NULL, 0},
        {"a:0", NULL, 0},
        {"a:65536", NULL, 0},
        {"a:8x", NULL, 0},
        {"a b", NULL, 0},
        {"u@a", NULL, 0},
        {"a,b", NULL, 0},
        {"a/b", NULL, 0},
        {"[::1", NULL, 0},
        {"[::1]x", NULL, 0},
        {"[fe80::1%eth0]", NULL, 0},
        {"::1", NULL, 0},
        {"a%41", NULL, 0},
        {"a:80:80", NULL, 0},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char text[64];
        struct slice host;
        uint16_t port = 0;
        size_t size = strlen(table[i].text);
        memcpy(text, table[i].text, size);
        bool is_good = uri_parse_authority(text, size, &host, &port);
        if (is_good != (table[i].host != NULL))
            print_error("%s\n", table[i].text);
        assert_int_equal(is_good, table[i].host != NULL);
        if (is_good) {
            assert_true(slice_equal(host, slice_from_cstring(table[i].host)));
            assert_int_equal(port, table[i].port);
        }
    }
    /* A label of 63 bytes passes, one of 64 does not; a name of 255, not of 256. */
    char name[300];
    struct slice host;
    uint16_t port;
    for (size_t size = 62; size <= 64; size++) {
        memset(name, 'a', size);
        assert_int_equal(uri_parse_authority(name, size, &host, &port), size <= 63);
    }
    for (size_t size = 254; size <= 256; size++) {
        for (size_t i = 0; i < size; i++)
            name[i] = i % 50 == 49 && i + 1 < size ? '.' : 'a';
        assert_int_equal(uri_parse_authority(name, size, &host, &port), size <= 255);
    }
}

static void encoding(void **state)
{
    (void)state;
    assert_true(slice_equal(uri_encode(SLICE("/a b\r\n\"\xc3?x=%41"), &arena),
                            SLICE("/a%20b%0D%0A%22%C3?x=%41")));
    struct slice same = SLICE("/a?b=c&d;e");
    assert_ptr_equal(uri_encode(same, &arena).data, same.data);
    struct uri uri;
    assert_true(uri_parse(SLICE("HTTP://Ex.ample:81/p?q"), &uri));
    assert_true(slice_equal(uri.path, SLICE("/p")) && slice_equal(uri.query, SLICE("q")));
    assert_int_equal(uri.port, 81);
    assert_false(uri_parse(SLICE("ftp://a/"), &uri));
    assert_false(uri_parse(SLICE("http:///"), &uri));
    assert_false(uri_parse(SLICE("http://a /"), &uri));
}

static void dates(void **state)
{
    (void)state;
    const int64_t wall = INT64_C(784111777123456789);
    char text[32];
    assert_true(slice_equal(date_http(wall, text), SLICE("Sun, 06 Nov 1994 08:49:37 GMT")));
    assert_true(slice_equal(date_iso(wall, text), SLICE("1994-11-06T08:49:37.123456Z")));
    assert_true(slice_equal(date_clf(wall, text), SLICE("06/Nov/1994:08:49:37 +0000")));
    static const char *const same[] = {"Sun, 06 Nov 1994 08:49:37 GMT",
                                       "Sunday, 06-Nov-94 08:49:37 GMT",
                                       "Sun Nov  6 08:49:37 1994"};
    for (int i = 0; i < 3; i++) {
        int64_t parsed = 0;
        assert_true(date_parse(slice_from_cstring(same[i]), &parsed));
        assert_true(parsed == INT64_C(784111777000000000));
    }
    static const char *const bad[] = {"",
                                      "x",
                                      "Sun, 06 Nov 1994 08:49:37",
                                      "Sun, 32 Nov 1994 08:49:37 GMT",
                                      "Sun, 06 Nov 1994 24:49:37 GMT",
                                      "Sun, 06 Nux 1994 08:49:37 GMT"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t parsed;
        assert_false(date_parse(slice_from_cstring(bad[i]), &parsed));
    }
}

static void statuses(void **state)
{
    (void)state;
    assert_true(slice_equal(status_text(404), SLICE("Not Found")));
    assert_true(slice_equal(status_line(200), SLICE("HTTP/1.1 200 OK\r\n")));
    assert_true(slice_equal(status_text(499), SLICE("Client Error")));
    assert_int_equal(status_line(600).size, 0);
    assert_int_equal(status_line(-1).size, 0);
}

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena, NULL, 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_done(&arena);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(paths), TEST(hosts), TEST(encoding), TEST(dates),
                                       TEST(statuses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
