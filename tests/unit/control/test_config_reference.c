/* SPDX-License-Identifier: Apache-2.0 */
/* docs/reference is what the tables say. WRITE_REFERENCE=1 writes the pages anew. */
#include "control/config_docs.h"
#include "control/config_keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void check_page(const char *name, struct slice text, struct arena *arena)
{
    char path[200];
    struct slice stored = {0};
    const char *why = "";
    snprintf(path, sizeof(path), "docs/reference/%s", name);
    if (getenv("WRITE_REFERENCE") != NULL) {
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        fwrite(text.data, 1, text.size, file);
        fclose(file);
    }
    if (CONFIG_SYSTEM.read(path, 1 << 24, arena, &stored, &why) != OK)
        fail_msg("%s: %s", path, why);
    if (!slice_equal(stored, text))
        fail_msg("%s is not what the tables say: run this test with WRITE_REFERENCE=1", path);
}

static void pages_are_current(void **state)
{
    (void)state;
    struct arena arena;
    const char *name;
    arena_init(&arena, NULL, 0);
    for (size_t i = 0;; i++) {
        struct buffer out = buffer_in(&arena, 16384);
        if (!config_docs_page(config_schema(), i, &name, &out))
            break;
        check_page(name, buffer_slice(&out), &arena);
    }
    struct buffer out = buffer_in(&arena, 16384);
    config_docs_schema(config_schema(), &out);
    check_page("weir.schema.json", buffer_slice(&out), &arena);
    arena_done(&arena);
}

static bool has_key(const struct config_schema *schema, struct slice name)
{
    for (size_t i = 0; i < schema->count; i++)
        if (slice_equal(slice_from_cstring(schema->keys[i]->name), name))
            return true;
    return false;
}

/* `weir help WORD` says of each key what it is for and shows one; of each option what it does. */
static void everything_has_help(void **state)
{
    const struct config_schema *schema = config_schema();
    struct arena arena;
    size_t seen = 0;
    (void)state;
    arena_init(&arena, NULL, 0);
    for (size_t i = 0; i < schema->count; i++) {
        const struct key *key = schema->keys[i];
        struct buffer out = buffer_in(&arena, 4096);
        struct slice doc = slice_from_cstring(key->doc);
        assert_true(config_docs_help(schema, slice_from_cstring(key->name), &out));
        if (slice_find_slice(buffer_slice(&out), doc) == out.size || doc.size == 0)
            fail_msg("weir help %s does not say what it is for", key->name);
        for (size_t j = 0; j < config_options_count(key->options); j++, seen++) {
            struct slice name = slice_from_cstring(key->options[j].name);
            struct slice what = slice_from_cstring(key->options[j].doc);
            bool is_said = slice_find_slice(buffer_slice(&out), what) < out.size;
            struct buffer own = buffer_in(&arena, 4096);
            assert_true(config_docs_help(schema, name, &own));
            bool is_said_alone = slice_find_slice(buffer_slice(&own), what) < own.size;
            if (!is_said || !(is_said_alone || has_key(schema, name)) || what.size == 0)
                fail_msg("weir help %s does not say what it does in %s", key->options[j].name,
                         key->name);
        }
    }
    assert_true(schema->count > 80 && seen > 200);
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(pages_are_current),
                                       cmocka_unit_test(everything_has_help)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
