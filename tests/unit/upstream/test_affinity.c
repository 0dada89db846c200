/* SPDX-License-Identifier: Apache-2.0 */
/* What ties clients to servers: cookies, tiers, and rosters that change. */
#include "upstream/balance.h"
#include "upstream/origin.h"

static struct address anywhere[6];

static void with_cookie(struct upstream_config *config, struct server_config *servers)
{
    config->affinity.cookie = SLICE("home");
    config->sticky_key = hash_key_of(SLICE("secret"));
    servers[2].priority = 3;
    servers[3].backup = true;
}

static void run_cookies_are_read_strictly(void)
{
    assert_true(upstream_sticky_id(SLICE("0123456789abcdef")) == UINT64_C(0x123456789abcdef));
    static const char *const WRONG[] = {
        "",
        "0",
        "0123456789abcde",
        "0123456789abcdef0",
        "0123456789abcdeF",
        "0123456789abcdeg",
        "0123456789abcde ",
        "+123456789abcdef",
        "0x23456789abcdef",
        "0000000000000000",
    };
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++)
        assert_true(upstream_sticky_id(slice_from_cstring(WRONG[i])) == 0);
}
ON_FIBER(cookies_are_read_strictly)

/* What the client of a call would be told. */
static enum sticky told(struct upstream *upstream, uint64_t asked, const struct server *by,
                        char *id)
{
    struct upstream_call call = {.upstream = upstream, .server_id = by->id};
    call.request.sticky_id = asked;
    memset(id, 0, STICKY_ID_SIZE);
    return upstream_sticky(&call, id);
}

static void run_what_the_client_is_told(void)
{
    char id[STICKY_ID_SIZE];
    struct upstream *upstream = make_upstream(anywhere, 4, with_cookie);
    struct server *s = upstream->servers;
    assert_int_equal(told(upstream, 0, &s[1], id), STICKY_NEW);
    assert_true(upstream_sticky_id(slice_of(id, sizeof id)) == s[1].id);
    assert_int_equal(told(upstream, s[1].id, &s[1], id), STICKY_KEPT);
    assert_int_equal(told(upstream, s[1].id, &s[0], id), STICKY_AWAY);
    assert_int_equal(id[0], 0);
    assert_int_equal(told(upstream, 12345, &s[0], id), STICKY_NEW);
    s[1].health = SERVER_REFUSING;
    assert_int_equal(told(upstream, s[1].id, &s[0], id), STICKY_MOVED);
    assert_true(upstream_sticky_id(slice_of(id, sizeof id)) == s[0].id);
    s[1].health = SERVER_UP;
    /* From a backup it goes home for good. */
    assert_int_equal(told(upstream, s[3].id, &s[0], id), STICKY_MOVED);
    upstream->rules_now->config.affinity.cookie = SLICE("");
    assert_int_equal(told(upstream, s[1].id, &s[0], id), STICKY_NONE);
    drop_upstream(upstream);
}
ON_FIBER(what_the_client_is_told)

static struct server *ask(struct upstream *upstream, uint64_t id)
{
    struct choice choice = {.key = {.server_id = id}};
    return balance_choose(upstream, NULL, 0, &choice);
}

static void run_clients_go_back(void)
{
    struct upstream *upstream = make_upstream(anywhere, 4, with_cookie);
    struct server *s = upstream->servers;
    for (int i = 0; i < 20; i++)
        assert_ptr_equal(ask(upstream, s[1].id), &s[1]);
    for (int i = 0; i < 20; i++) /* those of lower rank wait until they are needed */
        assert_true(ask(upstream, s[2].id)->index < 2 && ask(upstream, s[3].id)->index < 2);
    s[0].health = s[1].health = SERVER_REFUSING;
    assert_ptr_equal(ask(upstream, s[1].id), &s[2]);
    assert_ptr_equal(ask(upstream, s[3].id), &s[2]);
    s[2].health = SERVER_REFUSING;
    assert_ptr_equal(ask(upstream, 0), &s[3]);
    assert_ptr_equal(ask(upstream, s[3].id), &s[3]);
    struct choice choice = {.key = {.server_id = s[3].id}};
    struct server *tried = &s[3];
    assert_true(balance_choose(upstream, &tried, 1, &choice) != &s[3] && choice.is_panic);
    drop_upstream(upstream);
}
ON_FIBER(clients_go_back)

static void run_ids_are_secret(void)
{
    struct upstream *one = make_upstream(anywhere, 4, with_cookie);
    struct upstream *plain = make_upstream(anywhere, 4, NULL);
    struct upstream *again = make_upstream(anywhere, 4, with_cookie);
    for (int i = 0; i < 4; i++) {
        assert_true(one->servers[i].id == again->servers[i].id);
        assert_true(one->servers[i].id != plain->servers[i].id && one->servers[i].id != 0);
    }
    drop_upstream(one);
    drop_upstream(plain);
    drop_upstream(again);
}
ON_FIBER(ids_are_secret)

static void by_ranks(struct upstream_config *config, struct server_config *servers)
{
    (void)config;
    static const uint32_t PRIORITIES[] = {7, 255, 0, 7, 0, 0};
    for (int i = 0; i < 6; i++)
        servers[i].priority = PRIORITIES[i];
    servers[4].backup = servers[5].backup = true;
    servers[5].priority = 1;
    servers[0].weight = 200;
    servers[3].weight = 100;
}

static void run_roster(void)
{
    struct upstream *upstream = make_upstream(anywhere, 6, by_ranks);
    const struct roster *roster = roster_of(upstream);
    static const size_t ORDER[] = {2, 0, 3, 1, 4, 5};
    static const size_t COUNTS[] = {1, 2, 1, 1, 1};
    assert_int_equal(roster->all.count, 6);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(roster->all.members[i]->index, ORDER[i]);
    assert_int_equal(roster->tiers_count, 5);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(roster->tiers[i].count, COUNTS[i]);
    assert_int_equal(roster->tiers[1].turns_count, 3); /* 200 to 100 is 2 to 1 */
    assert_int_equal(roster->tiers[1].turns[0], 0);
    assert_int_equal(roster->tiers[1].turns[1], 1);
    assert_int_equal(roster->tiers[1].turns[2], 0);
    upstream->servers[2].config.backup = true;
    upstream_renew_roster(upstream);
    assert_true(roster_of(upstream) != roster &&
                roster->all.count == 6); /* who looks at it may go on */
    assert_int_equal(roster_of(upstream)->all.members[0]->index, 0);
    drop_upstream(upstream);
}
ON_FIBER(roster)

/* So many turns that they are rounded: everybody still has one. */
static void run_many_turns(void)
{
    enum { MANY = 8192 };
    static struct server_config servers[MANY];
    for (int i = 0; i < MANY; i++)
        servers[i] = (struct server_config){.name = SLICE("s"), .weight = i % 2 == 0 ? 1 : 255};
    struct upstream_config config = {.name = SLICE("app"),
                                     .balance = BALANCE_ROUND_ROBIN,
                                     .servers = servers,
                                     .servers_count = MANY,
                                     .keepalive = 1};
    struct upstream *upstream = upstream_new(&config, 1);
    const struct tier *tier = &roster_of(upstream)->tiers[0];
    static uint32_t counts[MANY];
    assert_in_range(tier->turns_count, 1 << 19, 1 << 20);
    for (uint32_t i = 0; i < tier->turns_count; i++)
        counts[tier->turns[i]]++;
    for (int i = 0; i < MANY; i++)
        assert_in_range(counts[i], i % 2 == 0 ? 1 : 250, i % 2 == 0 ? 1 : 256);
    upstream_free(upstream);
}
ON_FIBER(many_turns)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(cookies_are_read_strictly, world_open, world_close),
        cmocka_unit_test_setup_teardown(what_the_client_is_told, world_open, world_close),
        cmocka_unit_test_setup_teardown(clients_go_back, world_open, world_close),
        cmocka_unit_test_setup_teardown(ids_are_secret, world_open, world_close),
        cmocka_unit_test_setup_teardown(roster, world_open, world_close),
        cmocka_unit_test_setup_teardown(many_turns, world_open, world_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
