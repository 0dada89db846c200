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

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(pages_are_current)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
