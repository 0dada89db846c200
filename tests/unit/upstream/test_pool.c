/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/origin.h"
#include "upstream/pool.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

static struct server_connection *dial(struct server *server)
{
    struct server_connection *connection = memory_zero(sizeof *connection);
    size_t which;
    assert_int_equal(
        stream_connect(&connection->stream, server->addresses, 1, &which, loop_now() + SECONDS(5)),
        OK);
    connection->server = server;
    connection->pool = &server->pools[thread_self()->index];
    connection->idle_timeout = server->upstream->rules_now->config.keepalive_idle;
    return connection;
}

/* One whole exchange: whether the server answered. */
static bool ask(struct server_connection *connection)
{
    char text[] = "GET / HTTP/1.1\r\n\r\n";
    char answer[sizeof HELLO];
    struct iovec part = {text, sizeof text - 1};
    if (stream_write(&connection->stream, &part, 1, SECONDS(5), CLOCK_NEVER) != OK)
        return false;
    for (size_t done = 0, got; done < sizeof HELLO - 1; done += got)
        if (stream_read(&connection->stream, answer, sizeof answer, &got,
                        loop_now() + SECONDS(5)) != OK)
            return false;
    return true;
}

static void run_last_in_first_out(void)
{
    struct origin origin = {0};
    origin_start(&origin, script_hello);
    struct upstream *upstream = make_upstream(&origin.address, 1, NULL);
    struct server *server = &upstream->servers[0];
    assert_null(pool_take(server, false));
    struct server_connection *a = dial(server), *b = dial(server);
    assert_true(ask(a) && ask(b));
    pool_put(a);
    pool_put(b);
    assert_int_equal(server->idle, 2);
    assert_int_equal(test_thread.blocks_taken, 0);
    assert_ptr_equal(pool_take(server, true), b);
    assert_true(b->is_reused && !b->is_idle);
    assert_ptr_equal(pool_take(server, false), a);
    assert_null(pool_take(server, false));
    assert_true(ask(a) && ask(b));
    pool_put(b);
    pool_close(a, false);
    drop_upstream(upstream);
    origin_stop(&origin);
    assert_int_equal(origin.connections, 2);
}
ON_FIBER(last_in_first_out)

static void run_what_is_spoken_is_told_apart(void)
{
    struct origin origin = {0};
    origin_start(&origin, script_hello);
    struct upstream *upstream = make_upstream(&origin.address, 1, NULL);
    struct server *server = &upstream->servers[0];
    struct server_connection *h1 = dial(server), *fastcgi = dial(server);
    fastcgi->http = UPSTREAM_FASTCGI;
    pool_put(h1);
    pool_put(fastcgi);
    assert_null(pool_take_spoken(server, false, UPSTREAM_SCGI));
    assert_ptr_equal(pool_take(server, false), h1);
    assert_null(pool_take(server, false));
    assert_ptr_equal(pool_take_spoken(server, true, UPSTREAM_FASTCGI), fastcgi);
    assert_null(pool_take_spoken(server, true, UPSTREAM_FASTCGI));
    pool_put(h1);
    pool_put(fastcgi);
    drop_upstream(upstream);
    origin_stop(&origin);
}
ON_FIBER(what_is_spoken_is_told_apart)

/* Who waits for a process of the server gets an idle connection closed, or the next one. */
static void run_who_waits_is_yielded_to(void)
{
    struct origin origin = {0};
    origin_start(&origin, script_hello);
    struct upstream *upstream = make_upstream(&origin.address, 1, NULL);
    struct server *server = &upstream->servers[0];
    struct server_connection *idle = dial(server);
    struct pool_wait first = {0}, second = {0}, never = {0};
    idle->http = UPSTREAM_FASTCGI;
    pool_put(idle);
    assert_false(pool_yield(server));
    pool_wait_begin(&first, server, UPSTREAM_FASTCGI); /* that one goes */
    assert_int_equal(server->idle, 0);
    assert_false(first.is_listed || pool_yield(server));
    pool_wait_begin(&first, server, UPSTREAM_FASTCGI);
    pool_wait_begin(&second, server, UPSTREAM_FASTCGI);
    pool_wait_begin(&first, server, UPSTREAM_FASTCGI); /* once more: it stands there */
    assert_true(first.is_listed && second.is_listed);
    assert_int_equal(server->waits_count, 2);
    assert_true(pool_yield(server));
    assert_true(!first.is_listed && second.is_listed);
    pool_wait_end(&first);
    pool_wait_end(&second);
    pool_wait_end(&never);
    assert_false(pool_yield(server));
    assert_int_equal(server->waits_count, 0);
    drop_upstream(upstream);
    origin_stop(&origin);
}
ON_FIBER(who_waits_is_yielded_to)

static void keep_two(struct upstream_config *config, struct server_config *servers)
{
    (void)servers;
    config->keepalive = 2;
}

static void run_no_more_are_kept_than_allowed(void)
{
    struct origin origin = {0};
    origin_start(&origin, script_hello);
    struct upstream *upstream = make_upstream(&origin.address, 1, keep_two);
    struct server *server = &upstream->servers[0];
    struct server_connection *connections[3];
    for (int i = 0; i < 3; i++) {
        connections[i] = dial(server);
        assert_true(ask(connections[i]));
    }
    for (int i = 0; i < 3; i++) {
        pool_put(connections[i]);
        assert_int_equal(server->idle, i < 2 ? i + 1 : 2);
    }
    drop_upstream(upstream);
    origin_stop(&origin);
}
ON_FIBER(no_more_are_kept_than_allowed)

static void keep_briefly(struct upstream_config *config, struct server_config *servers)
{
    (void)servers;
    config->keepalive_idle = MILLISECONDS(100);
}

static void run_idle_ones_expire(void)
{
    struct origin origin = {0};
    origin_start(&origin, script_hello);
    struct upstream *upstream = make_upstream(&origin.address, 1, keep_briefly);
    struct server *server = &upstream->servers[0];
    struct server_connection *a = dial(server);
    pool_put(a);
    test_thread.now += MILLISECONDS(99);
    assert_ptr_equal(pool_take(server, false), a);
    pool_put(a);
    test_thread.now += MILLISECONDS(100); /* over, though not yet swept */
    assert_null(pool_take(server, false));
    pool_put(dial(server));
    assert_int_equal(server->idle, 1);
    int64_t began = loop_now();
    while (server->idle > 0 && loop_now() - began < SECONDS(20))
        pause_ms(20);
    assert_int_equal(server->idle, 0);
    a = dial(server);
    a->idle_timeout = 0; /* the server said it keeps none */
    pool_put(a);
    assert_int_equal(server->idle, 0);
    drop_upstream(upstream);
    origin_stop(&origin);
}
ON_FIBER(idle_ones_expire)

static void keep_one(struct upstream_config *config, struct server_config *servers)
{
    (void)servers;
    config->keepalive = 1;
}

static void sweep(struct pool *pool, int later_ms)
{
    test_thread.now += MILLISECONDS(later_ms);
    pool->sweep.on_fire(&pool->sweep);
}

/* What was put under load goes when it was idle for a whole turn of the sweep, not before. */
static void run_surplus_is_swept(void)
{
    struct origin origin = {0};
    origin_start(&origin, script_hello);
    struct upstream *upstream = make_upstream(&origin.address, 1, keep_one);
    struct server *server = &upstream->servers[0];
    struct server_connection *connections[3];
    for (int i = 0; i < 3; i++)
        connections[i] = dial(server);
    server->active = 2;
    for (int i = 0; i < 3; i++) {
        pool_put(connections[i]);
        test_thread.now += MILLISECONDS(i == 0 ? 200 : 0);
    }
    server->active = 0;
    assert_int_equal(server->idle, 3);
    sweep(&server->pools[0], 299);
    assert_int_equal(server->idle, 3);
    sweep(&server->pools[0], 1);
    assert_int_equal(server->idle, 2);
    sweep(&server->pools[0], 199);
    assert_int_equal(server->idle, 2);
    sweep(&server->pools[0], 1);
    assert_int_equal(server->idle, 1);
    drop_upstream(upstream);
    origin_stop(&origin);
}
ON_FIBER(surplus_is_swept)

static struct visit *last_visit;

static void script_remember(struct visit *visit)
{
    last_visit = visit;
    script_hello(visit);
}

static struct server_connection *put_one(struct server *server)
{
    struct server_connection *connection = dial(server);
    assert_true(ask(connection));
    pool_put(connection);
    assert_int_equal(server->idle, 1);
    return connection;
}

/* What an idle connection says, or its end, makes it useless. */
static void run_noise_closes_it(void)
{
    struct origin origin = {0};
    origin_start(&origin, script_remember);
    struct upstream *upstream = make_upstream(&origin.address, 1, NULL);
    struct server *server = &upstream->servers[0];
    put_one(server);
    say(last_visit, "x");
    pause_ms(20);
    assert_int_equal(server->idle, 0);
    put_one(server);
    stream_shutdown(&last_visit->stream);
    pause_ms(20);
    assert_int_equal(server->idle, 0);
    /* Noise that the loop has not heard of yet: the careful ask the kernel. */
    struct server_connection *connection = put_one(server);
    say(last_visit, "x");
    assert_null(pool_take(server, true));
    assert_int_equal(server->idle, 0);
    connection = put_one(server);
    stream_shutdown(&last_visit->stream);
    assert_ptr_equal(pool_take(server, false), connection);
    pool_close(connection, false);
    /* Bytes that came with the end of the answer. */
    connection = dial(server);
    assert_true(ask(connection));
    say(last_visit, "surplus");
    pause_ms(20);
    pool_put(connection);
    assert_int_equal(server->idle, 0);
    drop_upstream(upstream);
    origin_stop(&origin);
}
ON_FIBER(noise_closes_it)

static void run_stopped_pool_keeps_none(void)
{
    struct origin origin = {0};
    origin_start(&origin, script_hello);
    struct upstream *upstream = make_upstream(&origin.address, 1, NULL);
    struct server *server = &upstream->servers[0];
    put_one(server);
    struct server_connection *lent = dial(server);
    upstream_worker_stop(upstream);
    assert_int_equal(server->idle, 0);
    pool_put(lent);
    assert_int_equal(server->idle, 0);
    drop_upstream(upstream);
    origin_stop(&origin);
}
ON_FIBER(stopped_pool_keeps_none)

/* A second worker, in a thread of its own. */
struct worker {
    struct thread thread;
    struct server *server;
    void (*work)(void *worker);
    int phase; /* atomic */
    int taken, dialled;
};

static void worker_fiber(void *argument)
{
    struct worker *worker = argument;
    worker->work(worker);
    int before = 0; /* it may have been told to end already */
    __atomic_compare_exchange_n(&worker->phase, &before, 1, false, __ATOMIC_ACQ_REL,
                                __ATOMIC_ACQUIRE);
}

static void *worker_main(void *argument)
{
    struct worker *worker = argument;
    assert_int_equal(thread_init(&worker->thread, "worker", 1), OK);
    upstream_worker_start(worker->server->upstream);
    assert_int_equal(fiber_start(NULL, "work", worker_fiber, worker, NULL), OK);
    fiber_run_ready();
    while (__atomic_load_n(&worker->phase, __ATOMIC_ACQUIRE) < 2)
        loop_turn(loop_now() + MILLISECONDS(5));
    upstream_worker_stop(worker->server->upstream);
    loop_turn(0);
    thread_done(&worker->thread);
    return NULL;
}

static void wait_for_work(struct worker *worker)
{
    while (__atomic_load_n(&worker->phase, __ATOMIC_ACQUIRE) < 1)
        pause_ms(1);
}

static void end_worker(struct worker *worker, pthread_t thread)
{
    __atomic_store_n(&worker->phase, 2, __ATOMIC_RELEASE);
    pthread_join(thread, NULL);
}

static void work_put_one(void *argument)
{
    struct worker *worker = argument;
    struct server_connection *connection = dial(worker->server);
    assert_true(ask(connection));
    pool_put(connection);
}

static void run_lent_between_workers(void)
{
    struct origin origin = {0};
    origin_start(&origin, script_remember);
    struct upstream *upstream = make_upstream(&origin.address, 1, NULL);
    struct server *server = &upstream->servers[0];
    static struct worker worker;
    worker = (struct worker){.server = server, .work = work_put_one};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, worker_main, &worker), 0);
    wait_for_work(&worker);
    assert_int_equal(__atomic_load_n(&server->idle, __ATOMIC_RELAXED), 1);
    struct server_connection *connection = pool_take(server, false);
    assert_non_null(connection);
    assert_true(connection->is_reused);
    assert_ptr_equal(connection->pool, &server->pools[0]);
    assert_true(ask(connection));
    pool_put(connection);
    assert_ptr_equal(pool_take(server, true), connection);
    assert_true(ask(connection));
    pool_close(connection, false);
    assert_int_equal(origin.connections, 1);
    pause_ms(20); /* the husk is buried */
    end_worker(&worker, thread);
    drop_upstream(upstream);
    origin_stop(&origin);
}
ON_FIBER(lent_between_workers)

static int is_held; /* atomic */

/* And then its loop stands still. */
static void work_put_one_and_hold(void *argument)
{
    struct worker *worker = argument;
    work_put_one(argument);
    __atomic_store_n(&worker->phase, 1, __ATOMIC_RELEASE);
    while (__atomic_load_n(&is_held, __ATOMIC_ACQUIRE))
        usleep(1000);
}

static int open_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* What another worker has and what is not quiet is lent to nobody, and closed. */
static void run_noise_is_not_lent(void)
{
    struct origin origin = {0};
    origin_start(&origin, script_remember);
    struct upstream *upstream = make_upstream(&origin.address, 1, NULL);
    struct server *server = &upstream->servers[0];
    static struct worker worker;
    worker = (struct worker){.server = server, .work = work_put_one_and_hold};
    __atomic_store_n(&is_held, 1, __ATOMIC_RELEASE);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, worker_main, &worker), 0);
    wait_for_work(&worker);
    say(last_visit, "x");
    int before = open_descriptors();
    assert_null(pool_take(server, false));
    assert_int_equal(open_descriptors(), before - 1);
    assert_int_equal(__atomic_load_n(&server->idle, __ATOMIC_RELAXED), 0);
    __atomic_store_n(&is_held, 0, __ATOMIC_RELEASE);
    pause_ms(20); /* the husk is buried */
    end_worker(&worker, thread);
    drop_upstream(upstream);
    origin_stop(&origin);
}
ON_FIBER(noise_is_not_lent)

enum { ROUNDS = 1500 };

/* Takes, asks and puts back, with connections that die on the way. */
static void work_rounds(void *argument)
{
    struct worker *worker = argument;
    for (int i = 0; i < ROUNDS; i++) {
        struct server_connection *connection = pool_take(worker->server, true);
        worker->taken += connection != NULL;
        if (connection == NULL) {
            connection = dial(worker->server);
            worker->dialled++;
        }
        bool has_answered = ask(connection);
        if (has_answered && i % 16 != 0)
            pool_put(connection);
        else
            pool_close(connection, i % 32 == 0);
        if (i % 8 == 0) /* lets the other one find something idle */
            pause_ms(1);
    }
}

static void run_workers_share_under_load(void)
{
    struct origin origin = {0};
    origin_start(&origin, script_hello);
    struct upstream *upstream = make_upstream(&origin.address, 1, NULL);
    static struct worker own, other;
    own = (struct worker){.server = &upstream->servers[0]};
    other = (struct worker){.server = &upstream->servers[0], .work = work_rounds};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, worker_main, &other), 0);
    work_rounds(&own);
    wait_for_work(&other);
    assert_int_equal(own.taken + own.dialled + other.taken + other.dialled, 2 * ROUNDS);
    assert_int_equal(origin.connections, own.dialled + other.dialled);
    assert_int_equal(origin.requests, 2 * ROUNDS);
    end_worker(&other, thread);
    drop_upstream(upstream);
    origin_stop(&origin);
}
ON_FIBER(workers_share_under_load)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(last_in_first_out, world_open, world_close),
        cmocka_unit_test_setup_teardown(what_is_spoken_is_told_apart, world_open, world_close),
        cmocka_unit_test_setup_teardown(who_waits_is_yielded_to, world_open, world_close),
        cmocka_unit_test_setup_teardown(no_more_are_kept_than_allowed, world_open, world_close),
        cmocka_unit_test_setup_teardown(idle_ones_expire, world_open, world_close),
        cmocka_unit_test_setup_teardown(surplus_is_swept, world_open, world_close),
        cmocka_unit_test_setup_teardown(noise_is_not_lent, world_open, world_close),
        cmocka_unit_test_setup_teardown(noise_closes_it, world_open, world_close),
        cmocka_unit_test_setup_teardown(stopped_pool_keeps_none, world_open, world_close),
        cmocka_unit_test_setup_teardown(lent_between_workers, world_open, world_close),
        cmocka_unit_test_setup_teardown(workers_share_under_load, world_open, world_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
