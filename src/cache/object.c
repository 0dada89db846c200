/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/object.h"

#include "base/buffer.h"
#include "cache/tags.h"
#include "http/h1_write.h"

#include <stdlib.h>

static size_t text_size(const struct object_parts *parts)
{
    size_t size = parts->vary_names.size + parts->vary_values.size + parts->url.size;
    for (uint32_t i = 0; i < parts->fields->count; i++)
        size += parts->fields->items[i].name.size + parts->fields->items[i].value.size + 4;
    return size;
}

static struct slice keep(char **at, struct slice text)
{
    struct slice copy = slice_of(*at, text.size);
    if (text.size > 0)
        memcpy(*at, text.data, text.size);
    *at += text.size;
    return copy;
}

struct slice object_tag_list(const struct fields *fields, struct arena *arena)
{
    struct slice keys = fields_joined(fields, SLICE("Surrogate-Key"), arena);
    struct slice more = fields_joined(fields, SLICE("Cache-Tag"), arena);
    if (keys.size == 0 || more.size == 0)
        return keys.size == 0 ? more : keys;
    return arena_format(arena, "%.*s,%.*s", SLICE_ARG(keys), SLICE_ARG(more));
}

struct object *object_new(const struct object_parts *parts, struct content *content)
{
    uint32_t count = parts->fields->count;
    size_t size = sizeof(struct object) + count * sizeof(struct field) + text_size(parts);
    struct object *object = memory_zero(size); /* fields are compared with what lies between */
    struct field *fields = (struct field *)(void *)(object + 1);
    char *at = (char *)(fields + count);
    *object = (struct object){
        .references = 1,
        .status = parts->status,
        .terms = parts->terms,
        .fields = fields,
        .fields_count = count,
        .present = parts->fields->present[0],
        .content = content_hold(content),
        .slices = parts->slices,
        .born_wall = parts->wall,
        .bytes = size,
    };
    for (uint32_t i = 0; i < count; i++) {
        const struct field *from = &parts->fields->items[i];
        struct slice known = field_name_of((enum field_id)from->id);
        fields[i].id = from->id;
        fields[i].name = keep(&at, from->id == FIELD_OTHER ? from->name : known);
        (void)keep(&at, SLICE(": "));
        fields[i].value = keep(&at, from->value);
        (void)keep(&at, SLICE("\r\n"));
    }
    if (h1_are_lasting(parts->fields))
        object->head =
            slice_of((const char *)(fields + count), (size_t)(at - (const char *)(fields + count)));
    object->vary_names = keep(&at, parts->vary_names);
    object->vary_values = keep(&at, parts->vary_values);
    object->url = keep(&at, parts->url);
    struct fields list = {.items = fields, .count = count, .present = {object->present}};
    object->validators = validators_of(&list);
    struct arena arena;
    arena_init(&arena, NULL, 0);
    object->tags = tags_new(parts->url, object_tag_list(&list, &arena));
    arena_done(&arena);
    object->bytes += tags_bytes(object->tags);
    return object;
}

struct object *object_hold(struct object *object)
{
    __atomic_add_fetch(&object->references, 1, __ATOMIC_RELAXED);
    return object;
}

void object_release(struct object *object)
{
    if (__atomic_sub_fetch(&object->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    content_release(object->content);
    free(object->tags);
    free(object);
}

void object_fields(const struct object *object, struct arena *arena, uint32_t extra,
                   struct fields *fields)
{
    uint32_t capacity = object->fields_count + extra;
    struct field *items = arena_alloc(arena, capacity * sizeof *items);
    if (object->fields_count > 0)
        memcpy(items, object->fields, object->fields_count * sizeof *items);
    fields_init(fields, arena, items, capacity);
    fields->count = object->fields_count;
    fields->present[0] = object->present;
}

uint64_t object_bytes(const struct object *object)
{
    return object->bytes + object->content->bytes;
}

struct cache_terms object_terms(const struct object *object)
{
    struct cache_terms terms = object->terms;
    terms.is_purged = terms.is_purged || __atomic_load_n(&object->is_purged, __ATOMIC_RELAXED);
    return terms;
}
