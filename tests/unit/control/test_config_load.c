/* SPDX-License-Identifier: Apache-2.0 */
/* What a good configuration becomes: decoded values, merged levels, JSON and back, the pages that
 * are generated. */
#include "control/fake_steps.h"

#include "control/access_log.h"
#include "control/config_docs.h"
#include "control/config_json.h"
#include "exchange/exchange.h"
#include "upstream/upstream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const char GOOD[] =
    "config_version 1\n"
    "workers 4\n"
    "user weir\n"
    "resolver 192.0.2.53 [::1]:5353 timeout=1s\n"
    "trusted_proxies 10.0.0.0/8 ::1 header=forwarded\n"
    "log access {\n    to file:/tmp/access.log\n    format combined\n}\n"
    "timeouts keepalive=10s tunnel=2h\n"
    "limits body_size=1MiB connections=500\n"
    "defaults {\n"
    "    header set X-Level defaults\n"
    "    strip_prefix /defaults\n"
    "    timeouts tunnel=3h\n"
    "    field_names drop\n"
    "}\n"
    "upstream api {\n"
    "    balance least_conn\n"
    "    keepalive 5 idle=1m\n"
    "    queue off\n"
    "    server 10.0.0.1:3000 weight=3 max_conns=7\n"
    "    server app.internal:3000 backup {\n        weight 2\n    }\n"
    "    server unix:/run/app.sock down=on name=local\n"
    "    server http://10.0.0.9\n"
    "}\n"
    "site Example.COM *.example.com {\n"
    "    listen :8080 127.0.0.1:9000 half_close=allow\n"
    "    listen [::1]:80 {\n        timeouts keepalive=1s\n        limits fields=7\n    }\n"
    "    alias www.example.org example.org status=301\n"
    "    path_escaped_slash keep\n"
    "    path_merge_slashes off\n"
    "    log off\n"
    "    header set X-Level site\n"
    "    strip_prefix /site\n"
    "    error_page 502 5xx \"a {{b}} '\\\"\"\n"
    "    route /api/* {\n"
    "        match method GET POST\n"
    "        match header X-A ~^b+$\n"
    "        match client 10.0.0.0/8 ::1\n"
    "        header set X-Level route\n"
    "        strip_prefix /route\n"
    "        limits body_size=off\n"
    "        proxy api tries=3 retry_on=connect,5xx host=upstream timeout=off\n"
    "    }\n"
    "    route /off {\n"
    "        strip_prefix off\n"
    "        timeouts tunnel=off\n"
    "    }\n"
    "    respond 200 'all {of} it' type=\"text/html; charset=utf-8\"\n"
    "}\n"
    "site * {\n"
    "    listen :8080\n"
    "    redirect https://example.com{uri}\n"
    "}\n";

static const struct config *load_good(struct arena *arena)
{
    struct config_errors errors;
    config_errors_init(&errors, arena);
    const struct config *config = fake_load(GOOD, arena, &errors);
    if (errors.count > 0) {
        struct buffer out = buffer_in(arena, 1024);
        config_errors_render(&errors, false, &out);
        fail_msg("%.*s", SLICE_ARG(buffer_slice(&out)));
    }
    return config;
}

static void assert_text(struct slice text, const char *expected)
{
    if (!slice_equal(text, slice_from_cstring(expected)))
        fail_msg("%.*s instead of %s", SLICE_ARG(text), expected);
}

static void values_are_decoded(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, NULL, 0);
    const struct config *config = load_good(&arena);
    assert_int_equal(config->workers, 4);
    assert_text(config->user, "weir");
    assert_int_equal(config->resolver.servers.count, 2);
    assert_int_equal(config->resolver.timeout, SECONDS(1));
    assert_int_equal(config->resolver.keep, SECONDS(3600));
    assert_int_equal(config->trusted_proxies.cidrs.count, 2);
    assert_int_equal(config->trusted_proxies.header, CLIENT_HEADER_FORWARDED);
    assert_int_equal(config->access_logs_count, 1);
    const struct access_log_config *log = &config->access_logs[0];
    assert_text(log->to, "file:/tmp/access.log");
    assert_text(log->format, "combined");
    assert_int_equal(log->shape.format, ACCESS_LOG_COMBINED);
    assert_int_equal(log->sample, 1);
    assert_int_equal(log->buffer, 65536);
    const struct config_upstream *api = &config->upstreams[0];
    assert_int_equal(api->balance.method, BALANCE_LEAST_CONN);
    assert_int_equal(api->keepalive.kept, 5);
    assert_int_equal(api->keepalive.idle, SECONDS(60));
    assert_int_equal(api->queue.size, -1);
    assert_int_equal(api->servers_count, 4);
    const struct server_line_config *second = api->servers[1]->config;
    const struct server_line_config *third = api->servers[2]->config;
    assert_int_equal(((const struct server_line_config *)api->servers[0]->config)->max_conns, 7);
    assert_true(second->backup && !second->down && second->weight == 2);
    assert_true(third->down && !third->backup);
    assert_text(third->name, "local");
    arena_done(&arena);
}

static void levels_are_merged(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, NULL, 0);
    const struct config *config = load_good(&arena);
    const struct config_site *site = &config->sites[0];
    assert_text(site->hosts.items[0], "example.com");
    assert_int_equal(site->field_names, 1);
    assert_true(site->path_escaped_slash && !site->path_merge_slashes && !site->access_log);
    assert_int_equal(site->aliases_count, 2);
    assert_int_equal(site->aliases[1].status, 301);
    assert_int_equal(site->timeouts.tunnel, SECONDS(3 * 3600));
    assert_int_equal(site->limits.body_size, 1024 * 1024);
    assert_int_equal(site->routes_count, 3);
    const struct config_route *api = &site->routes[0];
    assert_int_equal(api->matches_count, 3);
    assert_int_equal(api->limits.body_size, -1);
    static const char *const EXPECTED[] = {"header", "header",       "error_page",
                                           "header", "strip_prefix", "proxy"};
    assert_int_equal(api->path.count, 6);
    for (size_t i = 0; i < 6; i++)
        assert_string_equal(api->path.steps[i]->key->name, EXPECTED[i]);
    assert_text(((const struct fake_config *)api->path.steps[4]->config)->first, "/route");
    const struct fake_config *proxy = api->path.steps[5]->config;
    assert_int_equal(proxy->tries, 3);
    assert_int_equal(proxy->list.count, 2);
    assert_int_equal(proxy->times[3], CLOCK_NEVER);
    assert_int_equal(proxy->times[0], SECONDS(3));
    const struct config_route *off = &site->routes[1];
    assert_int_equal(off->path.count, 4);
    assert_string_equal(off->path.steps[3]->key->name, "respond");
    assert_int_equal(off->timeouts.tunnel, CLOCK_NEVER);
    assert_true(site->routes[2].is_fallback);
    const struct fake_config *respond = off->path.steps[3]->config;
    assert_text(respond->first, "all {{of}} it");
    arena_done(&arena);
}

static void addresses_know_their_sites(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, NULL, 0);
    const struct config *config = load_good(&arena);
    assert_int_equal(config->listens_count, 3);
    for (size_t i = 0; i < config->listens_count; i++) {
        const struct config_listen *listen = &config->listens[i];
        bool is_shared = slice_equal(listen->name, SLICE(":8080"));
        bool is_slow = slice_equal(listen->name, SLICE("[::1]:80"));
        assert_int_equal(listen->sites_count, is_shared ? 2 : 1);
        assert_int_equal(listen->half_close, !is_slow);
        assert_int_equal(listen->timeouts.keepalive, is_slow ? SECONDS(1) : SECONDS(10));
        assert_int_equal(listen->limits.fields, is_slow ? 7 : 100);
        assert_int_equal(listen->limits.connections, 500);
    }
    arena_done(&arena);
}

static struct slice json_of(const char *text, bool is_json, struct arena *arena)
{
    struct config_errors errors;
    config_errors_init(&errors, arena);
    struct config_request request = {
        .path = SLICE("x"),
        .text = slice_from_cstring(text),
        .has_text = true,
        .is_json = is_json,
        .source = &FAKE_SOURCE,
        .schema = fake_schema(),
    };
    const struct config *config = config_load(&request, arena, &errors);
    struct buffer out = buffer_in(arena, 4096);
    if (errors.errors > 0) {
        config_errors_render(&errors, false, &out);
        fail_msg("%.*s", SLICE_ARG(buffer_slice(&out)));
    }
    config_json_write(fake_schema(), config->root, &out);
    return buffer_slice(&out);
}

/* Text to JSON, to a tree, to text, to JSON. */
static void json_and_back_is_the_same(void **state)
{
    (void)state;
    struct arena arena;
    struct config_errors errors;
    arena_init(&arena, NULL, 0);
    config_errors_init(&errors, &arena);
    struct slice first = json_of(GOOD, false, &arena);
    struct slice second = json_of(arena_cstring(&arena, first), true, &arena);
    struct config_tree *tree = config_tree_new(&arena, &errors, &FAKE_SOURCE);
    config_json_parse(tree, fake_schema(), SLICE("x.json"), second);
    struct buffer text = buffer_in(&arena, 4096);
    config_text_write(tree->root, &text);
    struct slice third = json_of(arena_cstring(&arena, buffer_slice(&text)), false, &arena);
    assert_text(second, arena_cstring(&arena, first));
    assert_text(third, arena_cstring(&arena, first));
    if (getenv("SHOW_JSON") != NULL)
        printf("%.*s", SLICE_ARG(first));
    arena_done(&arena);
}

static void json_collapses_single_values(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, NULL, 0);
    struct slice json = json_of("upstream api {\n    balance least_conn\n    server 10.0.0.1:80\n"
                                "    server 10.0.0.2:80 weight=2\n}\n"
                                "site a.example {\n    proxy api\n}\n",
                                false, &arena);
    assert_text(json, "{\n"
                      "  \"upstream\": [\n"
                      "    {\n"
                      "      \"name\": \"api\",\n"
                      "      \"server\": [\n"
                      "        \"10.0.0.1:80\",\n"
                      "        {\n"
                      "          \"address\": \"10.0.0.2:80\",\n"
                      "          \"weight\": 2\n"
                      "        }\n"
                      "      ],\n"
                      "      \"balance\": \"least_conn\"\n"
                      "    }\n"
                      "  ],\n"
                      "  \"site\": [\n"
                      "    {\n"
                      "      \"hosts\": [\"a.example\"],\n"
                      "      \"proxy\": \"api\"\n"
                      "    }\n"
                      "  ]\n"
                      "}\n");
    arena_done(&arena);
}

static void json_is_cut_and_nested_without_harm(void **state)
{
    (void)state;
    struct arena arena;
    struct config_errors errors;
    arena_init(&arena, NULL, 0);
    struct slice json = json_of(GOOD, false, &arena);
    for (size_t size = 0; size < json.size; size += 7) {
        struct arena inner;
        arena_init(&inner, NULL, 0);
        config_errors_init(&errors, &inner);
        struct config_tree *tree = config_tree_new(&inner, &errors, &FAKE_SOURCE);
        char *copy = memory_alloc(size + 1);
        memcpy(copy, json.data, size);
        config_json_parse(tree, fake_schema(), SLICE("x"), slice_of(copy, size));
        assert_true(errors.errors == 1 && tree->is_broken);
        free(copy);
        arena_done(&inner);
    }
    for (size_t depth = CONFIG_DEPTH_MAX; depth <= CONFIG_DEPTH_MAX + 1; depth++) {
        char deep[2 * CONFIG_DEPTH_MAX + 16];
        int size = snprintf(deep, sizeof(deep), "{\"a\":");
        memset(deep + size, '[', depth);
        memset(deep + size + depth, ']', depth);
        snprintf(deep + size + 2 * depth, 3, "}");
        config_errors_init(&errors, &arena);
        struct config_tree *tree = config_tree_new(&arena, &errors, &FAKE_SOURCE);
        config_json_parse(tree, fake_schema(), SLICE("x"), slice_from_cstring(deep));
        bool is_too_deep = false;
        for (size_t i = 0; i < errors.count; i++)
            is_too_deep = is_too_deep || errors.items[i].code == CONFIG_JSON_SYNTAX;
        assert_int_equal(is_too_deep, depth > CONFIG_DEPTH_MAX);
    }
    arena_done(&arena);
}

static size_t errors_of_line(const struct key *key, const char *line, struct arena *arena)
{
    struct config_errors errors;
    config_errors_init(&errors, arena);
    struct config_tree *tree = config_tree_new(arena, &errors, &FAKE_SOURCE);
    /* "{ … }" at the end stands for a block of any kind. */
    struct slice text = slice_from_cstring(line);
    struct slice any = SLICE("{ … }");
    if (slice_ends(text, any))
        text =
            arena_format(arena, "%.*s{\n}\n", SLICE_ARG(slice_first(text, text.size - any.size)));
    struct config_file *file = arena_zero(arena, sizeof(*file));
    file->text = text;
    config_tree_parse(tree, SLICE("example"), text);
    struct config_decoder decoder = {.arena = arena,
                                     .errors = &errors,
                                     .schema = &(struct config_schema){&key, 1, fake_placeholder}};
    static struct key moved; /* where the line stands: at the top */
    moved = *key;
    moved.contexts = IN_TOP;
    const struct key *keys[] = {&moved};
    struct config_schema schema = {keys, 1, fake_placeholder};
    struct config_block top;
    decoder.schema = &schema;
    config_decode(&decoder, tree, &top);
    bool is_pasted = strcmp(key->name, "include") == 0 || strcmp(key->name, "use") == 0 ||
                     strcmp(key->name, "snippet") == 0;
    return is_pasted ? 0 : errors.errors + (top.count != 1);
}

static void check_keys(const struct key *const *keys, size_t count)
{
    struct arena arena;
    arena_init(&arena, NULL, 0);
    for (size_t i = 0; i < count; i++) {
        const struct key *key = keys[i];
        const struct option *tables[] = {key->arguments, key->options};
        if (key->doc == NULL || key->example == NULL || key->since == NULL)
            fail_msg("%s has no doc, example or version", key->name);
        if (errors_of_line(key, key->example, &arena) > 0)
            fail_msg("the example of %s is wrong: %s", key->name, key->example);
        if (config_options_count(key->options) > 64)
            fail_msg("%s has more than 64 options", key->name);
        for (size_t j = 0; j < 2; j++) {
            for (size_t k = 0; k < config_options_count(tables[j]); k++) {
                const struct option *option = &tables[j][k];
                if (option->doc == NULL || option->doc[0] == '\0')
                    fail_msg("%s %s has no doc", key->name, option->name);
                if (option->offset + config_value_size(option) > key->config_size)
                    fail_msg("%s %s is outside of its struct", key->name, option->name);
                if (option->type == OPTION_ENUM && option->words == NULL)
                    fail_msg("%s %s has no words", key->name, option->name);
            }
        }
        struct config_schema schema = {keys, count, fake_placeholder};
        config_key_defaults(&schema, key, &arena); /* ends the process for a wrong default */
    }
    arena_done(&arena);
}

static void each_key_is_documented_and_its_example_parses(void **state)
{
    (void)state;
    size_t count;
    const struct key *const *keys = config_keys(&count);
    check_keys(keys, count);
    check_keys(fake_schema()->keys, fake_schema()->count);
}

static void pages_are_generated(void **state)
{
    (void)state;
    struct arena arena;
    const char *name;
    arena_init(&arena, NULL, 0);
    for (size_t i = 0; i < 3; i++) {
        struct buffer out = buffer_in(&arena, 4096);
        assert_true(config_docs_page(fake_schema(), i, &name, &out));
        assert_true(out.size > 100);
    }
    struct buffer out = buffer_in(&arena, 4096);
    assert_false(config_docs_page(fake_schema(), 3, &name, &out));
    assert_true(config_docs_help(fake_schema(), SLICE("weight"), &out));
    assert_text(buffer_slice(&out),
                "server weight=: number, 1 to 256; default 1. Its share of the requests.\n"
                "proxy weight=: number, 0 to 100; default 1. W.\n");
    assert_false(config_docs_help(fake_schema(), SLICE("nothing"), &out));
    out.size = 0;
    config_docs_schema(fake_schema(), &out);
    if (getenv("SHOW_SCHEMA") != NULL)
        printf("%.*s", SLICE_ARG(buffer_slice(&out)));
    /* The schema is JSON itself. */
    struct config_errors errors;
    config_errors_init(&errors, &arena);
    struct config_tree *tree = config_tree_new(&arena, &errors, &FAKE_SOURCE);
    config_json_parse(tree, fake_schema(), SLICE("schema"), buffer_slice(&out));
    for (size_t i = 0; i < errors.count; i++)
        assert_int_not_equal(errors.items[i].code, CONFIG_JSON_SYNTAX);
    arena_done(&arena);
}

static void errors_are_shown_to_machines(void **state)
{
    (void)state;
    struct arena arena;
    struct config_errors errors;
    arena_init(&arena, NULL, 0);
    config_errors_init(&errors, &arena);
    fake_load("upstream api {\n    server 10.0.0.1:80\n}\nsite a.example {\n    proxy apii\n}\n",
              &arena, &errors);
    struct buffer out = buffer_in(&arena, 256);
    config_errors_render_json(&errors, &out);
    assert_text(buffer_slice(&out),
                "[{\"code\":\"E0301\",\"severity\":\"error\",\"message\":\"no upstream named "
                "\\\"apii\\\"\",\"file\":\"weir.conf\",\"line\":5,\"column\":11,\"length\":4,"
                "\"note\":\"did you mean \\\"api\\\"? (defined at line 1)\","
                "\"suggestion\":\"api\"}]");
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_decoded),
        cmocka_unit_test(levels_are_merged),
        cmocka_unit_test(addresses_know_their_sites),
        cmocka_unit_test(json_and_back_is_the_same),
        cmocka_unit_test(json_collapses_single_values),
        cmocka_unit_test(json_is_cut_and_nested_without_harm),
        cmocka_unit_test(each_key_is_documented_and_its_example_parses),
        cmocka_unit_test(pages_are_generated),
        cmocka_unit_test(errors_are_shown_to_machines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
