/* SPDX-License-Identifier: Apache-2.0 */
#include "control/config_paste.h"

#include "control/config_text.h"

enum {
    NESTING_MAX = CONFIG_DEPTH_MAX, /* snippets that use snippets */
};

struct snippet {
    struct slice name;
    const struct config_node *node;
    struct snippet *next;
    bool is_open; /* being pasted: using it now is a loop */
};

struct paster {
    struct config_tree *tree;
    struct snippet *snippets;
};

static struct snippet *find(struct paster *paster, struct slice name)
{
    for (struct snippet *snippet = paster->snippets; snippet != NULL; snippet = snippet->next)
        if (slice_equal(snippet->name, name))
            return snippet;
    return NULL;
}

/* Whether a line has exactly one value, as "snippet NAME" and "use NAME" have. */
static bool has_name(struct paster *paster, struct config_node *node)
{
    if (node->is_bad || (node->values_count > 0 && node->values[0].is_bad))
        return false;
    if (node->values_count == 1 && node->options_count == 0)
        return true;
    CONFIG_REPORT(paster->tree->errors, CONFIG_ARGUMENT_MISSING, node->place, node->name,
                  SLICE("one name"));
    return false;
}

static void define(struct paster *paster, struct config_node *node)
{
    struct config_tree *tree = paster->tree;
    if (!has_name(paster, node))
        return;
    if (!node->has_block) {
        CONFIG_REPORT(tree->errors, CONFIG_BLOCK_MISSING, node->place, node->name);
        return;
    }
    struct slice name = node->values[0].text;
    const struct snippet *other = find(paster, name);
    if (other != NULL) {
        struct config_error *error =
            CONFIG_REPORT(tree->errors, CONFIG_SNIPPET_TWICE, node->values[0].place, name);
        config_error_note(tree->errors, error, "first defined at line %u", other->node->place.line);
        return;
    }
    struct snippet *snippet = arena_zero(tree->arena, sizeof(*snippet));
    *snippet = (struct snippet){.name = name, .node = node, .next = paster->snippets};
    paster->snippets = snippet;
}

static void paste_children(struct paster *paster, struct config_node *parent,
                           const struct config_node *from, size_t depth);

static struct snippet *wanted(struct paster *paster, struct config_node *node)
{
    struct config_tree *tree = paster->tree;
    if (!has_name(paster, node))
        return NULL;
    const struct config_word *word = &node->values[0];
    struct snippet *snippet = find(paster, word->text);
    if (snippet != NULL && snippet->is_open) {
        CONFIG_REPORT(tree->errors, CONFIG_SNIPPET_LOOP, word->place, word->text);
        return NULL;
    }
    if (snippet != NULL)
        return snippet;
    struct config_suggest suggest = config_suggest_start(word->text);
    for (const struct snippet *other = paster->snippets; other != NULL; other = other->next)
        config_suggest_try(&suggest, other->name);
    struct config_error *error =
        CONFIG_REPORT(tree->errors, CONFIG_SNIPPET_NONE, word->place, word->text);
    error->suggestion = suggest.best;
    if (suggest.best.size > 0)
        config_error_note(tree->errors, error, "did you mean \"%.*s\"?", SLICE_ARG(suggest.best));
    return NULL;
}

static void use(struct paster *paster, struct config_node *parent, struct config_node *node,
                size_t depth)
{
    struct snippet *snippet = wanted(paster, node);
    if (snippet == NULL)
        return;
    snippet->is_open = true;
    paste_children(paster, parent, snippet->node, depth);
    snippet->is_open = false;
}

/* Copies lines to the end of `parent`; words are shared. Every copy counts, so that snippets which
 * use snippets cannot multiply without end. */
static void paste_children(struct paster *paster, struct config_node *parent,
                           const struct config_node *from, size_t depth)
{
    struct config_tree *tree = paster->tree;
    if (depth > NESTING_MAX) {
        if (!tree->is_broken)
            CONFIG_REPORT(tree->errors, CONFIG_DEPTH, from->place);
        tree->is_broken = true;
        return;
    }
    for (const struct config_node *node = from->children; node != NULL && !tree->is_broken;
         node = node->next) {
        struct config_node *copy = arena_alloc(tree->arena, sizeof(*copy));
        *copy = *node;
        copy->children = copy->last_child = copy->next = NULL;
        if (++tree->statements > CONFIG_STATEMENTS_MAX) {
            CONFIG_REPORT(tree->errors, CONFIG_STATEMENTS, node->place);
            tree->is_broken = true;
        } else if (slice_equal(node->name, SLICE("use"))) {
            use(paster, parent, copy, depth + 1);
        } else {
            config_node_append(parent, copy);
            paste_children(paster, copy, node, depth + 1);
        }
    }
}

/* Lines without "use" in them stay as they are; the others get a new list of children. */
static void expand(struct paster *paster, struct config_node *parent, size_t depth)
{
    struct config_node *node = parent->children;
    parent->children = parent->last_child = NULL;
    while (node != NULL && !paster->tree->is_broken) {
        struct config_node *next = node->next;
        node->next = NULL;
        if (slice_equal(node->name, SLICE("use"))) {
            use(paster, parent, node, depth);
        } else if (slice_equal(node->name, SLICE("snippet"))) {
            if (depth > 0)
                CONFIG_REPORT(paster->tree->errors, CONFIG_SNIPPET_PLACE, node->place);
        } else {
            config_node_append(parent, node);
            expand(paster, node, depth + 1);
        }
        node = next;
    }
}

void config_paste(struct config_tree *tree)
{
    struct paster paster = {.tree = tree};
    for (struct config_node *node = tree->root->children; node != NULL; node = node->next)
        if (slice_equal(node->name, SLICE("snippet")))
            define(&paster, node);
    expand(&paster, tree->root, 0);
}
