/* SPDX-License-Identifier: Apache-2.0 */
/* JSON in, from whoever sent it: strict (RFC 8259), of bounded depth, no name twice in an object,
 * so that no two readers understand a text differently. */
#pragma once

#include "base/arena.h"
#include "base/slice.h"

enum {
    JSON_MEMBERS_MAX = 512, /* of one object */
};

enum json_kind {
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT,
};

struct json {
    enum json_kind kind;
    struct slice name;  /* of a member */
    struct slice text;  /* of a string, decoded; of a number, as it was written */
    struct json *first; /* of an array or object */
    struct json *next;  /* in the array or object that holds it */
};

/* Reads a whole text; values live in the arena and may point into the text. False: *why is a static
 * text. */
bool json_read(struct slice text, unsigned depth_max, struct arena *arena,
               const struct json **value, const char **why);

/* The member of that name; NULL: none, or no object. */
const struct json *json_member(const struct json *object, struct slice name);
/* Its text if it is a string; else empty. */
struct slice json_text(const struct json *value);
/* A number in whole units, the fraction cut off; false: none, or beyond ±2^53. */
bool json_whole(const struct json *value, int64_t *number);
