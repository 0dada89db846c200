/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration as JSON: the same tree, for machines.
 *
 * A block is an object. A key that may be repeated is an array of its lines; any other key is its
 * one line. A line with a single value is that value alone; a line with several, with options or
 * with a block is an object whose members are called as the key's arguments, options and inner
 * keys. Steps keep their order in an array "steps" of objects with one member each; the answer
 * stands beside it. What a file includes or pastes is written out. */
#pragma once

#include "control/config_schema.h"

/* Reads JSON into a tree; a mistake is reported and breaks the tree. */
void config_json_parse(struct config_tree *tree, const struct config_schema *schema,
                       struct slice name, struct slice text);
void config_json_read(struct config_tree *tree, const struct config_schema *schema,
                      struct slice path);
/* Writes a tree whose lines are all known to the schema; the buffer grows in an arena. */
void config_json_write(const struct config_schema *schema, const struct config_node *root,
                       struct buffer *out);
/* Writes a tree as text; the comments of the original are not in it. */
void config_text_write(const struct config_node *root, struct buffer *out);
/* Appends a word in the shortest spelling that reads as the same word. */
void config_word_write(const struct config_word *word, struct buffer *out);
