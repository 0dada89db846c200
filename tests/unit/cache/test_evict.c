/* SPDX-License-Identifier: Apache-2.0 */
/* cache/evict: who goes first, by how much, and that nothing is lost on the way. */
#include "cache/evict.h"

#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum {
    ITEMS = 4000,
};
static struct evict_item items[ITEMS];

static uint64_t hash_of(unsigned i)
{
    uint64_t x = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
    return (x ^ x >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
}

static void begin(struct evict *evict, uint64_t bytes_max)
{
    memset(items, 0, sizeof items);
    evict_init(evict, bytes_max, 1);
}

static void insert(struct evict *evict, unsigned i, uint64_t bytes)
{
    evict_insert(evict, &items[i], hash_of(i), bytes);
    while (evict_over(evict, 0) != NULL)
        continue;
}

static void newcomers_go_first(void **state)
{
    (void)state;
    struct evict evict;
    begin(&evict, 1000);
    assert_null(evict_next(&evict));
    for (unsigned i = 0; i < 100; i++) {
        insert(&evict, i, 10);
        evict_touch(&items[i]);
    }
    assert_int_equal(evict_bytes(&evict), 1000);
    /* Those of the first hundred that were used stay while a thousand others pass through. */
    for (unsigned i = 100; i < 1100; i++)
        insert(&evict, i, 10);
    unsigned stayed = 0;
    for (unsigned i = 0; i < 100; i++)
        stayed += items[i].queue != 0;
    assert_true(stayed >= 80);
    assert_true(evict_bytes(&evict) <= 1000);
    evict_done(&evict);
}

static void who_comes_again_stays(void **state)
{
    (void)state;
    struct evict evict;
    begin(&evict, 1000);
    for (unsigned i = 0; i < 200; i++)
        insert(&evict, i, 10);
    assert_int_equal(items[50].queue, 0);
    insert(&evict, 50, 10); /* was seen lately: straight to the main queue */
    assert_int_equal(items[50].queue, 2);
    for (unsigned i = 200; i < 220; i++)
        insert(&evict, i, 10);
    assert_int_equal(items[50].queue, 2);
    /* Too long ago: as new. */
    for (unsigned i = 300; i < 3000; i++)
        insert(&evict, i, 10);
    insert(&evict, 60, 10);
    assert_int_equal(items[60].queue, 1);
    evict_done(&evict);
}

static void sizes(void **state)
{
    (void)state;
    struct evict evict;
    begin(&evict, 1000);
    evict_insert(&evict, &items[0], 1, 600);
    assert_null(evict_over(&evict, 400));
    evict_insert(&evict, &items[1], 2, 400);
    assert_null(evict_over(&evict, 0));
    assert_ptr_equal(evict_over(&evict, 1), &items[0]);
    assert_null(evict_over(&evict, 600));
    evict_resize(&evict, &items[1], 1001);
    assert_int_equal(evict_bytes(&evict), 1001);
    assert_ptr_equal(evict_over(&evict, 0), &items[1]);
    assert_int_equal(evict_bytes(&evict), 0);
    evict_insert(&evict, &items[2], 3, 5);
    evict_remove(&evict, &items[2]);
    evict_remove(&evict, &items[2]);
    assert_null(evict_over(&evict, UINT64_MAX));
    assert_int_equal(evict.count, 0);
    evict_done(&evict);
}

static void uses_run_out(void **state)
{
    (void)state;
    struct evict evict;
    begin(&evict, 100);
    for (unsigned i = 0; i < 10; i++) {
        insert(&evict, i, 10);
        for (unsigned n = 0; n < 100; n++)
            evict_touch(&items[i]);
        assert_int_equal(items[i].uses, 3);
    }
    for (unsigned i = 0; i < 10; i++)
        assert_non_null(evict_next(&evict));
    assert_null(evict_next(&evict));
    evict_done(&evict);
}

/* Whatever happens in whatever order, the sums are those of who is in. */
static void model(void **state)
{
    (void)state;
    struct evict evict;
    struct random random = {{1, 2, 3, 4}};
    begin(&evict, 20000);
    for (unsigned n = 0; n < 200000; n++) {
        unsigned i = random_below(&random, ITEMS);
        struct evict_item *item = &items[i];
        switch (random_below(&random, 4)) {
        case 0:
            if (item->queue != 0)
                evict_remove(&evict, item);
            break;
        case 1:
            if (item->queue != 0)
                evict_resize(&evict, item, random_below(&random, 50));
            break;
        default:
            if (item->queue != 0)
                evict_touch(item);
            else
                evict_insert(&evict, item, hash_of(i), random_below(&random, 50));
        }
        for (struct evict_item *gone; (gone = evict_over(&evict, 0)) != NULL;)
            assert_int_equal(gone->queue, 0);
        if (n % 1000 == 0) {
            uint64_t bytes = 0, count = 0;
            for (unsigned k = 0; k < ITEMS; k++) {
                bytes += items[k].queue != 0 ? items[k].bytes : 0;
                count += items[k].queue != 0;
            }
            assert_int_equal(bytes, evict_bytes(&evict));
            assert_int_equal(count, evict.count);
            assert_true(bytes <= 20000);
        }
    }
    evict_done(&evict);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(newcomers_go_first),
        cmocka_unit_test(who_comes_again_stays),
        cmocka_unit_test(sizes),
        cmocka_unit_test(uses_run_out),
        cmocka_unit_test(model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
