/* SPDX-License-Identifier: Apache-2.0 */
#include "limit/charges.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void add(struct charges *charges, uint64_t client, int64_t bytes)
{
    const uint64_t key[2] = {client, 2};
    charges_add(charges, key, bytes);
}

static int64_t bytes_of(const struct charges *charges, uint64_t client)
{
    const uint64_t key[2] = {client, 2};
    const struct charge *charge = charges_find(charges, key);
    return charge == NULL ? 0 : charge->bytes;
}

static void sums_by_client(void **state)
{
    struct charges charges, more;
    (void)state;
    charges_init(&charges);
    charges_init(&more);
    assert_int_equal(bytes_of(&charges, 1), 0);
    for (uint64_t i = 0; i < 5000; i++) {
        add(&charges, i % 1000, 1);
        add(&more, i % 2000, 2);
    }
    add(&charges, 7, 0);
    add(&charges, 7, -5);
    assert_int_equal(charges.count, 1000);
    assert_int_equal(bytes_of(&charges, 7), 5);
    charges_add_all(&charges, &more);
    assert_int_equal(charges.count, 2000);
    assert_int_equal(charges.total, 15000);
    assert_int_equal(bytes_of(&charges, 7), 11);
    assert_int_equal(bytes_of(&charges, 1007), 4);
    assert_int_equal(bytes_of(&charges, 2000), 0);
    charges_done(&charges);
    charges_done(&more);
}

static void finds_the_largest(void **state)
{
    struct charges charges;
    (void)state;
    charges_init(&charges);
    assert_int_equal(charges_largest(&charges, 1, 10), 0);
    for (uint64_t i = 1; i <= 300; i++)
        add(&charges, i, (int64_t)i);
    assert_int_equal(charges_largest(&charges, 300, 10), 1);
    assert_int_equal(charges.places[0].client[0], 300);
    assert_int_equal(charges_largest(&charges, 301, 10), 2);
    assert_int_equal(charges.places[1].bytes, 299);
    assert_int_equal(charges_largest(&charges, INT64_MAX, 10), 10);
    assert_int_equal(charges_largest(&charges, INT64_MAX, 1000), 300);
    assert_int_equal(charges_largest(&charges, 0, 10), 0);
    charges_done(&charges);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_by_client),
        cmocka_unit_test(finds_the_largest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
