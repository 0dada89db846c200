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
    assert_string_equal(state.state, "down");
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
    servers[1].host = SLICE("app.internal");
    servers[1].port = 8080;
}

static void run_names_get_addresses(void)
{
    struct upstream *upstream = make_upstream(anywhere, 2, with_name);
    struct server *server = &upstream->servers[1];
    static struct address addresses[SERVER_ADDRESSES_MAX + 2];
    struct address got[SERVER_ADDRESSES_MAX];
    struct slice host = {0};
    uint16_t port = 0;
    assert_true(upstream_server_host(upstream, 0, &host, &port));
    assert_int_equal(host.size, 0);
    assert_true(upstream_server_host(upstream, 1, &host, &port));
    assert_true(slice_equal(host, SLICE("app.internal")) && port == 8080);
    assert_false(upstream_server_host(upstream, 2, &host, &port));
    assert_false(is_usable(server));
    struct server_state state;
    assert_true(upstream_server_state(upstream, 1, &state));
    assert_string_equal(state.state, "unresolved");
    memset(addresses, 0, sizeof addresses);
    for (int i = 0; i < SERVER_ADDRESSES_MAX + 2; i++)
        assert_true(address_parse(SLICE("127.0.0.1:80"), 0, &addresses[i]));
    upstream_set_addresses(upstream, 1, addresses, SERVER_ADDRESSES_MAX + 2);
    assert_int_equal(server_addresses(server, got), SERVER_ADDRESSES_MAX);
    assert_true(is_usable(server));
    upstream_set_addresses(upstream, 1, NULL, 0);
    assert_false(is_usable(server));
    assert_false(upstream_server_state(upstream, 2, &state));
    drop_upstream(upstream);
}
ON_FIBER(names_get_addresses)

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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
