/* SPDX-License-Identifier: Apache-2.0 */
/* JSON values with their places: between the parser of JSON and the tree of lines. */
#pragma once

#include "control/config_text.h"

enum json_kind {
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT,
};

struct json_value {
    enum json_kind kind;
    struct slice text; /* of scalars: decoded, or as spelt */
    struct config_place place;
    struct slice name; /* of a member of an object */
    struct config_place name_place;
    struct json_value *children; /* elements or members */
    struct json_value *next;
};

/* Parses a whole file; a mistake is reported, breaks the tree, and gives false. */
bool json_value_parse(struct config_tree *tree, const struct config_file *file,
                      struct json_value *value);
