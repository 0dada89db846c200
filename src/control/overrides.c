/* SPDX-License-Identifier: Apache-2.0 */
#include "control/overrides.h"

#include "base/check.h"

#include <stdlib.h>

void overrides_init(struct overrides *overrides)
{
    *overrides = (struct overrides){0};
    arena_init(&overrides->arena, NULL, 0);
}

void overrides_done(struct overrides *overrides)
{
    arena_done(&overrides->arena);
    free(overrides->items);
    *overrides = (struct overrides){0};
}

static struct override copy_texts(struct arena *arena, const struct override *entry)
{
    struct override copy = *entry;
    copy.upstream = arena_copy(arena, entry->upstream);
    copy.server = arena_copy(arena, entry->server);
    copy.line = arena_copy(arena, entry->line);
    copy.was = arena_copy(arena, entry->was);
    copy.by = arena_copy(arena, entry->by);
    return copy;
}

static struct override *append(struct overrides *overrides)
{
    if (overrides->count == overrides->capacity) {
        overrides->capacity = overrides->capacity == 0 ? 8 : 2 * overrides->capacity;
        overrides->items =
            memory_resize(overrides->items, overrides->capacity * sizeof *overrides->items);
    }
    return &overrides->items[overrides->count++];
}

void overrides_copy(struct overrides *to, const struct overrides *from)
{
    overrides_init(to);
    to->last_id = from->last_id;
    for (size_t i = 0; i < from->count; i++)
        *append(to) = copy_texts(&to->arena, &from->items[i]);
}

struct override *overrides_find(const struct overrides *overrides, struct slice upstream,
                                struct slice server)
{
    for (size_t i = 0; i < overrides->count; i++)
        if (slice_equal(overrides->items[i].upstream, upstream) &&
            slice_equal(overrides->items[i].server, server))
            return &overrides->items[i];
    return NULL;
}

struct override *overrides_find_id(const struct overrides *overrides, uint64_t id)
{
    for (size_t i = 0; i < overrides->count; i++)
        if (overrides->items[i].id == id)
            return &overrides->items[i];
    return NULL;
}

enum status overrides_put(struct overrides *overrides, const struct override *entry)
{
    check(entry->upstream.size > 0 && entry->server.size > 0);
    struct override *place = overrides_find(overrides, entry->upstream, entry->server);
    if (place == NULL && overrides->count == OVERRIDES_MAX)
        return ERR_LIMIT;
    uint64_t id = place != NULL ? place->id : entry->id != 0 ? entry->id : overrides->last_id + 1;
    struct override copy = copy_texts(&overrides->arena, entry);
    copy.id = id;
    if (place == NULL)
        place = append(overrides);
    *place = copy;
    if (id > overrides->last_id)
        overrides->last_id = id;
    return OK;
}

void overrides_remove(struct overrides *overrides, struct override *entry)
{
    size_t index = (size_t)(entry - overrides->items);
    check(index < overrides->count);
    overrides->count--;
    memmove(entry, entry + 1, (overrides->count - index) * sizeof *entry);
}
