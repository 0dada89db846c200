/* SPDX-License-Identifier: Apache-2.0 */
/* What the tables tell: JSON Schema, help, reference pages, lists of keys. */
#pragma once

#include "base/buffer.h"
#include "control/config_schema.h"

/* JSON Schema (draft 2020-12) of the JSON form. */
void config_docs_schema(const struct config_schema *schema, struct buffer *out);
/* All about the keys and options of a name, or the error of a code; false: there is none. */
bool config_docs_help(const struct config_schema *schema, struct slice name, struct buffer *out);
/* One line per key: where it stands, its name, its first sentence. */
void config_docs_list(const struct config_schema *schema, struct buffer *out);
/* The pages docs/reference/NAME, from 0; false past the last. */
bool config_docs_page(const struct config_schema *schema, size_t index, const char **name,
                      struct buffer *out);
/* How the values of a type are written, in words: "duration such as 30s". */
const char *config_docs_type(const struct option *option);
