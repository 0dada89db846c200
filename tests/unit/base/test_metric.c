/* SPDX-License-Identifier: Apache-2.0 */
#include "base/metric.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define MS INT64_C(1000000)

static void bounds_belong_to_their_bucket(void **state)
{
    (void)state;
    struct histogram h = {0};
    for (size_t i = 0; i < HISTOGRAM_BOUNDS; i++) {
        histogram_add(&h, HISTOGRAM_BOUND[i]);
        assert_int_equal(h.buckets[i], 1);
        if (i > 0)
            assert_true(HISTOGRAM_BOUND[i] > HISTOGRAM_BOUND[i - 1]);
    }
    histogram_add(&h, HISTOGRAM_BOUND[HISTOGRAM_BOUNDS - 1] + 1);
    assert_int_equal(h.buckets[HISTOGRAM_BOUNDS], 1);
    histogram_add(&h, HISTOGRAM_BOUND[3] + 1);
    assert_int_equal(h.buckets[4], 2);
    histogram_add(&h, 0);
    histogram_add(&h, -5);
    assert_int_equal(h.buckets[0], 3);
    assert_int_equal(histogram_count(&h), HISTOGRAM_BOUNDS + 4);
}

static void histograms_are_joined(void **state)
{
    (void)state;
    struct histogram one = {0};
    struct histogram two = {0};
    histogram_add(&one, 2 * MS);
    histogram_add(&two, 2 * MS);
    histogram_add(&two, 40000 * MS);
    histogram_join(&one, &two);
    assert_int_equal(histogram_count(&one), 3);
    assert_int_equal(one.buckets[1], 2);
    assert_int_equal(one.sum, 40004 * MS);
}

static uint64_t count_of(const struct tally_of *tally, uint64_t key)
{
    for (size_t i = 0; i < TALLY_SLOTS; i++)
        if (tally->keys[i] == key)
            return tally->counts[i];
    return 0;
}

static void as_many_keys_as_there_may_be(void **state)
{
    (void)state;
    struct tally_of tally = {0};
    for (int round = 0; round < 3; round++)
        for (uint64_t key = 1; key <= TALLY_KINDS; key++)
            tally_of_add(&tally, key << 16);
    for (uint64_t key = 1; key <= TALLY_KINDS; key++)
        assert_int_equal(count_of(&tally, key << 16), 3);
    assert_int_equal(tally.others, 0);
    tally_of_add(&tally, 7);
    tally_of_add(&tally, 8);
    tally_of_add(&tally, UINT64_C(1) << 16);
    assert_int_equal(tally.others, 2);
    assert_int_equal(count_of(&tally, UINT64_C(1) << 16), 4);
}

static void tallies_are_joined(void **state)
{
    (void)state;
    struct tally_of one = {0};
    struct tally_of two = {0};
    tally_of_add(&one, 200);
    tally_of_add(&two, 200);
    tally_of_add(&two, 404);
    two.others = 5;
    tally_of_join(&one, &two);
    assert_int_equal(count_of(&one, 200), 2);
    assert_int_equal(count_of(&one, 404), 1);
    assert_int_equal(one.others, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounds_belong_to_their_bucket),
        cmocka_unit_test(histograms_are_joined),
        cmocka_unit_test(as_many_keys_as_there_may_be),
        cmocka_unit_test(tallies_are_joined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
