/* SPDX-License-Identifier: Apache-2.0 */
/* Turns lines into the structs that the option tables describe, and finds everything that the
 * tables do not allow. */
#pragma once

#include "base/option.h"
#include "control/config_text.h"

/* The keys that exist, and the placeholders. */
struct config_schema {
    const struct key *const *keys;
    size_t count;
    const char *(*placeholder)(size_t index); /* name without braces; NULL past the last */
};

struct config_block;

/* One decoded line. */
struct config_item {
    const struct key *key;
    const void *config;             /* key->config_size bytes; options not written have defaults */
    uint64_t options_set;           /* bit i: the i-th option of key->options was written */
    bool is_off;                    /* "NAME off": takes an outer one away; config has defaults */
    const struct config_node *node; /* place and spelling */
    const struct config_block *block; /* of a KEY_SECTION: what stands in it; else NULL */
    struct config_item *next;
};

/* The lines of one block, in their order. */
struct config_block {
    unsigned context; /* enum key_context */
    struct config_item *first, *last;
    size_t count;
};

/* A word that names a block elsewhere; checked when everything has been read. */
struct config_reference {
    const char *kind;
    const struct config_word *word;
    struct config_reference *next;
};

struct config_decoder {
    struct arena *arena;
    struct config_errors *errors;
    const struct config_schema *schema;
    struct config_reference *references;
};

/* Decodes the lines of a tree. */
void config_decode(struct config_decoder *decoder, const struct config_tree *tree,
                   struct config_block *top);

/* The key of that name in a context; NULL: none. */
const struct key *config_key_find(const struct config_schema *schema, unsigned context,
                                  struct slice name);
/* The first key of that name in any context, and all contexts it may stand in. */
const struct key *config_key_anywhere(const struct config_schema *schema, struct slice name,
                                      unsigned *contexts);
/* A struct with the defaults of a key; its size in the arena. */
void *config_key_defaults(const struct config_schema *schema, const struct key *key,
                          struct arena *arena);
/* Copies the options that were written on a line, and only those, over another struct of its
 * kind. */
void config_item_merge(const struct config_item *item, void *into);
/* The n-th item of a name in a block, from 0; NULL past the last. */
const struct config_item *config_block_find(const struct config_block *block, const char *name,
                                            size_t n);
size_t config_options_count(const struct option *options);
/* "top", "site" …, for a single bit. */
const char *config_context_name(unsigned context);

/* Decodes one word by its type into the field; false after an error was reported. `label` is how
 * messages call it. */
bool config_value_read(struct config_decoder *decoder, const struct option *option,
                       const char *label, const struct config_word *word, void *field);
/* The size of a type's field. */
size_t config_value_size(const struct option *option);
