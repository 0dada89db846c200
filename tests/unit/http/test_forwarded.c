/* SPDX-License-Identifier: Apache-2.0 */
#include "http/forwarded.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void good_elements(void **state)
{
    (void)state;
    static const struct {
        struct slice element, client, host, proto;
    } CASES[] = {
        {SLICE("for=192.0.2.43"), SLICE("192.0.2.43"), SLICE(""), SLICE("")},
        {SLICE("For=\"[2001:db8:cafe::17]:4711\""), SLICE("[2001:db8:cafe::17]:4711"), SLICE(""),
         SLICE("")},
        {SLICE("for=192.0.2.60;proto=http;by=203.0.113.43"), SLICE("192.0.2.60"), SLICE(""),
         SLICE("http")},
        {SLICE("for=\"192.0.2.60:80\""), SLICE("192.0.2.60:80"), SLICE(""), SLICE("")},
        {SLICE("for=\"192.0.2.60:_x\""), SLICE("192.0.2.60:_x"), SLICE(""), SLICE("")},
        {SLICE("for=unknown"), SLICE("unknown"), SLICE(""), SLICE("")},
        {SLICE("for=\"unknown:80\""), SLICE("unknown:80"), SLICE(""), SLICE("")},
        {SLICE("for=_gazonk"), SLICE("_gazonk"), SLICE(""), SLICE("")},
        {SLICE("for=\"_a.b-c:_d\""), SLICE("_a.b-c:_d"), SLICE(""), SLICE("")},
        {SLICE("for=\"1\\92.0.2.1\""), SLICE("192.0.2.1"), SLICE(""), SLICE("")},
        {SLICE("host=\"a.example:8080\";PROTO=https"), SLICE(""), SLICE("a.example:8080"),
         SLICE("https")},
        {SLICE("secret=\"a;b,c\\\"\";for=1.2.3.4"), SLICE("1.2.3.4"), SLICE(""), SLICE("")},
        {SLICE(";for=1.2.3.4;"), SLICE("1.2.3.4"), SLICE(""), SLICE("")},
        {SLICE("ext=1;ext=2;for=1.2.3.4"), SLICE("1.2.3.4"), SLICE(""), SLICE("")},
    };
    struct arena arena;
    arena_init(&arena, NULL, 0);
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct forwarded read;
        assert_true(forwarded_parse(CASES[i].element, &arena, &read));
        assert_true(slice_equal(read.client, CASES[i].client));
        assert_true(slice_equal(read.host, CASES[i].host));
        assert_true(slice_equal(read.proto, CASES[i].proto));
    }
    arena_done(&arena);
}

static void bad_elements(void **state)
{
    (void)state;
    static const struct slice CASES[] = {
        SLICE("for"),
        SLICE("for="),
        SLICE("=1.2.3.4"),
        SLICE("for =1.2.3.4"),
        SLICE("for= 1.2.3.4"),
        SLICE("for=1.2.3.4; proto=http"),
        SLICE("for=1.2.3.4 ;proto=http"),
        SLICE("for=1.2.3.4;for=5.6.7.8"),
        SLICE("for=1.2.3.4;FOR=5.6.7.8"),
        SLICE("for=\"\""),
        SLICE("for=\"1.2.3.4"),
        SLICE("for=1.2.3.4\""),
        SLICE("for=\"1.2.3.4\\\""),
        SLICE("for=\"1.2.3.4\"x"),
        SLICE("for=[2001:db8::1]"), /* has to be quoted */
        SLICE("for=2001:db8::1"),   /* likewise, and bracketed */
        SLICE("for=\"2001:db8::1\""),
        SLICE("for=\"[2001:db8::1\""),
        SLICE("for=\"[2001:db8::1]80\""),
        SLICE("for=\"[2001:db8::1]:\""),
        SLICE("for=\"[192.0.2.1]\""),
        SLICE("for=\"192.0.2.1:\""),
        SLICE("for=\"192.0.2.1:99999\""),
        SLICE("for=\"192.0.2.1:123456\""),
        SLICE("for=\"192.0.2.1:http\""),
        SLICE("for=192.0.2"),
        SLICE("for=192.0.2.256"),
        SLICE("for=host.example"),
        SLICE("for=_"),
        SLICE("for=\"_a b\""),
        SLICE("for=\"_\xc3\xa4\""),
        SLICE("for=\"unknown\1\""),
        SLICE("host=\"a b\""),
        SLICE("host=\"a\\\"b\""),
        SLICE("host=\"a/b\""),
        SLICE("proto=1http"),
        SLICE("proto=\"ht tp\""),
        SLICE("for=1.2.3.4,"),
        SLICE("for=1.2.3.4 x"),
        SLICE("f\0r=1.2.3.4"),
    };
    struct arena arena;
    arena_init(&arena, NULL, 0);
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct forwarded read;
        assert_false(forwarded_parse(CASES[i], &arena, &read));
    }
    arena_done(&arena);
}

static void nodes(void **state)
{
    (void)state;
    static const struct {
        struct slice node;
        const char *address; /* NULL: none */
    } CASES[] = {
        {SLICE("192.0.2.1"), "192.0.2.1:0"},
        {SLICE("192.0.2.1:80"), "192.0.2.1:80"},
        {SLICE("192.0.2.1:0"), "192.0.2.1:0"},
        {SLICE("192.0.2.1:_x"), "192.0.2.1:0"},
        {SLICE("[2001:db8::1]"), "[2001:db8::1]:0"},
        {SLICE("[2001:db8::1]:7"), "[2001:db8::1]:7"},
        {SLICE("unknown"), NULL},
        {SLICE("_hidden"), NULL},
        {SLICE(""), NULL},
        {SLICE("192.0.2.1:x"), NULL},
        {SLICE("::1"), NULL},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct address address;
        char text[ADDRESS_TEXT_MAX];
        bool is_found = forwarded_node(CASES[i].node, &address);
        assert_int_equal(is_found, CASES[i].address != NULL);
        if (is_found)
            assert_true(
                slice_equal(address_format(&address, text), slice_from_cstring(CASES[i].address)));
    }
}

/* Whatever stands further left, the last element is the one that the last proxy has written. */
static void lists_are_read_from_the_right(void **state)
{
    (void)state;
    static const struct {
        struct slice list;
        const char *elements[4];
    } CASES[] = {
        {SLICE("for=a, for=b,for=c"), {"for=c", "for=b", "for=a"}},
        {SLICE("for=a"), {"for=a"}},
        {SLICE(", ,for=a, ,"), {"for=a"}},
        {SLICE(""), {NULL}},
        {SLICE(" , "), {NULL}},
        {SLICE("for=\"a,b\", for=c"), {"for=c", "for=\"a,b\""}},
        {SLICE("for=\", for=c"), {"for=c", "for=\""}},
        {SLICE("for=a, host=\"x, y\""), {"host=\"x, y\"", "for=a"}},
        {SLICE("for=a, host=\"x\\\", y\""), {"host=\"x\\\", y\"", "for=a"}},
        {SLICE("for=a, host=\"x\\\\\""), {"host=\"x\\\\\"", "for=a"}},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct slice list = CASES[i].list;
        struct slice element;
        size_t count = 0;
        while (forwarded_take_last(&list, &element)) {
            assert_non_null(CASES[i].elements[count]);
            assert_true(slice_equal(element, slice_from_cstring(CASES[i].elements[count])));
            count++;
        }
        assert_null(CASES[i].elements[count]);
    }
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    static const struct {
        const char *client, *host, *proto, *text;
    } CASES[] = {
        {"192.0.2.1:80", "", "", "for=192.0.2.1"},
        {"[2001:db8::1]:80", "a.example", "https",
         "for=\"[2001:db8::1]\";host=a.example;proto=https"},
        {"[::ffff:192.0.2.1]:80", "a.example:8080", "http",
         "for=192.0.2.1;host=\"a.example:8080\";proto=http"},
        {"unix:/x", "", "http", "for=unknown;proto=http"},
    };
    struct arena arena;
    arena_init(&arena, NULL, 0);
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct address client;
        struct forwarded read;
        struct buffer out = buffer_in(&arena, 16);
        assert_true(address_parse(slice_from_cstring(CASES[i].client), 0, &client));
        forwarded_append(&out, &client, slice_from_cstring(CASES[i].host),
                         slice_from_cstring(CASES[i].proto));
        assert_true(slice_equal(buffer_slice(&out), slice_from_cstring(CASES[i].text)));
        assert_true(forwarded_parse(buffer_slice(&out), &arena, &read));
        assert_true(slice_equal(read.host, slice_from_cstring(CASES[i].host)));
        assert_true(slice_equal(read.proto, slice_from_cstring(CASES[i].proto)));
    }
    assert_true(forwarded_is_good(SLICE("for=1.2.3.4, for=unknown"), &arena));
    assert_true(forwarded_is_good(SLICE(""), &arena));
    assert_false(forwarded_is_good(SLICE("for=\", for=1.2.3.4"), &arena));
    arena_done(&arena);
}

int main(void)
{
    static const struct CMUnitTest TESTS[] = {
        cmocka_unit_test(good_elements),
        cmocka_unit_test(bad_elements),
        cmocka_unit_test(nodes),
        cmocka_unit_test(lists_are_read_from_the_right),
        cmocka_unit_test(what_is_written_is_read),
    };
    return cmocka_run_group_tests(TESTS, NULL, NULL);
}
