/* SPDX-License-Identifier: Apache-2.0 */
/* How fast servers are, and what least_time makes of it. */
#include "upstream/balance.h"
#include "upstream/origin.h"

static struct address anywhere[4];

static void by_time(struct upstream_config *config, struct server_config *servers)
{
    (void)servers;
    config->balance = BALANCE_LEAST_TIME;
}

static void wait_ms(int64_t ms)
{
    test_thread.now += MILLISECONDS(ms);
}

static uint32_t expected_us(const struct server *server)
{
    return server_expected_time(server, loop_now()) / 16;
}

static void assert_near(int64_t value, int64_t expected)
{
    assert_in_range(value, expected * 98 / 100, expected * 102 / 100 + 1);
}

static void run_mean(void)
{
    struct upstream *upstream = make_upstream(anywhere, 1, by_time);
    struct server *server = &upstream->servers[0];
    assert_int_equal(server_expected_time(server, loop_now()), 0);
    server_timed(server, MILLISECONDS(10), false);
    assert_near(expected_us(server), 10000);
    server_timed(server, MILLISECONDS(100), false); /* what is worse counts at once … */
    assert_near(expected_us(server), 100000);
    server_timed(server, MILLISECONDS(10), false); /* … what is better only after a while */
    assert_near(expected_us(server), 100000);
    wait_ms(1000); /* nothing is heard of it: after each second half is forgotten */
    assert_near(expected_us(server), 50000);
    wait_ms(1000);
    assert_near(expected_us(server), 25000);
    wait_ms(16000);
    assert_in_range(expected_us(server), 0, 2);
    server_timed(server, MILLISECONDS(100), false);
    for (int i = 0; i < 40; i++) { /* good answers all the time: it is believed within a second */
        wait_ms(32);
        server_timed(server, MILLISECONDS(10), false);
    }
    assert_in_range(expected_us(server), 9900, 11000);
    drop_upstream(upstream);
}
ON_FIBER(mean)

static void run_failures_are_slow(void)
{
    struct upstream *upstream = make_upstream(anywhere, 1, by_time);
    struct server *server = &upstream->servers[0];
    server_timed(server, MILLISECONDS(1), true);
    assert_near(expected_us(server), 1000000);
    server_timed(server, SECONDS(3), true);
    assert_near(expected_us(server), 3000000);
    server_timed(server, SECONDS(100000), false); /* more than two minutes is two minutes */
    assert_near(expected_us(server), 120000000);
    drop_upstream(upstream);
}
ON_FIBER(failures_are_slow)

/* Asks for `ms` a thousand times a second; each answer takes as long as its server's time says. How
 * often each was asked. */
static void ask(struct upstream *upstream, int ms, const int64_t *times, int *counts)
{
    struct {
        struct server *server;
        int64_t began, until;
    } calls[4096] = {0};
    size_t used = 0;
    memset(counts, 0, upstream->count * sizeof *counts);
    for (int i = 0; i < ms || used > 0; i++) {
        wait_ms(1);
        for (size_t c = 0; c < used;) {
            if (calls[c].until > loop_now()) {
                c++;
                continue;
            }
            server_timed(calls[c].server, loop_now() - calls[c].began, false);
            server_leave(calls[c].server);
            calls[c] = calls[--used];
        }
        if (i >= ms)
            continue;
        struct choice choice = {0};
        struct server *server = balance_choose(upstream, NULL, 0, &choice);
        assert_true(server_enter(server));
        counts[server->index]++;
        assert_true(used < sizeof calls / sizeof *calls);
        calls[used].server = server;
        calls[used].began = loop_now();
        calls[used++].until = loop_now() + times[server->index];
    }
}

/* From the first second on the fastest gets nearly all that it can do at once; when the tables
 * turn, two seconds are enough to notice. */
static void run_prefers_the_faster(void)
{
    static const int64_t FIRST[] = {MILLISECONDS(5), MILLISECONDS(200), MILLISECONDS(200)};
    static const int64_t THEN[] = {MILLISECONDS(200), MILLISECONDS(5), MILLISECONDS(200)};
    struct upstream *upstream = make_upstream(anywhere, 3, by_time);
    int counts[3];
    ask(upstream, 1000, FIRST, counts);
    print_message("from the start: %d %d %d\n", counts[0], counts[1], counts[2]);
    assert_true(counts[0] > 900);
    ask(upstream, 2000, THEN, counts);
    print_message("the two seconds after a change: %d %d %d\n", counts[0], counts[1], counts[2]);
    ask(upstream, 1000, THEN, counts);
    print_message("then: %d %d %d\n", counts[0], counts[1], counts[2]);
    assert_true(counts[1] > 900);
    drop_upstream(upstream);
}
ON_FIBER(prefers_the_faster)

static void run_equals_share(void)
{
    static const int64_t TIMES[] = {MILLISECONDS(5), MILLISECONDS(5), MILLISECONDS(5)};
    struct upstream *upstream = make_upstream(anywhere, 3, by_time);
    int counts[3];
    ask(upstream, 9000, TIMES, counts);
    for (int i = 0; i < 3; i++)
        assert_in_range(counts[i], 2700, 3300);
    drop_upstream(upstream);
}
ON_FIBER(equals_share)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(mean, world_open, world_close),
        cmocka_unit_test_setup_teardown(failures_are_slow, world_open, world_close),
        cmocka_unit_test_setup_teardown(prefers_the_faster, world_open, world_close),
        cmocka_unit_test_setup_teardown(equals_share, world_open, world_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
