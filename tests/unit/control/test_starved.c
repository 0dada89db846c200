/* SPDX-License-Identifier: Apache-2.0 */
/* Who is silent because he waits for a core, and who is not. */
#include "control/starved.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void test_rule(void **state)
{
    (void)state;
    assert_true(starved_rule('R', 0, SECONDS(2)));
    /* It slept, waited for a disk, or was stopped. */
    assert_false(starved_rule('S', 0, SECONDS(2)));
    assert_false(starved_rule('D', 0, SECONDS(2)));
    assert_false(starved_rule('T', 0, SECONDS(2)));
    /* It had a core for half of the time. */
    assert_true(starved_rule('R', MILLISECONDS(500) - 1, SECONDS(1)));
    assert_false(starved_rule('R', MILLISECONDS(500), SECONDS(1)));
    /* It had a core for a second in all. */
    assert_true(starved_rule('R', SECONDS(1) - 1, SECONDS(60)));
    assert_false(starved_rule('R', SECONDS(1), SECONDS(60)));
}

static void test_text(void **state)
{
    char letter = 0;
    int64_t ran = 0;
    (void)state;
    assert_true(
        starved_read("12 (we ) S ir) R 1 2 3 4 -1 6 7 8 9 10 300 50 0 0 20 0 1", &letter, &ran));
    assert_int_equal(letter, 'R');
    assert_int_equal(ran, MILLISECONDS(3500));
    assert_false(starved_read("12 (weir) R 1 2 3 4 -1 6 7 8 9 10 300", &letter, &ran));
    assert_false(starved_read("12 weir R 1", &letter, &ran));
    assert_false(starved_read("", &letter, &ran));
}

static void test_who_sleeps_is_not_starved(void **state)
{
    struct starved starved;
    int ends[2];
    char byte;
    (void)state;
    assert_int_equal(pipe(ends), 0);
    int child = fork();
    if (child == 0) {
        close(ends[1]);
        _exit(read(ends[0], &byte, 1) == 0 ? 0 : 1);
    }
    starved_begin(&starved, child, child);
    assert_true(starved.ran >= 0);
    while (starved_is(&starved)) /* until it has begun to wait */
        usleep(1000);
    close(ends[1]);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_false(starved_is(&starved)); /* it has gone */
    close(ends[0]);
}

static void test_who_is_not_there(void **state)
{
    struct starved starved;
    (void)state;
    starved_begin(&starved, getpid(), 1);
    assert_int_equal(starved.ran, -1);
    assert_false(starved_is(&starved));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rule),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_who_sleeps_is_not_starved),
        cmocka_unit_test(test_who_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
