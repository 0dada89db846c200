/* SPDX-License-Identifier: Apache-2.0 */
#include "net/tls_tickets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void keys_are_known_until_they_have_been_rotated_away(void **state)
{
    (void)state;
    struct tls_tickets *tickets = tls_tickets_new();
    struct tls_ticket_key first;
    struct tls_ticket_key found;
    bool is_old = true;
    tls_tickets_current(tickets, &first);
    assert_true(tls_tickets_find(tickets, first.name, &found, &is_old));
    assert_false(is_old);
    assert_memory_equal(&first, &found, sizeof first);
    for (int i = 1; i < TLS_TICKETS_KEPT; i++) {
        tls_tickets_rotate(tickets);
        assert_true(tls_tickets_find(tickets, first.name, &found, &is_old));
        assert_true(is_old);
        assert_memory_equal(&first, &found, sizeof first);
    }
    tls_tickets_rotate(tickets);
    assert_false(tls_tickets_find(tickets, first.name, &found, &is_old));
    tls_tickets_free(tickets);
}

static void no_two_keys_are_alike(void **state)
{
    (void)state;
    struct tls_tickets *tickets = tls_tickets_new();
    struct tls_ticket_key keys[8];
    for (int i = 0; i < 8; i++) {
        tls_tickets_current(tickets, &keys[i]);
        for (int before = 0; before < i; before++) {
            assert_memory_not_equal(keys[i].name, keys[before].name, TLS_TICKET_NAME_SIZE);
            assert_memory_not_equal(keys[i].cipher, keys[before].cipher, TLS_TICKET_KEY_SIZE);
            assert_memory_not_equal(keys[i].mac, keys[before].mac, TLS_TICKET_KEY_SIZE);
        }
        tls_tickets_rotate(tickets);
    }
    tls_tickets_free(tickets);
}

static void an_unknown_name_is_not_found(void **state)
{
    (void)state;
    struct tls_tickets *tickets = tls_tickets_new();
    struct tls_ticket_key key;
    unsigned char name[TLS_TICKET_NAME_SIZE] = {0};
    bool is_old;
    /* Also not the empty places behind the first key. */
    assert_false(tls_tickets_find(tickets, name, &key, &is_old));
    tls_tickets_free(tickets);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_known_until_they_have_been_rotated_away),
        cmocka_unit_test(no_two_keys_are_alike),
        cmocka_unit_test(an_unknown_name_is_not_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
