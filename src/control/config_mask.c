/* SPDX-License-Identifier: Apache-2.0 */
#include "control/config_mask.h"

static bool is_reference(struct slice text)
{
    return slice_starts(text, SLICE("file:")) || slice_starts(text, SLICE("env:")) ||
           slice_starts(text, SLICE("credential:"));
}

/* What is done to each value whose option is known. */
struct change {
    void (*one)(const struct change *change, const struct key *key, const struct option *option,
                struct config_word *word);
    const struct config_schema *schema;
    struct arena *arena;
    struct slice directory; /* of the first file */
};

static void hide(const struct change *change, const struct key *key, const struct option *option,
                 struct config_word *word)
{
    (void)change, (void)key;
    if (option->type == OPTION_SECRET && !is_reference(word->text))
        word->text = word->template = SLICE("***");
}

static struct slice directory_of(struct slice path)
{
    while (path.size > 0 && path.data[path.size - 1] != '/')
        path.size--;
    return path;
}

/* A relative path of a file that is included from elsewhere. Logs are where weir was started. */
static void settle(const struct change *change, const struct key *key, const struct option *option,
                   struct config_word *word)
{
    static const struct slice PREFIX = {"file:", 5};
    struct slice directory =
        word->place.file == NULL ? change->directory : directory_of(word->place.file->path);
    bool is_path = option->type == OPTION_FILE || option->type == OPTION_DIR;
    bool is_page = option->type == OPTION_STRING && strcmp(key->name, "error_page") == 0;
    bool is_prefixed =
        slice_starts(word->text, PREFIX) && (option->type == OPTION_SECRET || is_page);
    struct slice path = is_prefixed ? slice_from(word->text, PREFIX.size) : word->text;
    bool is_ours = (is_path || is_prefixed) && path.size > 0 && path.data[0] != '/';
    if (!is_ours || slice_equal(directory, change->directory))
        return;
    word->text = word->template =
        arena_format(change->arena, "%s%.*s%.*s", is_prefixed ? "file:" : "", SLICE_ARG(directory),
                     SLICE_ARG(path));
}

static void apply(const struct change *change, const struct key *key, const struct option *option,
                  struct config_word *word)
{
    if (option != NULL)
        change->one(change, key, option, word);
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

static void copy_children(struct config_node *node, const struct key *key, unsigned context,
                          const struct change *change);

/* The option that the value at that place belongs to: the last one takes many. */
static const struct option *argument_of(const struct key *key, size_t index)
{
    size_t count = config_options_count(key->arguments);
    if (index < count)
        return &key->arguments[index];
    bool is_many = count > 0 && (key->arguments[count - 1].flags & OPTION_MANY);
    return is_many ? &key->arguments[count - 1] : NULL;
}

static struct config_node *copy_node(const struct config_node *node, const struct key *parent,
                                     unsigned context, const struct change *change)
{
    struct arena *arena = change->arena;
    struct config_node *copy = arena_alloc(arena, sizeof *copy);
    *copy = *node;
    copy->next = copy->last_child = NULL;
    const struct key *key = config_key_find(change->schema, context, node->name);
    struct config_word *values = copy_values(node, arena);
    struct config_option *options = arena_alloc(arena, (node->options_count + 1) * sizeof *options);
    copy->values = values;
    copy->options = options;
    for (size_t i = 0; i < node->options_count; i++) {
        options[i] = node->options[i];
        if (key != NULL)
            apply(change, key, option_of(key->options, options[i].name.text), &options[i].value);
    }
    for (size_t i = 0; i < node->values_count && key != NULL; i++)
        apply(change, key, argument_of(key, i), &values[i]);
    /* An option that is written as an inner line. */
    if (key == NULL && parent != NULL && node->values_count > 0)
        apply(change, parent, option_of(parent->options, node->name), &values[0]);
    unsigned inner = key != NULL && (key->flags & KEY_SECTION) ? key->inner : 0;
    copy_children(copy, key, inner, change);
    return copy;
}

static void copy_children(struct config_node *node, const struct key *key, unsigned context,
                          const struct change *change)
{
    const struct config_node *child = node->children;
    node->children = NULL;
    for (; child != NULL; child = child->next)
        config_node_append(node, copy_node(child, key, context, change));
}

static const struct config_node *copy_root(const struct config_node *root,
                                           const struct change *change)
{
    struct config_node *copy = arena_alloc(change->arena, sizeof *copy);
    *copy = *root;
    copy_children(copy, NULL, IN_TOP, change);
    return copy;
}

const struct config_node *config_mask(const struct config_node *root,
                                      const struct config_schema *schema, struct arena *arena)
{
    struct change change = {.one = hide, .schema = schema, .arena = arena};
    return copy_root(root, &change);
}

const struct config_node *config_settle(const struct config *config,
                                        const struct config_schema *schema, struct arena *arena)
{
    struct change change = {
        .one = settle,
        .schema = schema,
        .arena = arena,
        .directory = directory_of(config->file->path),
    };
    return copy_root(config->root, &change);
}
