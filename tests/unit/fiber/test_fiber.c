/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "fiber/fiber.h"
#include "fiber/loop.h"
#include "fiber/offload.h"
#include "fiber/thread.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct thread thread;
static char trace[256];
static char name_a[] = "a";
static char name_b[] = "b";

static void note(const char *text)
{
    strncat(trace, text, sizeof trace - strlen(trace) - 1);
}

static int set_up(void **state)
{
    (void)state;
    trace[0] = '\0';
    assert_int_equal(thread_init(&thread, "test", 0), OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_int_equal(thread.fibers_count, 0);
    thread_done(&thread);
    return 0;
}

static void child(void *argument)
{
    note(argument);
    assert_int_equal(fiber_sleep(loop_now() + MILLISECONDS(5)), OK);
    note(argument);
}

static void parent(void *argument)
{
    (void)argument;
    struct fiber_scope scope;
    fiber_scope_init(&scope);
    assert_int_equal(fiber_start(&scope, "child", child, name_a, NULL), OK);
    assert_int_equal(fiber_start(&scope, "child", child, name_b, NULL), OK);
    note("p");
    fiber_scope_join(&scope);
    note("q");
    loop_stop();
}

static void children_are_joined(void **state)
{
    (void)state;
    assert_int_equal(fiber_start(NULL, "parent", parent, NULL, NULL), OK);
    loop_run();
    assert_string_equal(trace, "pababq");
}

static void sleeper(void *argument)
{
    (void)argument;
    assert_int_equal(fiber_sleep(CLOCK_NEVER), ERR_CANCELLED);
    assert_int_equal(fiber_wait(CLOCK_NEVER), ERR_CANCELLED);
    bool was = fiber_shield();
    assert_true(was);
    assert_int_equal(fiber_sleep(loop_now() + MILLISECONDS(2)), OK);
    fiber_unshield(was);
    assert_int_equal(fiber_sleep(loop_now() + MILLISECONDS(2)), ERR_CANCELLED);
    note("c");
}

static void canceller(void *argument)
{
    (void)argument;
    struct fiber_scope scope;
    fiber_scope_init(&scope);
    assert_int_equal(fiber_start(&scope, "sleeper", sleeper, NULL, NULL), OK);
    assert_int_equal(fiber_sleep(loop_now() + MILLISECONDS(2)), OK);
    fiber_scope_cancel(&scope);
    note("d");
    loop_stop();
}

static void a_cancel_is_seen_by_every_wait(void **state)
{
    (void)state;
    assert_int_equal(fiber_start(NULL, "canceller", canceller, NULL, NULL), OK);
    loop_run();
    assert_string_equal(trace, "cd");
}

static struct fiber *outer;

static void cancelled_parent(void *argument)
{
    (void)argument;
    struct fiber_scope scope;
    fiber_scope_init(&scope);
    assert_int_equal(fiber_start(&scope, "sleeper", sleeper, NULL, NULL), OK);
    fiber_scope_join(&scope);
    assert_int_equal(fiber_wait(CLOCK_NEVER), ERR_CANCELLED);
    note("e");
    loop_stop();
}

static void cancel_outer(struct timer *timer)
{
    (void)timer;
    fiber_cancel(outer);
}

static void a_cancelled_join_cancels_the_children(void **state)
{
    (void)state;
    struct timer timer = {.on_fire = cancel_outer};
    assert_int_equal(fiber_start(NULL, "parent", cancelled_parent, NULL, &outer), OK);
    timer_set(&thread.timers, &timer, thread.now + MILLISECONDS(3));
    loop_run();
    assert_string_equal(trace, "ce");
}

static int pair[2];

static void reader(void *argument)
{
    (void)argument;
    struct watch watch = {0};
    char byte;
    assert_int_equal(loop_watch(&watch, pair[0]), OK);
    assert_int_equal(loop_wait_readable(&watch, loop_now() + MILLISECONDS(3)), ERR_TIMEOUT);
    assert_int_equal(write(pair[1], "x", 1), 1);
    assert_int_equal(loop_wait_readable(&watch, loop_now() + SECONDS(5)), OK);
    assert_int_equal(read(pair[0], &byte, 1), 1);
    watch.ready = 0;
    close(pair[1]);
    assert_int_equal(loop_wait_readable(&watch, loop_now() + SECONDS(5)), OK);
    assert_true(watch.ready & READY_CLOSED);
    loop_forget(&watch, false);
    close(pair[0]);
    loop_stop();
}

static void readiness_wakes(void **state)
{
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    assert_int_equal(fiber_start(NULL, "reader", reader, NULL, NULL), OK);
    loop_run();
}

enum { CROWD = 40 };
static int came;

static void one_of_a_crowd(void *argument)
{
    assert_int_equal(fiber_sleep(*(int64_t *)argument), OK);
    if (came++ == 0)
        assert_int_equal(write(pair[1], "x", 1), 1);
}

static void passer_by(void *argument)
{
    (void)argument;
    struct watch watch = {0};
    assert_int_equal(loop_watch(&watch, pair[0]), OK);
    assert_int_equal(loop_wait_readable(&watch, loop_now() + SECONDS(60)), OK);
    assert_in_range(came, 1, CROWD / 2);
    loop_forget(&watch, false);
    close(pair[0]);
    while (came < CROWD)
        assert_int_equal(fiber_sleep(loop_now() + MILLISECONDS(1)), OK);
    close(pair[1]);
    loop_stop();
}

/* A crowd whose time is over in one moment lets others through. */
static void deadlines_take_turns_with_events(void **state)
{
    (void)state;
    int64_t moment = clock_monotonic() + MILLISECONDS(5);
    came = 0;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    assert_int_equal(fiber_start(NULL, "passer_by", passer_by, NULL, NULL), OK);
    for (int i = 0; i < CROWD; i++)
        assert_int_equal(fiber_start(NULL, "crowd", one_of_a_crowd, &moment, NULL), OK);
    loop_run();
}

static int may_end;

static void slow_job(void *job)
{
    do
        usleep(1000);
    while (__atomic_load_n(&may_end, __ATOMIC_ACQUIRE) == 0);
    *(int *)job += 1;
}

static void let_it_end(bool now)
{
    __atomic_store_n(&may_end, now, __ATOMIC_RELEASE);
}

static int freed;
static void free_job(void *job)
{
    freed++;
    free(job);
    loop_stop();
}

static void offloader(void *argument)
{
    (void)argument;
    int *job = memory_zero(sizeof *job);
    let_it_end(true);
    assert_int_equal(offload(slow_job, job, free_job, CLOCK_NEVER), OK);
    assert_int_equal(*job, 1);
    free(job);
    job = memory_zero(sizeof *job);
    let_it_end(false);
    assert_int_equal(offload(slow_job, job, free_job, loop_now() + MILLISECONDS(2)), ERR_TIMEOUT);
    let_it_end(true);
}

static void offloaded_work_is_waited_for_or_detached(void **state)
{
    (void)state;
    freed = 0;
    assert_int_equal(offload_start(2), OK);
    assert_int_equal(fiber_start(NULL, "offloader", offloader, NULL, NULL), OK);
    loop_run();
    assert_int_equal(freed, 1);
    offload_stop();
}

static void free_quietly(void *job)
{
    freed++;
    free(job);
}

static void giver_up(void *argument)
{
    (void)argument;
    int *job = memory_zero(sizeof *job);
    let_it_end(false);
    assert_int_equal(offload(slow_job, job, free_quietly, loop_now() + MILLISECONDS(2)),
                     ERR_TIMEOUT);
    loop_stop();
}

/* A thread that ends meanwhile is not told: the job is freed all the same. */
static void work_of_a_thread_that_leaves_is_freed(void **state)
{
    (void)state;
    freed = 0;
    assert_int_equal(offload_start(1), OK);
    assert_int_equal(fiber_start(NULL, "giver up", giver_up, NULL, NULL), OK);
    loop_run();
    offload_leave();
    assert_int_equal(freed, 0); /* it still runs */
    let_it_end(true);
    offload_stop();
    assert_int_equal(freed, 1);
}

static void at_limit(void *argument)
{
    struct fiber_scope *scope = argument;
    (void)scope;
    assert_int_equal(fiber_sleep(CLOCK_NEVER), ERR_CANCELLED);
}

static void filler(void *argument)
{
    (void)argument;
    struct fiber_scope scope;
    fiber_scope_init(&scope);
    thread.fibers_max = 10;
    for (int i = 1; i < 10; i++)
        assert_int_equal(fiber_start(&scope, "filled", at_limit, &scope, NULL), OK);
    assert_int_equal(fiber_start(&scope, "filled", at_limit, &scope, NULL), ERR_LIMIT);
    fiber_scope_cancel(&scope);
    assert_int_equal(fiber_start(&scope, "filled", at_limit, &scope, NULL), OK);
    fiber_scope_cancel(&scope);
    loop_stop();
}

enum { OUTSIDE_SIZE = 768 * 1024 }; /* more than a fiber's stack has in any build */

static void write_much(void *argument)
{
    volatile char much[OUTSIDE_SIZE];
    for (size_t i = 0; i < sizeof much; i++)
        much[i] = (char)i;
    note(argument);
    assert_ptr_not_equal(fiber_self(), NULL);
    if (strlen(trace) == 1) /* one that is outside already stays there */
        fiber_run_outside(write_much, argument);
}

static void goes_outside(void *argument)
{
    char mine[] = "kept";
    fiber_run_outside(write_much, argument);
    assert_string_equal(mine, "kept");
    assert_int_equal(fiber_sleep(loop_now() + MILLISECONDS(1)), OK);
    fiber_run_outside(write_much, argument);
    assert_string_equal(mine, "kept");
}

static void note_on_loop(void *argument)
{
    assert_ptr_equal(fiber_self(), NULL);
    note(argument);
}

static void calls_outside_have_the_stack_of_the_loop(void **state)
{
    (void)state;
    assert_int_equal(fiber_start(NULL, "a", goes_outside, name_a, NULL), OK);
    assert_string_equal(trace, "aa");
    while (thread.fibers_count > 0)
        loop_turn(CLOCK_NEVER);
    assert_string_equal(trace, "aaa");
    fiber_run_outside(note_on_loop, name_b);
    assert_string_equal(trace, "aaab");
}

static void fibers_are_limited(void **state)
{
    (void)state;
    assert_int_equal(fiber_start(NULL, "filler", filler, NULL, NULL), OK);
    loop_run();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(children_are_joined, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_cancel_is_seen_by_every_wait, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_cancelled_join_cancels_the_children, set_up, tear_down),
        cmocka_unit_test_setup_teardown(readiness_wakes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(deadlines_take_turns_with_events, set_up, tear_down),
        cmocka_unit_test_setup_teardown(work_of_a_thread_that_leaves_is_freed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(offloaded_work_is_waited_for_or_detached, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(calls_outside_have_the_stack_of_the_loop, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(fibers_are_limited, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
