/* SPDX-License-Identifier: Apache-2.0 */
/* Files that a configuration names: that they are there and can be read. */
#include "control/config_build.h"

enum {
    FILE_CHECKED_MAX = 64 * 1024 * 1024,
};

static void check_file(struct builder *builder, const struct config_item *item, struct slice path)
{
    struct arena arena;
    struct slice text;
    const char *why = "";
    struct slice directory =
        slice_starts(path, SLICE("/")) ? SLICE("") : config_item_directory(item);
    arena_init(&arena, NULL, 0);
    struct slice full = arena_format(&arena, "%.*s%.*s", SLICE_ARG(directory), SLICE_ARG(path));
    if (builder->source->read(arena_cstring(&arena, full), FILE_CHECKED_MAX, &arena, &text, &why) !=
        OK) {
        struct config_place place = item->node->place;
        for (size_t i = 0; i < item->node->values_count; i++)
            if (slice_ends(item->node->values[i].text, path))
                place = item->node->values[i].place;
        for (size_t i = 0; i < item->node->options_count; i++)
            if (slice_ends(item->node->options[i].value.text, path))
                place = item->node->options[i].value.place;
        CONFIG_REPORT(builder->errors, CONFIG_FILE, place, full, slice_from_cstring(why));
    }
    arena_done(&arena);
}

static void check_options(struct builder *builder, const struct config_item *item,
                          const struct option *options)
{
    for (size_t i = 0; i < config_options_count(options); i++) {
        const struct option *option = &options[i];
        if (option->flags & OPTION_MANY)
            continue;
        const void *field = (const char *)item->config + option->offset;
        bool is_secret = option->type == OPTION_SECRET;
        if (option->type != OPTION_FILE && !is_secret)
            continue;
        struct slice path = *(const struct slice *)field;
        if (is_secret && !slice_starts(path, SLICE("file:")))
            continue;
        if (is_secret)
            path = slice_from(path, 5);
        if (path.size > 0)
            check_file(builder, item, path);
    }
}

static void check_block(struct builder *builder, const struct config_block *block)
{
    for (const struct config_item *item = block->first; item != NULL; item = item->next) {
        check_options(builder, item, item->key->arguments);
        check_options(builder, item, item->key->options);
        if (item->block != NULL)
            check_block(builder, item->block);
    }
}

void config_check_files(struct builder *builder)
{
    check_block(builder, &builder->config->top);
}
