/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration as it was written: an immutable tree of lines, each knowing its place. */
#pragma once

#include "base/arena.h"
#include "base/slice.h"

enum {
    CONFIG_FILE_MAX = 16 * 1024 * 1024, /* bytes of one file */
    CONFIG_DEPTH_MAX = 64,              /* blocks in blocks */
    CONFIG_STATEMENTS_MAX = 1000000,    /* lines of one configuration, pasted ones counted */
    CONFIG_WORD_MAX = 64 * 1024,        /* bytes of one word, also after the environment */
    CONFIG_INCLUDE_MAX = 16,            /* files in files */
};

struct config_file {
    struct slice name; /* as messages show it */
    struct slice path; /* as it is opened; what it includes is relative to its directory */
    struct slice text;
    const struct config_file *parent; /* that included it; NULL: the first file */
    uint32_t parent_line;
    uint32_t depth;
};

/* Where something is written. Columns and widths count bytes and are turned into characters when
 * they are shown. */
struct config_place {
    const struct config_file *file; /* NULL: nowhere, such as a default */
    uint32_t line;                  /* from 1 */
    uint32_t column;                /* from 1 */
    uint32_t width;
};

struct config_word {
    struct slice text; /* without quotes, with the environment filled in */
    /* The same for values with {placeholders}: braces that came from '…' or from the environment
     * are doubled here, so that they stay text. */
    struct slice template;
    struct config_place place; /* of its spelling in the file, quotes included */
    bool is_quoted;            /* some part stood in quotes: it is no number or word by accident */
    bool is_bad;               /* an error was reported for it already; it has no value */
};

struct config_option {
    struct config_word name;
    struct config_word value;
};

struct config_node {
    struct slice name;
    struct config_place place; /* of the name */
    const struct config_word *values;
    size_t values_count;
    const struct config_option *options; /* as written */
    size_t options_count;
    struct config_node *children; /* the first; then along `next` */
    struct config_node *last_child;
    struct config_node *next;
    bool has_block;
    bool is_bad; /* an error was reported for it already; not to be looked at further */
};

/* Adds a child at the end. */
static inline void config_node_append(struct config_node *parent, struct config_node *child)
{
    *(parent->children == NULL ? &parent->children : &parent->last_child->next) = child;
    parent->last_child = child;
}
