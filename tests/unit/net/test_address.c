/* SPDX-License-Identifier: Apache-2.0 */
#include "net/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define TEXT(literal)                                                                              \
    {                                                                                              \
        "" literal, sizeof(literal) - 1                                                            \
    }

static void what_is_an_ip_comes_out_as_one(void **state)
{
    static const struct {
        struct slice text, written;
    } CASES[] = {
        {TEXT("127.0.0.1"), TEXT("127.0.0.1")},
        {TEXT("::1"), TEXT("::1")},
        {TEXT("[::1]"), TEXT("::1")},
        {TEXT("[2001:DB8::0:1]"), TEXT("2001:db8::1")},
        {TEXT("::ffff:10.0.0.1"), TEXT("10.0.0.1")},
    };
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct address address;
        char into[ADDRESS_TEXT_MAX];
        assert_true(address_parse_ip(CASES[i].text, &address));
        struct slice written = address_format_ip(&address, into);
        assert_int_equal(written.size, CASES[i].written.size);
        assert_memory_equal(written.data, CASES[i].written.data, written.size);
    }
}

static void what_is_none_is_refused(void **state)
{
    static const struct slice CASES[] = {
        TEXT(""),          TEXT("[]"),        TEXT("[127.0.0.1]"),        TEXT("1.2.3"),
        TEXT("1.2.3.4.5"), TEXT("256.0.0.1"), TEXT("01.2.3.4"),           TEXT("::1%lo"),
        TEXT("[::1"),      TEXT("::1\0"),     TEXT("[::fff\0\0\0\0\04]"), TEXT("127.0.0.1\0x"),
        TEXT(":::"),       TEXT("host"),
    };
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct address address;
        assert_false(address_parse_ip(CASES[i], &address));
    }
}

static void addresses_are_written_as_they_are_read(void **state)
{
    static const struct {
        struct slice text, written;
        uint16_t standard_port;
    } CASES[] = {
        {TEXT("127.0.0.1:80"), TEXT("127.0.0.1:80"), 0},
        {TEXT("127.0.0.1"), TEXT("127.0.0.1:81"), 81},
        {TEXT("[::1]:443"), TEXT("[::1]:443"), 0},
        {TEXT("unix:/run/a.sock"), TEXT("unix:/run/a.sock"), 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct address address;
        struct address again;
        char into[ADDRESS_TEXT_MAX];
        assert_true(address_parse(CASES[i].text, CASES[i].standard_port, &address));
        struct slice written = address_format(&address, into);
        assert_int_equal(written.size, CASES[i].written.size);
        assert_memory_equal(written.data, CASES[i].written.data, written.size);
        assert_true(address_parse(written, 0, &again));
        assert_true(address_equal(&address, &again));
    }
}

static void broken_addresses_are_refused(void **state)
{
    static const struct slice CASES[] = {
        TEXT("127.0.0.1:"), TEXT("127.0.0.1:65536"), TEXT("127.0.0.1:-1"), TEXT("127.0.0.1:8x"),
        TEXT("unix:"),      TEXT("unix:relative"),   TEXT("unix:/a\0b"),   TEXT("localhost:80"),
        TEXT("[::1]80"),    TEXT("127.0.0.1"),
    };
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct address address;
        assert_false(address_parse(CASES[i], 0, &address));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_an_ip_comes_out_as_one),
        cmocka_unit_test(what_is_none_is_refused),
        cmocka_unit_test(addresses_are_written_as_they_are_read),
        cmocka_unit_test(broken_addresses_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
