/* SPDX-License-Identifier: Apache-2.0 */
/* Where old paths are now: a text of a hundred thousand lines, looked up in one step for the whole
 * path and one for each of its segments. */
#pragma once

#include "base/arena.h"
#include "fiber/held.h"

struct redirect_map;

struct redirect_target {
    struct slice to;   /* of the map; with $1 in the place of `rest` */
    struct slice rest; /* of the path, behind a prefix; empty */
    int status;        /* 0: the line does not say */
    bool has_query;    /* it was found by the query too */
};

/* Lines "FROM TO [STATUS]": FROM is /exact, /exact?query or /prefix/ with a star; TO a path or URL.
 * Empty lines and those that start with # say nothing. NULL: `why` names the line. */
struct redirect_map *redirect_map_read(struct slice text, char why[HELD_WHY_MAX]);
void redirect_map_free(struct redirect_map *map);
size_t redirect_map_size(const struct redirect_map *map);
/* The exact line with the query, the exact one, the longest prefix; false: none. `path` is
 * canonical. */
bool redirect_map_find(const struct redirect_map *map, struct slice path, struct slice query,
                       struct redirect_target *target);
