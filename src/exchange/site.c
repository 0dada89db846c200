/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"
#include "exchange/route.h"

#include <stdlib.h>

/* Eight bytes at a time: the names are the operator's own, nobody else can make them collide. */
static size_t hash_of(struct slice host)
{
    uint64_t hash = host.size;
    for (size_t i = 0; i < host.size; i += sizeof hash) {
        uint64_t piece = 0;
        size_t left = host.size - i;
        memcpy(&piece, host.data + i, left < sizeof piece ? left : sizeof piece);
        hash = (hash ^ piece) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 32;
    }
    return (size_t)hash;
}

static int by_size(const void *left, const void *right)
{
    const struct site_name *a = left;
    const struct site_name *b = right;
    return a->host.size < b->host.size ? 1 : a->host.size > b->host.size ? -1 : 0;
}

static void add_exact(struct site_name *table, size_t size, const struct site_name *name)
{
    size_t at = hash_of(name->host) & (size - 1);
    while (table[at].site != NULL)
        at = (at + 1) & (size - 1);
    table[at] = *name;
}

void site_table_build(struct site_table *table, const struct site_name *names, size_t count,
                      struct arena *arena)
{
    size_t size = 4;
    while (size < count * 2)
        size *= 2;
    struct site_name *exact = arena_zero(arena, size * sizeof *exact);
    struct site_name *wildcards = arena_alloc(arena, (count + 1) * sizeof *wildcards);
    *table = (struct site_table){.exact = exact, .exact_size = size, .wildcards = wildcards};
    for (size_t i = 0; i < count; i++) {
        if (slice_equal(names[i].host, SLICE("*")))
            table->any = names[i].site;
        else if (names[i].host.size > 0 && names[i].host.data[0] == '.')
            wildcards[table->wildcards_count++] = names[i];
        else
            add_exact(exact, size, &names[i]);
    }
    qsort(wildcards, table->wildcards_count, sizeof *wildcards, by_size);
    for (size_t i = 0; i < count; i++)
        table->names_vary =
            table->names_vary || names[i].site->field_names != names[0].site->field_names;
}

struct site *site_choose(const struct site_table *table, struct slice host)
{
    check_slow(table->exact_size > 0);
    for (size_t at = hash_of(host) & (table->exact_size - 1); table->exact[at].site != NULL;
         at = (at + 1) & (table->exact_size - 1))
        if (slice_equal(table->exact[at].host, host))
            return table->exact[at].site;
    /* ".example.com" takes one label and more before it, as the Gateway API does. */
    for (size_t i = 0; i < table->wildcards_count; i++)
        if (host.size > table->wildcards[i].host.size && slice_ends(host, table->wildcards[i].host))
            return table->wildcards[i].site;
    return table->any;
}
