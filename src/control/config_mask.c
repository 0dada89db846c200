/* SPDX-License-Identifier: Apache-2.0 */
#include "control/config_mask.h"

static bool is_reference(struct slice text)
{
    return slice_starts(text, SLICE("file:")) || slice_starts(text, SLICE("env:")) ||
           slice_starts(text, SLICE("credential:"));
}

static void hide(const struct option *option, struct config_word *word)
{
    if (option != NULL && option->type == OPTION_SECRET && !is_reference(word->text))
        word->text = word->template = SLICE("***");
}

static const struct option *option_of(const struct option *options, struct slice name)
{
    for (size_t i = 0; i < config_options_count(options); i++)
        if (slice_equal(slice_from_cstring(options[i].name), name))
            return &options[i];
    return NULL;
}

static struct config_word *copy_values(const struct config_node *node, struct arena *arena)
{
    struct config_word *values = arena_alloc(arena, (node->values_count + 1) * sizeof *values);
    for (size_t i = 0; i < node->values_count; i++)
        values[i] = node->values[i];
    return values;
}

static void mask_children(struct config_node *node, const struct key *key, unsigned context,
                          const struct config_schema *schema, struct arena *arena);

static struct config_node *mask(const struct config_node *node, const struct key *parent,
                                unsigned context, const struct config_schema *schema,
                                struct arena *arena)
{
    struct config_node *copy = arena_alloc(arena, sizeof *copy);
    *copy = *node;
    copy->next = copy->last_child = NULL;
    const struct key *key = config_key_find(schema, context, node->name);
    struct config_word *values = copy_values(node, arena);
    struct config_option *options = arena_alloc(arena, (node->options_count + 1) * sizeof *options);
    copy->values = values;
    copy->options = options;
    for (size_t i = 0; i < node->options_count; i++) {
        options[i] = node->options[i];
        if (key != NULL)
            hide(option_of(key->options, options[i].name.text), &options[i].value);
    }
    size_t count = key == NULL ? 0 : config_options_count(key->arguments);
    for (size_t i = 0; i < node->values_count && i < count; i++)
        hide(&key->arguments[i], &values[i]);
    /* An option that is written as an inner line. */
    if (key == NULL && parent != NULL && node->values_count > 0)
        hide(option_of(parent->options, node->name), &values[0]);
    unsigned inner = key != NULL && (key->flags & KEY_SECTION) ? key->inner : 0;
    mask_children(copy, key, inner, schema, arena);
    return copy;
}

static void mask_children(struct config_node *node, const struct key *key, unsigned context,
                          const struct config_schema *schema, struct arena *arena)
{
    const struct config_node *child = node->children;
    node->children = NULL;
    for (; child != NULL; child = child->next)
        config_node_append(node, mask(child, key, context, schema, arena));
}

const struct config_node *config_mask(const struct config_node *root,
                                      const struct config_schema *schema, struct arena *arena)
{
    struct config_node *copy = arena_alloc(arena, sizeof *copy);
    *copy = *root;
    mask_children(copy, NULL, IN_TOP, schema, arena);
    return copy;
}
