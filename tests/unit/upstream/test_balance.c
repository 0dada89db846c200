/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/balance.h"
#include "upstream/origin.h"

enum { CHOICES = 60000 };

static struct address anywhere[16];

static uint64_t key_of(uint64_t number)
{
    return upstream_hash(slice_of((const char *)&number, sizeof number));
}

/* How often each server is chosen by CHOICES idle requests. */
static void count_choices(struct upstream *upstream, int *counts, bool stay)
{
    memset(counts, 0, 16 * sizeof *counts);
    for (int i = 0; i < CHOICES; i++) {
        struct choice choice = {.key = {true, key_of((uint64_t)i), 0}};
        struct server *server = balance_choose(upstream, NULL, 0, &choice);
        assert_non_null(server);
        assert_false(choice.is_panic);
        counts[server->index]++;
        if (stay)
            server->active++;
    }
    for (size_t i = 0; i < upstream->count; i++)
        upstream->servers[i].active = 0;
}

static enum balance policy;

static void weights_1_2_5(struct upstream_config *config, struct server_config *servers)
{
    config->balance = policy;
    config->affinity.key = balance_key_of(policy);
    servers[1].weight = 2;
    servers[2].weight = 5;
}

/* Within 3 % of all for chance: far beyond seven deviations. */
static void assert_share(int count, int weight, int tolerance)
{
    int expected = CHOICES * weight / 8;
    assert_in_range(count, expected - tolerance, expected + tolerance);
}

static void run_weights(void)
{
    for (policy = 0; policy < BALANCES; policy++) {
        int counts[16];
        struct upstream *upstream = make_upstream(anywhere, 3, weights_1_2_5);
        for (int stay = 0; stay < 2; stay++) {
            int tolerance = policy == BALANCE_ROUND_ROBIN ? 1 : CHOICES * 3 / 100;
            count_choices(upstream, counts, stay);
            assert_share(counts[0], 1, tolerance);
            assert_share(counts[1], 2, tolerance);
            assert_share(counts[2], 5, tolerance);
        }
        drop_upstream(upstream);
    }
}
ON_FIBER(weights)

/* The heavy one's turns are spread, not bunched. */
static void run_round_robin_is_smooth(void)
{
    policy = BALANCE_ROUND_ROBIN;
    struct upstream *upstream = make_upstream(anywhere, 3, weights_1_2_5);
    char order[17] = {0};
    for (int i = 0; i < 16; i++) {
        struct choice choice = {0};
        order[i] = (char)('a' + balance_choose(upstream, NULL, 0, &choice)->index);
    }
    assert_string_equal(order, "cbcaccbccbcaccbc");
    drop_upstream(upstream);
}
ON_FIBER(round_robin_is_smooth)

static void least_conn(struct upstream_config *config, struct server_config *servers)
{
    config->balance = BALANCE_LEAST_CONN;
    servers[2].weight = 4;
}

static void run_least_conn_counts_for_the_weight(void)
{
    struct upstream *upstream = make_upstream(anywhere, 3, least_conn);
    struct server *servers = upstream->servers;
    struct choice choice = {0};
    servers[0].active = 1;
    servers[1].active = 2;
    servers[2].active = 3; /* ¾ of one for its weight */
    assert_ptr_equal(balance_choose(upstream, NULL, 0, &choice), &servers[2]);
    servers[2].active = 5;
    assert_ptr_equal(balance_choose(upstream, NULL, 0, &choice), &servers[0]);
    for (int i = 0; i < 3; i++)
        servers[i].active = 0;
    drop_upstream(upstream);
}
ON_FIBER(least_conn_counts_for_the_weight)

/* Two at a time: a busy server is taken only when both draws hit it. */
static void run_random_two_avoids_the_busy_one(void)
{
    policy = BALANCE_RANDOM_TWO;
    struct upstream *upstream = make_upstream(anywhere, 4, weights_1_2_5);
    int counts[16];
    for (int i = 0; i < 4; i++)
        upstream->servers[i].config.weight = 1;
    upstream_renew_roster(upstream);
    upstream->servers[3].active = 1000;
    count_choices(upstream, counts, false);
    assert_in_range(counts[3], CHOICES / 16 - CHOICES / 100, CHOICES / 16 + CHOICES / 100);
    drop_upstream(upstream);
}
ON_FIBER(random_two_avoids_the_busy_one)

static void with_backup_and_down(struct upstream_config *config, struct server_config *servers)
{
    (void)config;
    servers[2].backup = true;
    servers[3].down = true;
}

static void run_backup_down_and_panic(void)
{
    struct upstream *upstream = make_upstream(anywhere, 4, with_backup_and_down);
    struct server *servers = upstream->servers;
    struct server *tried[4] = {&servers[0], &servers[1], &servers[2]};
    struct choice choice = {0};
    int counts[16];
    count_choices(upstream, counts, false);
    assert_int_equal(counts[2] + counts[3], 0);
    servers[0].health = SERVER_REFUSING;
    count_choices(upstream, counts, false);
    assert_int_equal(counts[1], CHOICES);
    servers[1].health = SERVER_REFUSING;
    count_choices(upstream, counts, false);
    assert_int_equal(counts[2], CHOICES);
    /* None is usable: any but the one that is down by configuration. */
    servers[2].health = SERVER_REFUSING;
    for (int i = 0; i < 100; i++) {
        struct server *server = balance_choose(upstream, NULL, 0, &choice);
        assert_true(choice.is_panic && server != NULL && server != &servers[3]);
    }
    assert_null(balance_choose(upstream, tried, 3, &choice));
    for (int i = 0; i < 3; i++)
        servers[i].health = SERVER_UP;
    assert_ptr_equal(balance_choose(upstream, tried, 1, &choice), &servers[1]);
    assert_ptr_equal(balance_choose(upstream, tried, 2, &choice), &servers[2]);
    upstream->servers[0].addresses_count = 0; /* a name without an address */
    count_choices(upstream, counts, false);
    assert_int_equal(counts[1], CHOICES);
    drop_upstream(upstream);
}
ON_FIBER(backup_down_and_panic)

static void at_most_two(struct upstream_config *config, struct server_config *servers)
{
    (void)config;
    servers[0].max_conns = 2;
}

/* A full server is worth waiting for, one that is down is not tried in its place. */
static void run_full_is_no_panic(void)
{
    struct upstream *upstream = make_upstream(anywhere, 2, at_most_two);
    struct server *servers = upstream->servers;
    struct choice choice = {0};
    servers[1].health = SERVER_REFUSING;
    assert_true(server_enter(&servers[0]));
    assert_ptr_equal(balance_choose(upstream, NULL, 0, &choice), &servers[0]);
    assert_true(server_enter(&servers[0]));
    assert_false(server_enter(&servers[0]));
    assert_null(balance_choose(upstream, NULL, 0, &choice));
    assert_true(choice.is_full && !choice.is_panic);
    server_leave(&servers[0]);
    assert_ptr_equal(balance_choose(upstream, NULL, 0, &choice), &servers[0]);
    server_leave(&servers[0]);
    servers[1].health = SERVER_UP;
    drop_upstream(upstream);
}
ON_FIBER(full_is_no_panic)

/* Beyond the bound of one look every server is still reached. */
static void run_many_servers(void)
{
    enum { MANY = 2 * BALANCE_CANDIDATES_MAX };
    static struct server_config servers[MANY];
    for (int i = 0; i < MANY; i++)
        servers[i] = (struct server_config){.name = SLICE("s"), .weight = 1};
    struct upstream_config config = {
        .balance = BALANCE_RANDOM_TWO, .servers = servers, .servers_count = MANY, .keepalive = 1};
    struct upstream *upstream = upstream_new(&config, 1);
    static int counts[MANY];
    for (int i = 0; i < 200 * MANY; i++) {
        struct choice choice = {0};
        counts[balance_choose(upstream, NULL, 0, &choice)->index]++;
    }
    for (int i = 0; i < MANY; i++)
        assert_in_range(counts[i], 80, 400);
    upstream_free(upstream);
}
ON_FIBER(many_servers)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(weights, world_open, world_close),
        cmocka_unit_test_setup_teardown(round_robin_is_smooth, world_open, world_close),
        cmocka_unit_test_setup_teardown(least_conn_counts_for_the_weight, world_open, world_close),
        cmocka_unit_test_setup_teardown(random_two_avoids_the_busy_one, world_open, world_close),
        cmocka_unit_test_setup_teardown(backup_down_and_panic, world_open, world_close),
        cmocka_unit_test_setup_teardown(full_is_no_panic, world_open, world_close),
        cmocka_unit_test_setup_teardown(many_servers, world_open, world_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
