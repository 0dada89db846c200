/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that wait for a free server. */
#include "upstream/asked.h"
#include "upstream/queue.h"

#include <pthread.h>

static bool may_answer;

static void script_held(struct visit *visit)
{
    while (hear(visit)) {
        while (!may_answer)
            pause_ms(1);
        say(visit, HELLO);
    }
}

static void one_at_a_time(struct upstream_config *config, struct server_config *servers)
{
    servers[0].max_conns = 1;
    config->queue = 8;
    config->queue_timeout = SECONDS(20);
}

enum { JOBS = 10 };

struct job {
    struct upstream *upstream;
    struct asked *asked;
    int order; /* in which it got its answer; 0: not yet */
};

static int answered;

static void perform_job(void *argument)
{
    struct job *job = argument;
    prepare(job->asked, job->upstream, "GET");
    perform(job->asked, CLOCK_NEVER);
    finish(job->asked);
    job->order = ++answered;
}

static struct asked storage[JOBS];
static struct job jobs[JOBS];
static struct fiber *fibers[JOBS];
static struct fiber_scope scope;

static void start_jobs(struct upstream *upstream, int count)
{
    answered = 0;
    fiber_scope_init(&scope);
    for (int i = 0; i < count; i++) {
        jobs[i] = (struct job){upstream, &storage[i], 0};
        assert_int_equal(fiber_start(&scope, "job", perform_job, &jobs[i], &fibers[i]), OK);
    }
}

/* Until so many wait, and the server has been asked so much. */
static void wait_until(const struct upstream *upstream, uint32_t waiting,
                       const struct origin *origin, int requests)
{
    int64_t began = loop_now();
    while ((upstream->waiting != waiting || origin->requests != requests) &&
           loop_now() - began < SECONDS(60))
        pause_ms(1);
    assert_int_equal(upstream->waiting, waiting);
    assert_int_equal(origin->requests, requests);
}

/* One in flight, eight in the queue; the tenth is told at once. */
static void run_first_in_first_out(void)
{
    struct origin origin = {0};
    origin_start(&origin, script_held);
    struct upstream *upstream = make_upstream(&origin.address, 1, one_at_a_time);
    may_answer = false;
    start_jobs(upstream, JOBS);
    wait_until(upstream, 8, &origin, 1);
    assert_int_equal(jobs[9].order, 1);
    assert_int_equal(storage[9].status, ERR_LIMIT);
    assert_int_equal(storage[9].call.answer, 503);
    assert_string_equal(storage[9].call.error, "connection_limit_reached");
    assert_string_equal(storage[9].call.why, "queue: full");
    may_answer = true;
    fiber_scope_join(&scope);
    for (int i = 0; i < 9; i++) {
        assert_int_equal(storage[i].status, OK);
        assert_int_equal(jobs[i].order, i + 2);
    }
    assert_int_equal(origin.connections, 1);
    drop_upstream(upstream);
    origin_stop(&origin);
}
ON_FIBER(first_in_first_out)

/* Those that give up leave the rest in order, also the one whose turn it just was. */
static void run_cancelled_in_the_queue(void)
{
    struct origin origin = {0};
    origin_start(&origin, script_held);
    struct upstream *upstream = make_upstream(&origin.address, 1, one_at_a_time);
    may_answer = false;
    start_jobs(upstream, 6);
    wait_until(upstream, 5, &origin, 1);
    fiber_cancel(fibers[3]);
    wait_until(upstream, 4, &origin, 1);
    assert_int_equal(storage[3].status, ERR_CANCELLED);
    /* Called, and cancelled before the letter came. */
    upstream_queue_wake(upstream);
    fiber_cancel(fibers[1]);
    pause_ms(5);
    assert_int_equal(storage[1].status, ERR_CANCELLED);
    may_answer = true;
    fiber_scope_join(&scope);
    assert_true(jobs[2].order < jobs[4].order && jobs[4].order < jobs[5].order);
    assert_int_equal(storage[5].status, OK);
    drop_upstream(upstream);
    origin_stop(&origin);
}
ON_FIBER(cancelled_in_the_queue)

static void wait_briefly(struct upstream_config *config, struct server_config *servers)
{
    one_at_a_time(config, servers);
    config->queue_timeout = MILLISECONDS(100);
}

static void run_waited_too_long(void)
{
    struct origin origin = {0};
    origin_start(&origin, script_held);
    struct upstream *upstream = make_upstream(&origin.address, 1, wait_briefly);
    may_answer = false;
    start_jobs(upstream, 3);
    int64_t began = loop_now();
    while (answered < 2 && loop_now() - began < SECONDS(60))
        pause_ms(20);
    for (int i = 1; i < 3; i++) {
        assert_int_equal(storage[i].status, ERR_LIMIT);
        assert_int_equal(storage[i].call.answer, 503);
        assert_string_equal(storage[i].call.why, "queue: waited too long");
    }
    assert_int_equal(upstream->waiting, 0);
    may_answer = true;
    fiber_scope_join(&scope);
    assert_int_equal(storage[0].status, OK);
    drop_upstream(upstream);
    origin_stop(&origin);
}
ON_FIBER(waited_too_long)

/* The second server refuses: who finds the first one full waits for it. */
static void run_waits_while_others_refuse(void)
{
    struct origin origin = {0}, gone = {0};
    origin_start(&origin, script_held);
    origin_start(&gone, script_hello);
    origin_stop(&gone);
    struct address both[2] = {origin.address, gone.address};
    struct upstream *upstream = make_upstream(both, 2, one_at_a_time);
    may_answer = false;
    start_jobs(upstream, 4);
    wait_until(upstream, 3, &origin, 1);
    may_answer = true;
    fiber_scope_join(&scope);
    for (int i = 0; i < 4; i++)
        assert_int_equal(storage[i].status, OK);
    drop_upstream(upstream);
    origin_stop(&origin);
}
ON_FIBER(waits_while_others_refuse)

/* A server whose ejection runs out takes those that wait for another one. */
static void run_ejection_runs_out(void)
{
    struct origin origin = {0}, other = {0};
    origin_start(&origin, script_held);
    origin_start(&other, script_hello);
    struct address both[2] = {origin.address, other.address};
    struct upstream *upstream = make_upstream(both, 2, one_at_a_time);
    may_answer = false;
    upstream->servers[1].health = SERVER_EJECTED;
    upstream->servers[1].until = loop_now() + SECONDS(2);
    start_jobs(upstream, 4);
    wait_until(upstream, 3, &origin, 1);
    int64_t began = loop_now();
    while (upstream->waiting > 0 && loop_now() - began < SECONDS(60))
        pause_ms(5);
    assert_int_equal(upstream->waiting, 0);
    may_answer = true;
    fiber_scope_join(&scope);
    for (int i = 0; i < 4; i++)
        assert_int_equal(storage[i].status, OK);
    assert_int_equal(other.requests, 3);
    drop_upstream(upstream);
    origin_stop(&origin);
    origin_stop(&other);
}
ON_FIBER(ejection_runs_out)

/* Two workers, one place: nobody's turn is lost. */
enum { CALLS = 400 };

struct worker {
    struct thread thread;
    struct upstream *upstream;
    struct asked *asked;
    int failures;
    int phase; /* atomic; 1: has called, 2: may go */
};

static void call_often(void *argument)
{
    struct worker *worker = argument;
    for (int i = 0; i < CALLS; i++) {
        prepare(worker->asked, worker->upstream, "GET");
        perform(worker->asked, CLOCK_NEVER);
        finish(worker->asked);
        worker->failures += worker->asked->status != OK;
    }
    __atomic_store_n(&worker->phase, 1, __ATOMIC_RELEASE);
}

static void *worker_main(void *argument)
{
    struct worker *worker = argument;
    assert_int_equal(thread_init(&worker->thread, "worker", 1), OK);
    upstream_worker_start(worker->upstream);
    assert_int_equal(fiber_start(NULL, "calls", call_often, worker, NULL), OK);
    fiber_run_ready();
    while (__atomic_load_n(&worker->phase, __ATOMIC_ACQUIRE) < 2)
        loop_turn(loop_now() + MILLISECONDS(5));
    upstream_worker_stop(worker->upstream);
    loop_turn(0);
    thread_done(&worker->thread);
    return NULL;
}

static void half_a_second(struct upstream_config *config, struct server_config *servers)
{
    (void)servers;
    config->queue = 1;
    config->queue_timeout = MILLISECONDS(500);
}

static void a_minute(struct upstream_config *config, struct server_config *servers)
{
    half_a_second(config, servers);
    config->queue_timeout = SECONDS(60);
}

/* Nobody listens and nobody comes back: held for the queue's time, and no more than its size. */
static void run_all_refuse(void)
{
    struct origin gone = {0};
    origin_start(&gone, script_hello);
    origin_stop(&gone);
    struct upstream *upstream = make_upstream(&gone.address, 1, half_a_second);
    struct asked *asked = &storage[0];
    int64_t began = loop_now();
    prepare(asked, upstream, "POST");
    perform(asked, CLOCK_NEVER);
    finish(asked);
    assert_int_equal(asked->status, ERR_LIMIT);
    assert_int_equal(asked->call.answer, 503);
    assert_string_equal(asked->call.error, "destination_unavailable");
    assert_string_equal(asked->call.why, "queue: every server refuses");
    assert_true(loop_now() - began >= MILLISECONDS(490));
    drop_upstream(upstream);
    /* The deadline of the whole request is the nearer one. */
    upstream = make_upstream(&gone.address, 1, a_minute);
    began = loop_now();
    prepare(asked, upstream, "GET");
    perform(asked, loop_now() + MILLISECONDS(100));
    finish(asked);
    assert_int_not_equal(asked->status, OK);
    assert_true(loop_now() - began < SECONDS(55));
    drop_upstream(upstream);
}
ON_FIBER(all_refuse)

/* It is being restarted: what came meanwhile is answered when it is back. */
static void run_held_until_it_is_back(void)
{
    struct origin origin = {0};
    origin_start(&origin, script_hello);
    origin_stop(&origin);
    struct upstream *upstream = make_upstream(&origin.address, 1, NULL);
    start_jobs(upstream, 3);
    wait_until(upstream, 3, &origin, 0);
    origin_start(&origin, script_hello);
    fiber_scope_join(&scope);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(storage[i].status, OK);
        assert_true(has_body(&storage[i], "hello"));
    }
    assert_int_equal(origin.requests, 3);
    assert_int_equal(upstream->budget_spent, 0);
    drop_upstream(upstream);
    origin_stop(&origin);
}
ON_FIBER(held_until_it_is_back)

static void run_workers_take_turns(void)
{
    struct origin origin = {0};
    origin_start(&origin, script_hello);
    struct upstream *upstream = make_upstream(&origin.address, 1, one_at_a_time);
    static struct worker own, other;
    own = (struct worker){.upstream = upstream, .asked = &storage[0]};
    other = (struct worker){.upstream = upstream, .asked = &storage[1]};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, worker_main, &other), 0);
    int64_t began = loop_now();
    call_often(&own);
    while (__atomic_load_n(&other.phase, __ATOMIC_ACQUIRE) < 1)
        pause_ms(1);
    /* A lost turn costs the queue's 20 s. */
    assert_true(loop_now() - began < SECONDS(20));
    assert_int_equal(own.failures + other.failures, 0);
    assert_int_equal(origin.requests, 2 * CALLS);
    pause_ms(20);
    __atomic_store_n(&other.phase, 2, __ATOMIC_RELEASE);
    pthread_join(thread, NULL);
    drop_upstream(upstream);
    origin_stop(&origin);
}
ON_FIBER(workers_take_turns)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(first_in_first_out, world_open, world_close),
        cmocka_unit_test_setup_teardown(cancelled_in_the_queue, world_open, world_close),
        cmocka_unit_test_setup_teardown(waited_too_long, world_open, world_close),
        cmocka_unit_test_setup_teardown(waits_while_others_refuse, world_open, world_close),
        cmocka_unit_test_setup_teardown(ejection_runs_out, world_open, world_close),
        cmocka_unit_test_setup_teardown(all_refuse, world_open, world_close),
        cmocka_unit_test_setup_teardown(held_until_it_is_back, world_open, world_close),
        cmocka_unit_test_setup_teardown(workers_take_turns, world_open, world_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
