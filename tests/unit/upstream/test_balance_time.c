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

static enum balance policy;

static void warming_up(struct upstream_config *config, struct server_config *servers)
{
    (void)servers;
    config->balance = policy;
    config->slow_start = SECONDS(30);
    config->affinity.key = UPSTREAM_KEY_URI;
    config->load_percent = 150;
}

/* How many of a hundred go to the first of two, in each second of forty-five. */
static void count_seconds(struct upstream *upstream, int *counts)
{
    uint64_t key = 0;
    upstream->servers[0].back_since = loop_now();
    for (int second = 0; second < 45; second++) {
        counts[second] = 0;
        for (int i = 0; i < 100; i++) {
            wait_ms(10);
            uint64_t hash = upstream_hash(slice_of((const char *)&key, sizeof key));
            struct choice choice = {.key = {policy == BALANCE_URI_HASH, hash, 0}};
            key++;
            counts[second] += balance_choose(upstream, NULL, 0, &choice)->index == 0;
        }
    }
}

static int share(const int *counts, int first, int end)
{
    int sum = 0;
    for (int second = first; second < end; second++)
        sum += counts[second];
    return sum / (end - first);
}

/* From a tenth of its share to the whole of it, as the time goes, whatever chooses: weights of 0.1
 * to 0.33, about 0.5, 0.67 to 1 and 1, beside a weight of 1. */
static void run_the_share_grows(void)
{
    static const enum balance POLICIES[] = {BALANCE_ROUND_ROBIN, BALANCE_RANDOM_TWO,
                                            BALANCE_LEAST_CONN, BALANCE_URI_HASH,
                                            BALANCE_LEAST_TIME};
    for (size_t i = 0; i < sizeof POLICIES / sizeof *POLICIES; i++) {
        policy = POLICIES[i];
        test_thread.now = SECONDS(1000);
        struct upstream *upstream = make_upstream(anywhere, 2, warming_up);
        int counts[45];
        count_seconds(upstream, counts);
        int early = share(counts, 0, 10);
        int middle = share(counts, 10, 20);
        int late = share(counts, 20, 30);
        int whole = share(counts, 30, 45);
        print_message("policy %d: %d %d %d %d\n", (int)policy, early, middle, late, whole);
        /* Five times what chance makes of it. */
        assert_in_range(early, 4, 24);
        assert_in_range(middle, 15, 42);
        assert_in_range(late, 33, 54);
        assert_in_range(whole, 42, 58);
        assert_true(early < middle && middle < late);
        drop_upstream(upstream);
    }
}
ON_FIBER(the_share_grows)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(mean, world_open, world_close),
        cmocka_unit_test_setup_teardown(failures_are_slow, world_open, world_close),
        cmocka_unit_test_setup_teardown(prefers_the_faster, world_open, world_close),
        cmocka_unit_test_setup_teardown(equals_share, world_open, world_close),
        cmocka_unit_test_setup_teardown(the_share_grows, world_open, world_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
