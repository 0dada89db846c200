/* SPDX-License-Identifier: Apache-2.0 */
/* How many failures bring back the configuration of before. */
#include "control/trial.h"

#include "base/clock.h"
#include "control/snapshot.h"
#include "fiber/thread.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct thread thread;
static uint64_t ended, failed;

static void count(uint64_t *all, uint64_t *bad)
{
    *all = ended;
    *bad = failed;
}

static int open_world(void **state)
{
    (void)state;
    assert_int_equal(thread_init(&thread, "test", -1), OK);
    ended = failed = 1000; /* long ago */
    trial_start(count);
    return 0;
}

static int close_world(void **state)
{
    (void)state;
    trial_stop();
    thread_done(&thread);
    return 0;
}

static const struct snapshot NO_UPSTREAMS = {0};

static bool is_bad(void)
{
    return trial_look(&NO_UPSTREAMS).size > 0;
}

static void begin(int errors)
{
    const struct trial_limits limits = {.errors = errors, .down = SECONDS(1)};
    trial_prepare(&NO_UPSTREAMS);
    trial_begin(&limits);
}

static void few_requests_say_nothing(void **state)
{
    (void)state;
    begin(50);
    ended += TRIAL_REQUESTS_MIN - 1;
    failed += TRIAL_REQUESTS_MIN - 1;
    assert_false(is_bad());
    ended++;
    assert_true(is_bad()); /* 19 of 20 */
}

static void the_share_counts(void **state)
{
    (void)state;
    begin(50);
    ended += 100;
    failed += 49;
    assert_false(is_bad());
    failed++;
    struct slice why = trial_look(&NO_UPSTREAMS);
    assert_true(slice_equal(why, SLICE("50 of 100 requests were answered with 5xx")));
    begin(100);
    ended += 100;
    failed += 99;
    assert_false(is_bad());
    begin(0);
    ended += 100;
    failed += 100;
    assert_false(is_bad());
}

static void what_failed_before_is_nobodys_fault(void **state)
{
    (void)state;
    ended += 100;
    failed += 50;
    begin(50);
    ended += 100;
    failed += 100;
    assert_false(is_bad());
    /* But for a higher limit, which was not reached. */
    begin(90);
    ended += 100;
    failed += 90;
    assert_true(is_bad());
}

/* What ended before the new one was served is not its own. */
static void it_begins_anew(void **state)
{
    (void)state;
    ended += 1000;
    begin(50);
    ended += 20;
    failed += 10;
    assert_true(is_bad());
    begin(60);
    assert_false(is_bad());
}

static void nobody_counts(void **state)
{
    (void)state;
    trial_stop();
    begin(1);
    ended += 100;
    failed += 100;
    assert_false(is_bad());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(few_requests_say_nothing, open_world, close_world),
        cmocka_unit_test_setup_teardown(the_share_counts, open_world, close_world),
        cmocka_unit_test_setup_teardown(what_failed_before_is_nobodys_fault, open_world,
                                        close_world),
        cmocka_unit_test_setup_teardown(it_begins_anew, open_world, close_world),
        cmocka_unit_test_setup_teardown(nobody_counts, open_world, close_world),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
