/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a configuration: text, or JSON when they begin with a brace. Nothing outside is
 * read. What is accepted must come back from JSON and from the layout as the same. */
#include "base/check.h"
#include "control/config.h"
#include "control/config_fmt.h"
#include "control/config_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *environment(const char *name)
{
    return name[0] == 'X' ? "a {host} b" : NULL;
}

static enum status read_nothing(const char *path, size_t size_max, struct arena *arena,
                                struct slice *text, const char **why)
{
    (void)path;
    (void)size_max;
    (void)arena;
    *text = SLICE("");
    *why = "no files here";
    return ERR_UNREACHABLE;
}

static void match_nothing(const char *pattern, struct arena *arena, struct slice_list *paths)
{
    (void)pattern;
    (void)arena;
    paths->count = 0;
}

static const struct config_source NOWHERE = {environment, read_nothing, match_nothing};

static struct slice json_of(struct slice text, bool is_json, struct arena *arena, size_t *failures)
{
    struct config_errors errors;
    struct config_request request = {
        .path = SLICE("fuzz"),
        .text = text,
        .has_text = true,
        .is_json = is_json,
        .source = &NOWHERE,
    };
    config_errors_init(&errors, arena);
    const struct config *config = config_load(&request, arena, &errors);
    struct buffer out = buffer_in(arena, 1024);
    config_errors_render(&errors, true, &out);
    config_errors_render_json(&errors, &out);
    out.size = 0;
    *failures = errors.errors;
    if (errors.errors == 0)
        config_json_write(config_schema(), config->root, &out);
    return buffer_slice(&out);
}

static void check_layout(struct slice text, struct arena *arena)
{
    struct config_errors errors;
    struct config_file file = {.name = SLICE("fuzz"), .text = text};
    struct buffer first = buffer_in(arena, 1024);
    struct buffer second = buffer_in(arena, 1024);
    config_errors_init(&errors, arena);
    if (!config_fmt(&file, arena, &errors, &first))
        return;
    file.text = buffer_slice(&first);
    check(config_fmt(&file, arena, &errors, &second));
    check(slice_equal(buffer_slice(&first), buffer_slice(&second)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    size_t failures;
    struct slice text = slice_of((const char *)data, size);
    bool is_json = size > 0 && data[0] == '{';
    arena_init(&arena, NULL, 0);
    struct slice first = json_of(text, is_json, &arena, &failures);
    if (failures == 0) {
        struct slice second = json_of(first, true, &arena, &failures);
        check(failures == 0);
        check(slice_equal(first, second));
    }
    if (!is_json)
        check_layout(text, &arena);
    arena_done(&arena);
    return 0;
}
