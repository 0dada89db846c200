/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/table.h"

#include "base/check.h"
#include "cli/admin_client.h"

#include <stdio.h>

enum {
    COLUMNS_MAX = 16,
    ROWS_FIRST = 16,
};

struct slice *table_row(struct table *table)
{
    if (table->rows == table->room) {
        size_t room = table->room * 2;
        struct slice *cells = arena_zero(table->arena, room * table->columns * sizeof *cells);
        memcpy(cells, table->cells, table->rows * table->columns * sizeof *cells);
        table->cells = cells;
        table->room = room;
    }
    return &table->cells[table->rows++ * table->columns];
}

void table_begin(struct table *table, struct arena *arena, const char *const *head, size_t columns)
{
    check(columns <= COLUMNS_MAX);
    *table = (struct table){.arena = arena, .columns = columns, .room = ROWS_FIRST};
    table->cells = arena_zero(arena, ROWS_FIRST * columns * sizeof *table->cells);
    struct slice *row = table_row(table);
    for (size_t i = 0; i < columns; i++)
        row[i] = slice_from_cstring(head[i]);
}

void table_each(struct table *table, const struct json_value *list,
                void (*fill)(struct arena *arena, const struct json_value *element,
                             struct slice *row))
{
    for (const struct json_value *element = list == NULL ? NULL : list->children; element != NULL;
         element = element->next)
        fill(table->arena, element, table_row(table));
}

void table_print(const struct table *table)
{
    size_t widths[COLUMNS_MAX] = {0};
    for (size_t i = 0; i < table->rows * table->columns; i++) {
        struct slice *cell = &table->cells[i];
        *cell = cell->size == 0 ? SLICE("-") : admin_printable(table->arena, *cell);
        if (cell->size > widths[i % table->columns])
            widths[i % table->columns] = cell->size;
    }
    for (size_t row = 0; row < table->rows; row++) {
        for (size_t column = 0; column < table->columns; column++) {
            struct slice cell = table->cells[row * table->columns + column];
            bool is_last = column + 1 == table->columns;
            printf("%.*s%*s", SLICE_ARG(cell), is_last ? 0 : (int)(widths[column] - cell.size) + 2,
                   "");
        }
        putchar('\n');
    }
}
