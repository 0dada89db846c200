/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets that are written out are not shown, in whichever form they stand; references are. */
#include "control/config_mask.h"

#include "control/config.h"
#include "control/config_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static const char *const CASES[][2] = {
    {"upstream a {\n    sticky cookie secret=open\n}\n",
     "upstream a {\n    sticky cookie secret=***\n}\n"},
    {"upstream a {\n    sticky cookie {\n        secret open\n    }\n}\n",
     "upstream a {\n    sticky cookie {\n        secret ***\n    }\n}\n"},
    {"upstream a {\n    sticky cookie secret=file:/etc/s\n}\n",
     "upstream a {\n    sticky cookie secret=file:/etc/s\n}\n"},
    {"admin {\n    listen 127.0.0.1:1 token=open read_token=env:READ\n}\n",
     "admin {\n    listen 127.0.0.1:1 token=*** read_token=env:READ\n}\n"},
    {"admin {\n    listen 127.0.0.1:1 {\n        token open\n    }\n}\n",
     "admin {\n    listen 127.0.0.1:1 {\n        token ***\n    }\n}\n"},
    {"site * {\n    respond 200 secret=open\n}\n", "site * {\n    respond 200 secret=open\n}\n"},
};

static void secrets(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct arena arena;
        struct config_errors errors;
        arena_init(&arena, NULL, 0);
        config_errors_init(&errors, &arena);
        struct config_tree *tree = config_tree_new(&arena, &errors, &CONFIG_SYSTEM);
        config_tree_parse(tree, SLICE("weir.conf"), slice_from_cstring(CASES[i][0]));
        struct buffer out = buffer_in(&arena, 256);
        config_text_write(config_mask(tree->root, config_schema(), &arena), &out);
        assert_string_equal(arena_cstring(&arena, buffer_slice(&out)), CASES[i][1]);
        struct buffer before = buffer_in(&arena, 256); /* what is served is as it was */
        config_text_write(tree->root, &before);
        assert_string_equal(arena_cstring(&arena, buffer_slice(&before)), CASES[i][0]);
        arena_done(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(secrets)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
