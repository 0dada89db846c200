/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of overrides: what stands, what the file wins, what survives a restart. */
#include "control/overrides.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct config *load(const char *lines, struct arena *arena)
{
    struct config_errors errors;
    struct config_request request = {
        .path = SLICE("weir.conf"),
        .has_text = true,
        .text = arena_format(arena, "%s\nsite * {\n    listen :8080\n    respond 200\n}\n", lines),
    };
    config_errors_init(&errors, arena);
    const struct config *config = config_load(&request, arena, &errors);
    assert_int_equal(errors.errors, 0);
    return config;
}

static void count_drop(const struct override *entry, void *argument)
{
    (void)entry;
    ++*(int *)argument;
}

/* Writes what is durable and reads it again, as a restart and an upgrade do. */
static void start_anew(struct overrides *overrides, struct arena *arena)
{
    struct buffer out = buffer_in(arena, 256);
    struct slice why = SLICE("");
    overrides_write(overrides, true, &out);
    overrides_done(overrides);
    overrides_init(overrides);
    assert_true(overrides_read(overrides, buffer_slice(&out), arena, &why));
}

#define API "upstream api {\n    server 10.0.0.1:80\n    server 10.0.0.2:80 weight=2\n"
#define END "}\n"

/* What was said, what the file says later, and whether the entry stands then. */
static const struct rule {
    const char *what;
    const char *file_then; /* when the entry is made */
    const char *file_now;  /* when the configuration is read again */
    const char *server;
    const char *line; /* it was added */
    bool is_removed;
    enum server_admin state;
    uint32_t weight;
    bool stands;
} RULES[] = {
    {"drained, file unchanged", API END, API END, "10.0.0.1:80", "", false, SERVER_ADMIN_DRAIN, 0,
     true},
    {"drained, another server changed", API END,
     "upstream api {\n    server 10.0.0.1:80\n    server 10.0.0.2:80 weight=9\n" END, "10.0.0.1:80",
     "", false, SERVER_ADMIN_DRAIN, 0, true},
    {"drained, only the spelling changed", API END,
     "upstream api {\n    server \"10.0.0.1:80\" { \n weight 1\n }\n    server 10.0.0.2:80\n" END,
     "10.0.0.1:80", "", false, SERVER_ADMIN_DRAIN, 0, true},
    {"drained, its weight changed", API END,
     "upstream api {\n    server 10.0.0.1:80 weight=5\n    server 10.0.0.2:80\n" END, "10.0.0.1:80",
     "", false, SERVER_ADMIN_DRAIN, 0, false},
    {"drained, taken out of the file", API END, "upstream api {\n    server 10.0.0.2:80\n" END,
     "10.0.0.1:80", "", false, SERVER_ADMIN_DRAIN, 0, false},
    {"weighed, file unchanged", API END, API END, "10.0.0.2:80", "", false, SERVER_ADMIN_NONE, 7,
     true},
    {"weighed, weight changed in the file", API END,
     "upstream api {\n    server 10.0.0.1:80\n    server 10.0.0.2:80 weight=3\n" END, "10.0.0.2:80",
     "", false, SERVER_ADMIN_NONE, 7, false},
    {"down, file says so too now", API END,
     "upstream api {\n    server 10.0.0.1:80 down\n    server 10.0.0.2:80\n" END, "10.0.0.1:80", "",
     false, SERVER_ADMIN_DOWN, 0, false},
    {"added, file unchanged", API END, API END, "10.0.0.3:80", "server 10.0.0.3:80", false,
     SERVER_ADMIN_NONE, 0, true},
    {"added, pasted into the file", API END, API "    server 10.0.0.3:80\n" END, "10.0.0.3:80",
     "server 10.0.0.3:80", false, SERVER_ADMIN_NONE, 0, false},
    {"added, upstream renamed", API END, "upstream web {\n    server 10.0.0.1:80\n" END,
     "10.0.0.3:80", "server 10.0.0.3:80", false, SERVER_ADMIN_NONE, 0, false},
    {"removed, file unchanged", API END, API END, "10.0.0.1:80", "", true, SERVER_ADMIN_NONE, 0,
     true},
    {"removed, line changed", API END,
     "upstream api {\n    server 10.0.0.1:80 backup\n    server 10.0.0.2:80\n" END, "10.0.0.1:80",
     "", true, SERVER_ADMIN_NONE, 0, false},
    {"removed, removed from the file", API END, "upstream api {\n    server 10.0.0.2:80\n" END,
     "10.0.0.1:80", "", true, SERVER_ADMIN_NONE, 0, false},
    {"of a discovered server", API END, API "    queue 5\n" END, "10.9.9.9:80", "", false,
     SERVER_ADMIN_DRAIN, 0, true},
};

static void the_rules(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof RULES / sizeof *RULES; i++) {
        const struct rule *rule = &RULES[i];
        for (int is_restart = 0; is_restart < 2; is_restart++) {
            struct arena arena;
            struct overrides overrides;
            int dropped = 0;
            arena_init(&arena, NULL, 0);
            overrides_init(&overrides);
            struct override entry = {
                .upstream = SLICE("api"),
                .server = slice_from_cstring(rule->server),
                .line = slice_from_cstring(rule->line),
                .is_removed = rule->is_removed,
                .state = rule->state,
                .weight = rule->weight,
                .by = SLICE("test"),
                .since = INT64_C(1795220042123456000),
                .is_durable = true,
            };
            assert_true(override_line(load(rule->file_then, &arena), entry.upstream, entry.server,
                                      &arena, &entry.was));
            assert_int_equal(overrides_put(&overrides, &entry), OK);
            if (is_restart)
                start_anew(&overrides, &arena);
            overrides_reconcile(&overrides, load(rule->file_now, &arena), count_drop, &dropped);
            if (overrides.count != rule->stands || dropped == rule->stands)
                fail_msg("%s: %s", rule->what, rule->stands ? "it went" : "it stands");
            if (rule->stands) {
                const struct override *kept = &overrides.items[0];
                assert_int_equal(kept->state, rule->state);
                assert_int_equal(kept->weight, rule->weight);
                assert_int_equal(kept->is_removed, rule->is_removed);
                assert_int_equal(kept->since, entry.since);
                assert_true(slice_equal(kept->line, entry.line));
                assert_true(slice_equal(kept->was, entry.was));
            }
            overrides_done(&overrides);
            arena_done(&arena);
        }
    }
}

static void put(struct overrides *overrides, const char *server, const char *line, bool is_removed)
{
    struct override entry = {.upstream = SLICE("api"),
                             .server = slice_from_cstring(server),
                             .line = slice_from_cstring(line),
                             .is_removed = is_removed,
                             .is_durable = true};
    assert_int_equal(overrides_put(overrides, &entry), OK);
}

static void what_both_say(void **state)
{
    (void)state;
    struct arena arena;
    struct overrides overrides;
    struct config_errors errors;
    arena_init(&arena, NULL, 0);
    overrides_init(&overrides);
    config_errors_init(&errors, &arena);
    const struct config *config = load(API END, &arena);
    assert_ptr_equal(overrides_apply(&overrides, config, &arena, &errors), config);
    put(&overrides, "10.0.0.1:80", "", true);
    put(&overrides, "c", "server 10.0.0.3:80 name=c weight=4", false);
    put(&overrides, "d", "server", false); /* such a file was not written by us */
    const struct config *both = overrides_apply(&overrides, config, &arena, &errors);
    assert_int_equal(errors.errors, 1);
    assert_int_equal(both->upstreams[0].servers_count, 2);
    const struct server_line_config *kept = both->upstreams[0].servers[0]->config;
    const struct server_line_config *added = both->upstreams[0].servers[1]->config;
    assert_true(slice_equal(kept->address, SLICE("10.0.0.2:80")));
    assert_true(slice_equal(added->name, SLICE("c")));
    assert_int_equal(added->weight, 4);
    assert_int_equal(config->upstreams[0].servers_count, 2); /* the other is as it was */
    /* The last server stays. */
    overrides_done(&overrides);
    overrides_init(&overrides);
    put(&overrides, "10.0.0.1:80", "", true);
    put(&overrides, "10.0.0.2:80", "", true);
    both = overrides_apply(&overrides, config, &arena, &errors);
    assert_int_equal(both->upstreams[0].servers_count, 2);
    overrides_done(&overrides);
    arena_done(&arena);
}

static void lists(void **state)
{
    (void)state;
    struct arena arena;
    struct overrides overrides, copy;
    arena_init(&arena, NULL, 0);
    overrides_init(&overrides);
    put(&overrides, "a", "", true);
    put(&overrides, "b", "", true);
    put(&overrides, "a", "server 10.0.0.9:80 name=a", false); /* takes the place, keeps the id */
    assert_int_equal(overrides.count, 2);
    assert_int_equal(overrides.items[0].id, 1);
    assert_false(overrides.items[0].is_removed);
    overrides_copy(&copy, &overrides);
    overrides_remove(&copy, overrides_find_id(&copy, 1));
    assert_int_equal(copy.count, 1);
    assert_int_equal(overrides.count, 2);
    put(&copy, "c", "", true);
    assert_int_equal(copy.items[1].id, 3); /* no id twice */
    assert_null(overrides_find(&copy, SLICE("api"), SLICE("a")));
    assert_null(overrides_find(&copy, SLICE("other"), SLICE("b")));
    struct upstream_setting *settings;
    size_t count;
    overrides.items[1].state = SERVER_ADMIN_DRAIN;
    overrides_settings(&overrides, SLICE("api"), &arena, &settings, &count);
    assert_int_equal(count, 1);
    assert_true(slice_equal(settings[0].server, SLICE("b")));
    for (size_t i = copy.count; i < OVERRIDES_MAX; i++)
        put(&copy, arena_cstring(&arena, arena_format(&arena, "s%zu", i)), "", true);
    struct override more = {.upstream = SLICE("api"), .server = SLICE("more")};
    assert_int_equal(overrides_put(&copy, &more), ERR_LIMIT);
    overrides_done(&copy);
    overrides_done(&overrides);
    arena_done(&arena);
}

static void lines_to_paste(void **state)
{
    (void)state;
    static const char EXPECTED[] = "# upstream api\n"
                                   "    server 10.0.0.1:80 weight=3 down   # it drains now\n"
                                   "# upstream api\n"
                                   "    server 10.0.0.3:80 name=c weight=4 backup\n"
                                   "# upstream api\n"
                                   "    # without: server 10.0.0.2:80 weight=2\n"
                                   "# upstream api\n"
                                   "    # 10.9.9.9:80 was discovered: no line is its own\n";
    struct arena arena;
    struct overrides overrides;
    arena_init(&arena, NULL, 0);
    overrides_init(&overrides);
    put(&overrides, "10.0.0.1:80", "", false);
    overrides.items[0].was = SLICE("server 10.0.0.1:80");
    overrides.items[0].weight = 3;
    overrides.items[0].state = SERVER_ADMIN_DRAIN;
    put(&overrides, "c", "server 10.0.0.3:80 name=c weight=4 backup", false);
    put(&overrides, "10.0.0.2:80", "", true);
    overrides.items[2].was = SLICE("server 10.0.0.2:80 weight=2");
    put(&overrides, "10.9.9.9:80", "", false);
    struct buffer out = buffer_in(&arena, 256);
    overrides_as_config(&overrides, &arena, &out);
    assert_string_equal(arena_cstring(&arena, buffer_slice(&out)), EXPECTED);
    overrides_done(&overrides);
    arena_done(&arena);
}

static void broken_files(void **state)
{
    (void)state;
    static const char *const BROKEN[] = {
        "",
        "x",
        "[]",
        "{}",
        "{\"overrides\":{}}",
        "{\"overrides\":[1]}",
        "{\"overrides\":[{}]}",
        "{\"overrides\":[{\"id\":0,\"upstream\":\"a\",\"server\":\"b\",\"change\":\"set\"}]}",
        "{\"overrides\":[{\"id\":1,\"upstream\":\"a\",\"server\":\"b\",\"change\":\"add\"}]}",
        "{\"overrides\":[{\"id\":1,\"upstream\":\"a\",\"server\":\"b\",\"change\":\"eat\"}]}",
        "{\"overrides\":[{\"id\":1,\"upstream\":\"a\",\"server\":\"b\",\"change\":\"set\","
        "\"state\":\"gone\"}]}",
        "{\"overrides\":[{\"id\":1,\"upstream\":\"a\",\"server\":\"b\",\"change\":\"set\"},"
        "{\"id\":1,\"upstream\":\"a\",\"server\":\"c\",\"change\":\"set\"}]}",
        "{\"overrides\":[{\"id\":1,\"upstream\":\"a\",\"server\":\"b\",\"change\":\"set\"},"
        "{\"id\":2,\"upstream\":\"a\",\"server\":\"b\",\"change\":\"set\"}]}",
        "{\"overrides\":[\xff]}",
    };
    for (size_t i = 0; i < sizeof BROKEN / sizeof *BROKEN; i++) {
        struct arena arena;
        struct overrides overrides;
        struct slice why = SLICE("");
        arena_init(&arena, NULL, 0);
        overrides_init(&overrides);
        assert_false(overrides_read(&overrides, slice_from_cstring(BROKEN[i]), &arena, &why));
        assert_true(why.size > 0);
        assert_int_equal(overrides.count, 0);
        overrides_done(&overrides);
        arena_done(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rules),      cmocka_unit_test(what_both_say), cmocka_unit_test(lists),
        cmocka_unit_test(lines_to_paste), cmocka_unit_test(broken_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
