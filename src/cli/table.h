/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of the admin API as tables: rows of cells, in columns as wide as they have to be. */
#pragma once

#include "base/arena.h"
#include "control/config_json_value.h"

struct table {
    struct arena *arena;
    size_t columns;
    size_t rows; /* with the head */
    size_t room;
    struct slice *cells;
};

/* Cells live in the arena. */
void table_begin(struct table *table, struct arena *arena, const char *const *head, size_t columns);
/* One row more, of empty cells; until the next one. */
struct slice *table_row(struct table *table);
/* A row for each element of a list (NULL: it has none), as `fill` fills it in. */
void table_each(struct table *table, const struct json_value *list,
                void (*fill)(struct arena *arena, const struct json_value *element,
                             struct slice *row));
/* To stdout; "-" stands in empty cells. Bytes that a terminal would obey are not shown: clients and
 * files say what stands in many a cell. */
void table_print(const struct table *table);
