/* SPDX-License-Identifier: Apache-2.0 */
/* A split and its shares. */
#include "control/config_build.h"

/* The position of an option among those of a key; −1: it has none of that name. */
static int option_index(const struct key *key, const char *name)
{
    for (size_t i = 0; i < config_options_count(key->options); i++)
        if (strcmp(key->options[i].name, name) == 0)
            return (int)i;
    return -1;
}

static bool has_written(const struct config_item *item, int option)
{
    return option >= 0 && (item->options_set & (UINT64_C(1) << option)) != 0;
}

static void check_shares(struct builder *builder, const struct config_item *split)
{
    int64_t total = 0;
    size_t lines = 0;
    for (const struct config_node *node = split->node->children; node != NULL; node = node->next)
        lines++;
    for (const struct config_item *item = split->block->first; item != NULL; item = item->next) {
        int option = option_index(item->key, "weight");
        total += option < 0 ? 1
                            : *(const int64_t *)(const void *)((const char *)item->config +
                                                               item->key->options[option].offset);
    }
    /* Without its block, or with lines that were refused, that has been said. */
    if (total > 0 || !split->node->has_block || lines != split->block->count)
        return;
    struct config_error *error =
        CONFIG_REPORT(builder->errors, CONFIG_SPLIT_EMPTY, split->node->place);
    config_error_note(builder->errors, error, "write lines in its block: proxy NAME weight=90");
}

void config_check_split(struct builder *builder, const struct config_block *block)
{
    for (const struct config_item *item = block->first; item != NULL; item = item->next) {
        if (item->block != NULL && item->key->inner == IN_SPLIT)
            check_shares(builder, item);
        bool is_answer = (item->key->flags & KEY_ANSWER) != 0;
        if (is_answer && has_written(item, option_index(item->key, "weight")))
            CONFIG_REPORT(builder->errors, CONFIG_WEIGHT_ALONE, item->node->place,
                          item->node->name);
    }
}
