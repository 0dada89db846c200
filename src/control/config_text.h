/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the text of a configuration, with what it includes and pastes, into a tree of lines. */
#pragma once

#include "base/option.h"
#include "base/status.h"
#include "control/config_lex.h"

/* How the outside is asked; the defaults ask the system. */
struct config_source {
    config_environment *environment;
    /* A file's text; as file_read(). */
    enum status (*read)(const char *path, size_t size_max, struct arena *arena, struct slice *text,
                        const char **why);
    /* The files a pattern matches, sorted bytewise. */
    void (*match)(const char *pattern, struct arena *arena, struct slice_list *paths);
};
extern const struct config_source CONFIG_SYSTEM;

struct config_tree {
    struct arena *arena;
    struct config_errors *errors;
    const struct config_source *source;
    struct config_node *root; /* its children are the lines of the top level */
    const struct config_file *file;
    size_t statements;
    bool is_broken; /* brackets or quotes do not match: what stands where cannot be told */
};

/* Makes an empty tree; all memory comes from the arena. */
struct config_tree *config_tree_new(struct arena *arena, struct config_errors *errors,
                                    const struct config_source *source);
/* Reads the named file; "-" is standard input. Mistakes are reported. */
void config_tree_read(struct config_tree *tree, struct slice path);
/* The same from text that is already there. */
void config_tree_parse(struct config_tree *tree, struct slice name, struct slice text);
/* Loads the text of `file` by its path; false after a report at `place`. */
bool config_file_load(struct config_tree *tree, struct config_file *file,
                      struct config_place place);
