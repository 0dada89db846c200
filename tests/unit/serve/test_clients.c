/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/clients.h"

#include "limit/tally.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct address of(const char *text)
{
    struct address address;
    assert_true(address_parse_ip(slice_from_cstring(text), &address));
    return address;
}

static void counted_by_address(void **state)
{
    (void)state;
    struct tally *clients = tally_new();
    struct address a = of("192.0.2.1"), b = of("192.0.2.2");
    assert_false(clients_enter(clients, &a, 0));
    assert_true(clients_enter(clients, &a, 2));
    assert_true(clients_enter(clients, &a, 2));
    assert_false(clients_enter(clients, &a, 2));
    assert_true(clients_enter(clients, &a, 3)); /* the limit is the caller's */
    assert_true(clients_enter(clients, &b, 1));
    assert_false(clients_enter(clients, &b, 1));
    assert_false(clients_enter(clients, &b, 0));
    clients_leave(clients, &b);
    assert_true(clients_enter(clients, &b, 1));
    tally_free(clients); /* with some inside */
}

static void which_addresses_are_one(void **state)
{
    (void)state;
    static const struct {
        const char *first, *second;
        bool is_one;
    } table[] = {
        {"192.0.2.1", "::ffff:192.0.2.1", true},
        {"2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", true},
        {"2001:db8:1:2::1", "2001:db8:1:3::1", false},
        {"::1", "::2", true},
        {"192.0.2.1", "192.0.2.129", false},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct tally *clients = tally_new();
        struct address first = of(table[i].first), second = of(table[i].second);
        assert_true(clients_enter(clients, &first, 1));
        assert_int_equal(clients_enter(clients, &second, 1), !table[i].is_one);
        tally_free(clients);
    }
}

static void many_come_and_go(void **state)
{
    (void)state;
    struct tally *clients = tally_new();
    char text[32];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 20000; i++) {
            snprintf(text, sizeof text, "10.%d.%d.%d", round, i / 250, i % 250);
            struct address address = of(text);
            assert_true(clients_enter(clients, &address, 1));
        }
        for (int i = 0; i < 20000; i++) {
            snprintf(text, sizeof text, "10.%d.%d.%d", round, i / 250, i % 250);
            struct address address = of(text);
            assert_false(clients_enter(clients, &address, 1));
            clients_leave(clients, &address);
        }
    }
    tally_free(clients);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counted_by_address),
        cmocka_unit_test(which_addresses_are_one),
        cmocka_unit_test(many_come_and_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
