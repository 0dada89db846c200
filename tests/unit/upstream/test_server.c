/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/origin.h"

static struct address anywhere[16];

static void fail_times(struct server *server, int times)
{
    for (int i = 0; i < times; i++)
        server_failed(server, loop_now());
}

static bool is_usable(const struct server *server)
{
    return server_is_usable(server, loop_now());
}

/* Time as the tests like it: holds until the next wait. */
static void pass(int64_t time)
{
    test_thread.now += time;
}

static void run_five_errors_in_a_row(void)
{
    struct upstream *upstream = make_upstream(anywhere, 2, NULL);
    struct server *server = &upstream->servers[0];
    fail_times(server, 4);
    server_succeeded(server);
    fail_times(server, 4);
    assert_true(is_usable(server));
    fail_times(server, 1);
    assert_false(is_usable(server));
    struct server_state state;
    assert_true(upstream_server_state(upstream, 0, &state));
    assert_string_equal(state.state, "ejected");
    drop_upstream(upstream);
}
ON_FIBER(five_errors_in_a_row)

/* 10 s × 2ⁿ up to 300 s, for as long as nothing goes well in between. */
static void run_ejections_grow(void)
{
    static const int SECONDS_OUT[] = {10, 20, 40, 80, 160, 300, 300};
    struct upstream *upstream = make_upstream(anywhere, 2, NULL);
    struct server *server = &upstream->servers[0];
    for (size_t i = 0; i < sizeof SECONDS_OUT / sizeof *SECONDS_OUT; i++) {
        fail_times(server, 5);
        assert_false(is_usable(server));
        pass(SECONDS(SECONDS_OUT[i]) - 1);
        assert_false(is_usable(server));
        pass(1);
        assert_true(is_usable(server));
    }
    server_succeeded(server);
    fail_times(server, 5);
    pass(SECONDS(10));
    assert_true(is_usable(server));
    drop_upstream(upstream);
}
ON_FIBER(ejections_grow)

/* Answers to what was asked before do not end an ejection. */
static void run_late_success_changes_nothing(void)
{
    struct upstream *upstream = make_upstream(anywhere, 2, NULL);
    struct server *server = &upstream->servers[0];
    fail_times(server, 5);
    server_succeeded(server);
    assert_false(is_usable(server));
    pass(SECONDS(10));
    server_succeeded(server);
    assert_int_equal(server->health, SERVER_UP);
    drop_upstream(upstream);
}
ON_FIBER(late_success_changes_nothing)

static void run_half_of_the_window(void)
{
    struct upstream *upstream = make_upstream(anywhere, 2, NULL);
    struct server *half = &upstream->servers[0];
    struct server *third = &upstream->servers[1];
    for (int i = 0; i < 10; i++) { /* the 20th of them is a success: nothing is decided on it */
        assert_true(is_usable(half));
        server_failed(half, loop_now());
        server_succeeded(half);
    }
    assert_true(is_usable(half));
    server_failed(half, loop_now());
    assert_false(is_usable(half));
    pass(SECONDS(11));
    server_succeeded(half);
    for (int i = 0; i < 100; i++) {
        server_failed(third, loop_now());
        server_succeeded(third);
        server_succeeded(third);
        assert_true(is_usable(third));
    }
    drop_upstream(upstream);
}
ON_FIBER(half_of_the_window)

static void run_window_ends(void)
{
    struct upstream *upstream = make_upstream(anywhere, 2, NULL);
    struct server *server = &upstream->servers[0];
    for (int i = 0; i < 100; i++) { /* every other one, but never 20 in 10 s */
        server_failed(server, loop_now());
        server_succeeded(server);
        pass(MILLISECONDS(1200));
        assert_true(is_usable(server));
    }
    drop_upstream(upstream);
}
ON_FIBER(window_ends)

static size_t count_usable(const struct upstream *upstream)
{
    size_t count = 0;
    for (size_t i = 0; i < upstream->count; i++)
        count += is_usable(&upstream->servers[i]);
    return count;
}

/* At most half of the group, never the last. */
static void run_ejection_is_capped(void)
{
    static const size_t LEFT[] = {0, 1, 1, 2, 2, 3};
    for (size_t count = 1; count <= 5; count++) {
        struct upstream *upstream = make_upstream(anywhere, count, NULL);
        for (int round = 0; round < 3; round++)
            for (size_t i = 0; i < count; i++)
                fail_times(&upstream->servers[i], 5);
        assert_int_equal(count_usable(upstream), LEFT[count]);
        drop_upstream(upstream);
    }
}
ON_FIBER(ejection_is_capped)

/* The cap is not for what refuses; an error of it does not turn that into an ejection. */
static void run_refusing_is_not_capped(void)
{
    struct origin origin = {0};
    origin_start(&origin, script_hello);
    struct address addresses[3] = {origin.address, origin.address, origin.address};
    origin_stop(&origin);
    struct upstream *upstream = make_upstream(addresses, 3, NULL);
    for (size_t i = 0; i < 3; i++)
        server_unreachable(&upstream->servers[i]);
    assert_int_equal(count_usable(upstream), 0);
    fail_times(&upstream->servers[0], 5);
    assert_int_equal(upstream->servers[0].health, SERVER_REFUSING);
    struct server_state state;
    assert_true(upstream_server_state(upstream, 0, &state));
    assert_string_equal(state.state, "refusing");
    assert_string_equal(state.reason, "it cannot be reached");
    assert_true(state.since > 0);
    drop_upstream(upstream);
}
ON_FIBER(refusing_is_not_capped)

static void run_probe_finds_it_again(void)
{
    struct origin origin = {0};
    origin_start(&origin, script_hello);
    origin_stop(&origin);
    struct upstream *upstream = make_upstream(&origin.address, 1, NULL);
    struct server *server = &upstream->servers[0];
    server_unreachable(server);
    pause_ms(1300);
    assert_false(is_usable(server)); /* looked at once, in vain */
    origin_start(&origin, script_hello);
    int64_t began = loop_now();
    while (!is_usable(server) && loop_now() - began < SECONDS(20))
        pause_ms(20);
    assert_true(is_usable(server));
    assert_int_equal(origin.connections, 1);
    /* Up and down in quick turns keeps one fiber busy, not one each time. */
    size_t fibers = test_thread.fibers_count;
    for (int i = 0; i < 50; i++) {
        server_unreachable(server);
        server_succeeded(server);
        assert_true(is_usable(server));
    }
    assert_true(test_thread.fibers_count <= fibers + 1);
    server_unreachable(server);
    began = loop_now();
    while (!is_usable(server) && loop_now() - began < SECONDS(20))
        pause_ms(20);
    assert_true(is_usable(server));
    drop_upstream(upstream);
    origin_stop(&origin);
}
ON_FIBER(probe_finds_it_again)

static void with_name(struct upstream_config *config, struct server_config *servers)
{
    (void)config;
    servers[1].source = SERVER_ONE;
    servers[1].host = SLICE("app.internal");
    servers[1].port = 8080;
}

static void run_names_get_addresses(void)
{
    struct upstream *upstream = make_upstream(anywhere, 2, with_name);
    struct server *server = &upstream->servers[1];
    static struct address addresses[SERVER_ADDRESSES_MAX + 2];
    struct address got[SERVER_ADDRESSES_MAX];
    struct server_config line;
    assert_true(upstream_source(upstream, 0, &line));
    assert_int_equal(line.source, SERVER_FIXED);
    assert_true(upstream_source(upstream, 1, &line));
    assert_int_equal(line.source, SERVER_ONE);
    assert_true(slice_equal(line.host, SLICE("app.internal")) && line.port == 8080);
    assert_false(upstream_source(upstream, 2, &line));
    assert_false(is_usable(server));
    struct server_state state;
    assert_true(upstream_server_state(upstream, 1, &state));
    assert_string_equal(state.state, "unresolved");
    memset(addresses, 0, sizeof addresses);
    for (int i = 0; i < SERVER_ADDRESSES_MAX + 2; i++) {
        assert_true(address_parse(SLICE("127.0.0.1:80"), 0, &addresses[i]));
        address_set_port(&addresses[i], (uint16_t)(80 + i));
    }
    const struct upstream_member member = {
        .name = SLICE("app.internal:8080"),
        .addresses = addresses,
        .addresses_count = SERVER_ADDRESSES_MAX + 2,
        .weight = 1,
    };
    assert_int_equal(upstream_set_members(upstream, 1, &member, 1), 0);
    assert_int_equal(server_addresses(server, got), SERVER_ADDRESSES_MAX);
    assert_true(is_usable(server));
    assert_int_equal(upstream_set_members(upstream, 1, NULL, 0), 0);
    assert_false(is_usable(server));
    assert_false(upstream_server_state(upstream, 2, &state));
    drop_upstream(upstream);
}
ON_FIBER(names_get_addresses)

static void with_slow_start(struct upstream_config *config, struct server_config *servers)
{
    (void)servers;
    config->slow_start = SECONDS(30);
}

static const char *state_of(const struct upstream *upstream, size_t index)
{
    struct server_state state;
    assert_true(upstream_server_state(upstream, index, &state));
    return state.state;
}

/* Its share now, in thousandths of its whole one. */
static int share_of_1000(const struct server *server)
{
    return (int)(server_weight_now(server, loop_now()) * 1000 /
                 (server_weight(server) * SERVER_WEIGHT_UNIT));
}

/* Down by its check: at once and without a cap; back with a share that grows from a tenth. */
static void run_check_takes_down_and_brings_back(void)
{
    struct upstream *upstream = make_upstream(anywhere, 2, with_slow_start);
    struct server *server = &upstream->servers[0];
    assert_int_equal(share_of_1000(server), 1000);
    for (size_t i = 0; i < 2; i++) {
        upstream_set_health(upstream, i, false, "status");
        assert_string_equal(state_of(upstream, i), "check_failed");
    }
    assert_int_equal(count_usable(upstream), 0);
    upstream_set_health(upstream, 0, true, "good");
    upstream_set_health(upstream, 0, true, "good");
    assert_string_equal(state_of(upstream, 0), "slow_start");
    assert_true(is_usable(server));
    server->back_since = loop_now();
    int taken = share_of_1000(server);
    assert_true(taken > 50 && taken < 200);
    pass(SECONDS(15));
    taken = share_of_1000(server);
    assert_true(taken > 400 && taken < 600);
    pass(SECONDS(15));
    assert_int_equal(share_of_1000(server), 1000);
    drop_upstream(upstream);
}
ON_FIBER(check_takes_down_and_brings_back)

/* One alone has nobody to leave its share to. */
static void run_no_slow_start_for_one(void)
{
    struct upstream *upstream = make_upstream(anywhere, 1, with_slow_start);
    upstream_set_health(upstream, 0, false, "status");
    upstream_set_health(upstream, 0, true, "good");
    assert_string_equal(state_of(upstream, 0), "up");
    assert_int_equal(share_of_1000(&upstream->servers[0]), 1000);
    drop_upstream(upstream);
}
ON_FIBER(no_slow_start_for_one)

/* Check and answers count apart: an ejected server stays out when its check is good. */
static void run_check_does_not_end_an_ejection(void)
{
    struct upstream *upstream = make_upstream(anywhere, 2, NULL);
    fail_times(&upstream->servers[0], 5);
    upstream_set_health(upstream, 0, true, "good");
    assert_string_equal(state_of(upstream, 0), "ejected");
    upstream_set_health(upstream, 0, false, "status");
    assert_string_equal(state_of(upstream, 0), "check_failed");
    pass(SECONDS(10));
    assert_false(is_usable(&upstream->servers[0]));
    upstream_set_health(upstream, 0, true, "good");
    assert_true(is_usable(&upstream->servers[0]));
    drop_upstream(upstream);
}
ON_FIBER(check_does_not_end_an_ejection)

struct failing {
    struct upstream *upstream;
    int64_t now;
};

static void *fail_all(void *argument)
{
    const struct failing *failing = argument;
    for (int round = 0; round < 200; round++)
        for (size_t i = 0; i < failing->upstream->count; i++)
            server_failed(&failing->upstream->servers[i], failing->now);
    return NULL;
}

/* Four workers that see all servers fail at the same moment eject half of them, no more. */
static void run_cap_holds_between_workers(void)
{
    for (int round = 0; round < 50; round++) {
        struct upstream *upstream = make_upstream(anywhere, 8, NULL);
        struct failing failing = {upstream, loop_now()};
        pthread_t threads[4];
        for (int i = 0; i < 4; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, fail_all, &failing), 0);
        for (int i = 0; i < 4; i++)
            pthread_join(threads[i], NULL);
        assert_int_equal(count_usable(upstream), 4);
        drop_upstream(upstream);
    }
}
ON_FIBER(cap_holds_between_workers)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(five_errors_in_a_row, world_open, world_close),
        cmocka_unit_test_setup_teardown(ejections_grow, world_open, world_close),
        cmocka_unit_test_setup_teardown(late_success_changes_nothing, world_open, world_close),
        cmocka_unit_test_setup_teardown(half_of_the_window, world_open, world_close),
        cmocka_unit_test_setup_teardown(window_ends, world_open, world_close),
        cmocka_unit_test_setup_teardown(ejection_is_capped, world_open, world_close),
        cmocka_unit_test_setup_teardown(refusing_is_not_capped, world_open, world_close),
        cmocka_unit_test_setup_teardown(probe_finds_it_again, world_open, world_close),
        cmocka_unit_test_setup_teardown(names_get_addresses, world_open, world_close),
        cmocka_unit_test_setup_teardown(check_takes_down_and_brings_back, world_open, world_close),
        cmocka_unit_test_setup_teardown(no_slow_start_for_one, world_open, world_close),
        cmocka_unit_test_setup_teardown(check_does_not_end_an_ejection, world_open, world_close),
        cmocka_unit_test_setup_teardown(cap_holds_between_workers, world_open, world_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
