/* SPDX-License-Identifier: Apache-2.0 */
#include "limit/kept.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static int made, released;
static int objects[8];

static void *make(int64_t argument)
{
    objects[made] = (int)argument;
    return &objects[made++];
}

static void release(void *object)
{
    (void)object;
    released++;
}

static void found_again_until_the_last_leaves(void **state)
{
    (void)state;
    struct kept *first = kept_find("rate", SLICE("one"), make, 7, release);
    struct kept *second = kept_find("rate", SLICE("one"), make, 8, release);
    struct kept *other = kept_find("rate", SLICE("two"), make, 9, release);
    struct kept *kind = kept_find("conn", SLICE("one"), make, 10, release);
    assert_ptr_equal(first, second);
    assert_int_equal(*(int *)kept_object(second), 7);
    assert_int_equal(*(int *)kept_object(other), 9);
    assert_int_equal(*(int *)kept_object(kind), 10);
    assert_int_equal(made, 3);
    kept_leave(first);
    kept_again(second);
    kept_leave(second);
    assert_int_equal(released, 0);
    kept_leave(second);
    assert_int_equal(released, 1);
    first = kept_find("rate", SLICE("one"), make, 11, release);
    assert_int_equal(*(int *)kept_object(first), 11); /* made anew */
    kept_leave(first);
    kept_leave(other);
    kept_leave(kind);
    assert_int_equal(released, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(found_again_until_the_last_leaves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
