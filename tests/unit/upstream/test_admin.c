/* SPDX-License-Identifier: Apache-2.0 */
/* Servers that somebody drains, takes out, brings back or weighs by hand. */
#include "upstream/origin.h"

#include "upstream/balance.h"
#include "upstream/roster.h"

static struct address anywhere[4];

static int admin_open(void **state)
{
    for (size_t i = 0; i < 4; i++) {
        assert_true(address_parse(SLICE("127.0.0.1:1"), 0, &anywhere[i]));
        address_set_port(&anywhere[i], (uint16_t)(1000 + i));
    }
    return world_open(state);
}

static void name_them(struct upstream_config *config, struct server_config *servers)
{
    config->slow_start = SECONDS(30);
    for (size_t i = 0; i < config->servers_count && i < 2; i++)
        servers[i].name = i == 0 ? SLICE("a") : SLICE("b");
}

static void a_is_down(struct upstream_config *config, struct server_config *servers)
{
    name_them(config, servers);
    servers[0].down = true;
}

static const char *life(struct upstream *upstream, size_t index)
{
    struct server_state state;
    assert_true(upstream_server_state(upstream, index, &state));
    return state.state;
}

static void run_a_drained_server(void)
{
    struct upstream *upstream = make_upstream(anywhere, 2, name_them);
    struct server *a = &upstream->servers[0];
    struct address address;
    assert_true(server_enter(a));
    const struct upstream_setting drain = {SLICE("a"), SERVER_ADMIN_DRAIN, 0};
    upstream_set_admin(upstream, &drain, 1);
    assert_string_equal(life(upstream, 0), "draining");
    assert_string_equal(life(upstream, 1), "up");
    assert_false(server_is_usable(a, loop_now()));
    assert_false(server_enter(a)); /* chosen just before */
    assert_int_equal(a->active, 1);
    assert_int_equal(upstream_server_addresses(upstream, 0, &address, 1), 1); /* checks go on */
    server_leave(a);
    upstream_set_admin(upstream, NULL, 0);
    assert_string_equal(life(upstream, 0), "slow_start");
    assert_true(server_enter(a));
    server_leave(a);
    drop_upstream(upstream);
}
ON_FIBER(a_drained_server)

static void run_the_hand_has_the_last_word(void)
{
    struct upstream *upstream = make_upstream(anywhere, 2, a_is_down);
    struct address address;
    assert_string_equal(life(upstream, 0), "down");
    struct upstream_setting setting = {SLICE("a"), SERVER_ADMIN_UP, 0};
    upstream_set_admin(upstream, &setting, 1);
    assert_string_equal(life(upstream, 0), "slow_start");
    assert_true(server_is_usable(&upstream->servers[0], loop_now()));
    setting.state = SERVER_ADMIN_NONE;
    upstream_set_admin(upstream, &setting, 1);
    assert_string_equal(life(upstream, 0), "down");
    setting = (struct upstream_setting){SLICE("b"), SERVER_ADMIN_DOWN, 0};
    upstream_set_admin(upstream, &setting, 1);
    assert_string_equal(life(upstream, 1), "down");
    assert_int_equal(upstream_server_addresses(upstream, 1, &address, 1), 0);
    drop_upstream(upstream);
}
ON_FIBER(the_hand_has_the_last_word)

static void run_weights(void)
{
    struct upstream *upstream = make_upstream(anywhere, 2, name_them);
    struct roster *before = upstream->roster;
    struct upstream_setting setting = {SLICE("a"), SERVER_ADMIN_NONE, 7};
    upstream_set_admin(upstream, &setting, 1);
    assert_int_equal(server_weight(&upstream->servers[0]), 7);
    assert_int_equal(upstream->servers[0].weight_said, 1);
    assert_ptr_not_equal(upstream->roster, before);
    assert_int_equal(upstream->roster->tiers[0].turns_count, 8);
    before = upstream->roster;
    upstream_set_admin(upstream, &setting, 1); /* nothing new */
    assert_ptr_equal(upstream->roster, before);
    upstream_set_admin(upstream, NULL, 0);
    assert_int_equal(server_weight(&upstream->servers[0]), 1);
    drop_upstream(upstream);
}
ON_FIBER(weights)

static void is_file(struct upstream_config *config, struct server_config *servers)
{
    (void)config;
    servers[0].source = SERVER_FILE;
    servers[0].host = SLICE("/servers");
}

/* One that discovery finds later, or again, is as it was set. */
static void run_who_joins_later(void)
{
    struct upstream *upstream = make_upstream(anywhere, 1, is_file);
    const struct upstream_setting settings[] = {{SLICE("x"), SERVER_ADMIN_DRAIN, 0},
                                                {SLICE("y"), SERVER_ADMIN_NONE, 5}};
    upstream_set_admin(upstream, settings, 2);
    struct upstream_member members[] = {
        {.name = SLICE("x"), .addresses = &anywhere[1], .addresses_count = 1, .weight = 1},
        {.name = SLICE("y"), .addresses = &anywhere[2], .addresses_count = 1, .weight = 2},
    };
    assert_int_equal(upstream_set_members(upstream, 0, members, 2), 0);
    assert_string_equal(life(upstream, 0), "draining");
    assert_int_equal(server_weight(&upstream->servers[1]), 5);
    assert_int_equal(upstream->servers[1].weight_said, 2);
    members[1].weight = 9; /* discovery says so, the hand still says 5 */
    assert_int_equal(upstream_set_members(upstream, 0, members, 2), 0);
    assert_int_equal(server_weight(&upstream->servers[1]), 5);
    upstream_set_admin(upstream, NULL, 0);
    assert_int_equal(server_weight(&upstream->servers[1]), 9);
    assert_true(server_is_usable(&upstream->servers[0], loop_now()));
    drop_upstream(upstream);
}
ON_FIBER(who_joins_later)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_drained_server, admin_open, world_close),
        cmocka_unit_test_setup_teardown(the_hand_has_the_last_word, admin_open, world_close),
        cmocka_unit_test_setup_teardown(weights, admin_open, world_close),
        cmocka_unit_test_setup_teardown(who_joins_later, admin_open, world_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
