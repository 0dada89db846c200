/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as the file of overrides. What is accepted must be written and read as the same, and
 * stand beside a configuration without harm. */
#include "base/check.h"
#include "control/overrides.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct slice write(const struct overrides *overrides, struct arena *arena)
{
    struct buffer out = buffer_in(arena, 1024);
    overrides_write(overrides, true, &out);
    return buffer_slice(&out);
}

static void use(struct overrides *overrides, struct arena *arena)
{
    static const char TEXT[] = "upstream a {\n    server 10.0.0.1:80 name=b\n}\n"
                               "site * {\n    listen :8080\n    proxy a\n}\n";
    struct config_errors errors;
    struct config_request request = {
        .path = SLICE("fuzz"), .has_text = true, .text = slice_from_cstring(TEXT)};
    config_errors_init(&errors, arena);
    const struct config *config = config_load(&request, arena, &errors);
    const struct config *both = overrides_apply(overrides, config, arena, &errors);
    check(both->upstreams_count == config->upstreams_count);
    check(both->upstreams[0].servers_count > 0);
    struct buffer out = buffer_in(arena, 1024);
    overrides_as_config(overrides, arena, &out);
    overrides_reconcile(overrides, config, NULL, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct overrides overrides, again;
    struct slice why;
    arena_init(&arena, NULL, 0);
    overrides_init(&overrides);
    overrides_init(&again);
    if (overrides_read(&overrides, slice_of((const char *)data, size), &arena, &why)) {
        struct slice text = write(&overrides, &arena);
        check(overrides_read(&again, text, &arena, &why));
        check(slice_equal(write(&again, &arena), text));
        use(&overrides, &arena);
    } else {
        check(overrides.count == 0 && why.size > 0);
    }
    overrides_done(&overrides);
    overrides_done(&again);
    arena_done(&arena);
    return 0;
}
