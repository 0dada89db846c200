/* SPDX-License-Identifier: Apache-2.0 */
/* Servers that come and go: who stays, who joins, who drains, and when a place is free again. */
#include "upstream/origin.h"

#include "upstream/balance.h"
#include "upstream/pool.h"

static struct address anywhere[16];

static int members_open(void **state)
{
    for (size_t i = 0; i < 16; i++) {
        assert_true(address_parse(SLICE("127.0.0.1:1"), 0, &anywhere[i]));
        address_set_port(&anywhere[i], (uint16_t)(1000 + i));
    }
    return world_open(state);
}

static void is_file(struct upstream_config *config, struct server_config *servers)
{
    config->slow_start = SECONDS(30);
    servers[0].source = SERVER_FILE;
    servers[0].host = SLICE("/servers");
}

/* Servers on the ports 1000 + each letter's place in the alphabet. */
static size_t set(struct upstream *upstream, const char *letters)
{
    struct upstream_member members[16];
    size_t count = strlen(letters);
    for (size_t i = 0; i < count; i++)
        members[i] = (struct upstream_member){
            .name = slice_of(&letters[i], 1),
            .addresses = &anywhere[letters[i] - 'a'],
            .addresses_count = 1,
            .weight = 1,
        };
    return upstream_set_members(upstream, 0, members, count);
}

static struct server *find(struct upstream *upstream, char letter)
{
    for (size_t i = 0; i < upstream->count; i++)
        if (!upstream->servers[i].is_resting && upstream->servers[i].name.data[0] == letter)
            return &upstream->servers[i];
    return NULL;
}

/* Those that may be chosen, in alphabetical order. */
static const char *usable(struct upstream *upstream)
{
    static char text[17];
    size_t count = 0;
    for (char c = 'a'; c <= 'p'; c++) {
        const struct server *server = find(upstream, c);
        if (server != NULL && server_is_usable(server, loop_now()))
            text[count++] = c;
    }
    text[count] = '\0';
    return text;
}

static void run_who_stays_is_not_touched(void)
{
    struct upstream *upstream = make_upstream(anywhere, 1, is_file);
    struct server_state state;
    assert_string_equal(usable(upstream), "");
    assert_true(upstream_server_state(upstream, 0, &state));
    assert_false(state.is_member);
    assert_string_equal(state.state, "unresolved");
    assert_int_equal(set(upstream, "abc"), 0);
    assert_string_equal(usable(upstream), "abc");
    assert_int_equal(upstream_members(upstream), 3);
    struct server *b = find(upstream, 'b');
    struct server *a = find(upstream, 'a');
    assert_true(server_enter(a) && server_enter(b));
    server_failed(b, loop_now());
    assert_int_equal(set(upstream, "bcd"), 0);
    assert_string_equal(usable(upstream), "bcd");
    assert_ptr_equal(find(upstream, 'b'), b);
    assert_int_equal(b->errors_in_row, 1); /* its life goes on */
    assert_int_equal(b->back_since, 0);
    assert_int_not_equal(find(upstream, 'd')->back_since, 0); /* it starts slowly */
    assert_false(server_enter(a));                            /* chosen just before it left */
    assert_int_equal(a->active, 1);
    assert_true(upstream_server_state(upstream, a->index, &state));
    assert_string_equal(state.state, "draining");
    assert_string_equal(state.reason, "discovery knows it no more");
    server_leave(a);
    server_leave(b);
    drop_upstream(upstream);
}
ON_FIBER(who_stays_is_not_touched)

/* A place is given away when the last exchange and the last idle connection have gone, and a second
 * has passed. */
static void run_places_are_used_again(void)
{
    struct upstream *upstream = make_upstream(anywhere, 1, is_file);
    set(upstream, "ab");
    struct server *a = find(upstream, 'a');
    uint32_t generation = a->generation;
    assert_true(server_enter(a));
    set(upstream, "b");
    upstream_reap(upstream);
    assert_int_equal(fiber_sleep(loop_now() + MILLISECONDS(1100)), OK);
    upstream_reap(upstream);
    assert_false(a->is_resting); /* an exchange runs */
    server_leave(a);
    upstream_reap(upstream);
    assert_false(a->is_resting);
    assert_int_equal(fiber_sleep(loop_now() + MILLISECONDS(1100)), OK);
    upstream_reap(upstream);
    assert_true(a->is_resting);
    size_t count = upstream->count;
    set(upstream, "bc");
    assert_ptr_equal(find(upstream, 'c'), a);
    assert_int_equal(a->generation, generation + 1);
    assert_int_equal(upstream->count, count);
    drop_upstream(upstream);
}
ON_FIBER(places_are_used_again)

static void run_back_before_it_was_gone(void)
{
    struct upstream *upstream = make_upstream(anywhere, 1, is_file);
    set(upstream, "ab");
    struct server *a = find(upstream, 'a');
    uint32_t generation = a->generation;
    set(upstream, "b");
    assert_string_equal(usable(upstream), "b");
    set(upstream, "ab");
    assert_ptr_equal(find(upstream, 'a'), a);
    assert_int_equal(a->generation, generation);
    set(upstream, "");
    assert_string_equal(usable(upstream), "");
    assert_int_equal(upstream_members(upstream), 0);
    drop_upstream(upstream);
}
ON_FIBER(back_before_it_was_gone)

static void run_priorities_and_weights(void)
{
    struct upstream *upstream = make_upstream(anywhere, 1, is_file);
    struct upstream_member members[3];
    for (size_t i = 0; i < 3; i++)
        members[i] = (struct upstream_member){
            .name = slice_of("abc" + i, 1),
            .addresses = &anywhere[i],
            .addresses_count = 1,
            .weight = 1,
            .priority = (uint32_t)(10 * i),
            .backup = i == 1,
        };
    upstream_set_members(upstream, 0, members, 3);
    struct choice choice = {0};
    struct server *tried[3] = {0};
    tried[0] = balance_choose(upstream, NULL, 0, &choice);
    assert_ptr_equal(tried[0], find(upstream, 'a'));
    tried[1] = balance_choose(upstream, tried, 1, &choice);
    assert_ptr_equal(tried[1], find(upstream, 'c')); /* before any backup */
    tried[2] = balance_choose(upstream, tried, 2, &choice);
    assert_ptr_equal(tried[2], find(upstream, 'b'));
    assert_null(balance_choose(upstream, tried, 3, &choice));
    members[0].weight = 7;
    members[0].priority = 200;
    members[0].max_conns = 1;
    members[2].priority = 200;
    upstream_set_members(upstream, 0, members, 3);
    assert_int_equal(server_weight_now(find(upstream, 'a'), loop_now()), 7 * SERVER_WEIGHT_UNIT);
    assert_true(server_enter(find(upstream, 'a')));
    assert_false(server_has_room(find(upstream, 'a')));
    assert_ptr_equal(balance_choose(upstream, NULL, 0, &choice), find(upstream, 'c'));
    assert_true(choice.is_full);
    server_leave(find(upstream, 'a'));
    drop_upstream(upstream);
}
ON_FIBER(priorities_and_weights)

/* The line of a configured one, and its text, go with it: the place keeps nothing of them. */
static void run_a_place_keeps_nothing_of_who_left(void)
{
    struct upstream *upstream = make_upstream(anywhere, 2, NULL);
    struct server_state state;
    struct server *server = &upstream->servers[0];
    assert_true(server_enter(server));
    struct slice called = server->name;
    upstream_drop_line(upstream, 0);
    upstream_reap(upstream);
    assert_true(slice_equal(called, SLICE("s0:80"))); /* for whoever is still there */
    server_leave(server);
    upstream_reap(upstream);
    assert_int_equal(fiber_sleep(loop_now() + MILLISECONDS(1100)), OK);
    upstream_reap(upstream);
    assert_true(server->is_resting && upstream->lines[0]->is_free);
    assert_true(upstream_server_state(upstream, 0, &state));
    assert_int_equal(state.name.size, 0);
    assert_int_equal(server->host.size, 0);
    assert_null(server->config.tls);
    assert_true(upstream_server_state(upstream, 1, &state));
    assert_true(slice_equal(state.name, SLICE("s1:80")));
    drop_upstream(upstream);
}
ON_FIBER(a_place_keeps_nothing_of_who_left)

static void is_name(struct upstream_config *config, struct server_config *servers)
{
    (void)config;
    servers[0].source = SERVER_NAME;
    servers[0].host = SLICE("app.internal");
}

/* What a name had is forgotten; the name is still there, and is looked up. */
static void run_a_name_without_addresses_is_called_by_its_line(void)
{
    struct upstream *upstream = make_upstream(anywhere, 1, is_name);
    struct server_state state;
    set(upstream, "ab");
    assert_true(slice_equal(upstream->servers[0].name, SLICE("a")));
    set(upstream, "");
    upstream_reap(upstream);
    assert_int_equal(fiber_sleep(loop_now() + MILLISECONDS(1100)), OK);
    upstream_reap(upstream);
    assert_true(upstream_server_state(upstream, 0, &state));
    assert_true(slice_equal(state.name, SLICE("s0:80")));
    assert_string_equal(state.state, "unresolved");
    assert_true(upstream_server_state(upstream, 1, &state));
    assert_int_equal(state.name.size, 0);
    upstream_drop_line(upstream, 0);
    upstream_reap(upstream);
    assert_true(upstream_server_state(upstream, 0, &state));
    assert_int_equal(state.name.size, 0);
    drop_upstream(upstream);
}
ON_FIBER(a_name_without_addresses_is_called_by_its_line)

/* One more than there are places finds none, and is said. */
static void run_no_place_is_left(void)
{
    struct upstream *upstream = make_upstream(anywhere, 1, is_file);
    size_t most = UPSTREAM_DISCOVERED_MAX + 2; /* and twice the lines */
    struct upstream_member *members = memory_zero((most + 1) * sizeof *members);
    struct address *addresses = memory_zero((most + 1) * sizeof *addresses);
    for (size_t i = 0; i <= most; i++) {
        addresses[i] = anywhere[0];
        address_set_port(&addresses[i], (uint16_t)(2000 + i));
        members[i] = (struct upstream_member){
            .name = SLICE("x"), .addresses = &addresses[i], .addresses_count = 1, .weight = 1};
    }
    assert_int_equal(upstream_set_members(upstream, 0, members, most), 0);
    assert_int_equal(upstream_set_members(upstream, 0, members, most + 1), 1);
    assert_int_equal(upstream_members(upstream), most);
    free(members);
    free(addresses);
    drop_upstream(upstream);
}
ON_FIBER(no_place_is_left)

static void is_down(struct upstream_config *config, struct server_config *servers)
{
    is_file(config, servers);
    servers[0].down = true;
}

static void run_a_line_that_is_down_has_none(void)
{
    struct upstream *upstream = make_upstream(anywhere, 1, is_down);
    assert_int_equal(set(upstream, "abc"), 0);
    assert_string_equal(usable(upstream), "");
    drop_upstream(upstream);
}
ON_FIBER(a_line_that_is_down_has_none)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(who_stays_is_not_touched, members_open, world_close),
        cmocka_unit_test_setup_teardown(places_are_used_again, members_open, world_close),
        cmocka_unit_test_setup_teardown(back_before_it_was_gone, members_open, world_close),
        cmocka_unit_test_setup_teardown(priorities_and_weights, members_open, world_close),
        cmocka_unit_test_setup_teardown(no_place_is_left, members_open, world_close),
        cmocka_unit_test_setup_teardown(a_place_keeps_nothing_of_who_left, members_open,
                                        world_close),
        cmocka_unit_test_setup_teardown(a_name_without_addresses_is_called_by_its_line,
                                        members_open, world_close),
        cmocka_unit_test_setup_teardown(a_line_that_is_down_has_none, members_open, world_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
