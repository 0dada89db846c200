/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/meta.h"

#include "base/buffer.h"
#include "http/cache_vary.h"

enum {
    VERSION = 2,
    FIELDS_MAX = 512,
};

/* What has one size. Ages are as of the moment of writing, so that no clock is needed to read them
 * but the wall's. */
struct meta_head {
    uint32_t version;
    uint32_t status;
    int64_t wall; /* when it was written */
    int64_t born; /* when it was received, likewise */
    int64_t age;  /* at that moment */
    int64_t lifetime, stale, stale_if_error;
    uint32_t flags;
    uint32_t fields_count;
    uint32_t url_size;
    uint32_t zero;
    struct object_slices slices;
};

enum {
    NO_CACHE = 1,
    MUST_REVALIDATE = 2,
    IMMUTABLE = 4,
    HEURISTIC = 8,
    PURGED = 16,
};

static void put(struct buffer *out, struct slice text)
{
    uint32_t size = (uint32_t)text.size;
    buffer_append(out, slice_of((const char *)&size, sizeof size));
    buffer_append(out, text);
}

static bool take(struct slice *rest, struct slice *text)
{
    uint32_t size;
    if (rest->size < sizeof size)
        return false;
    memcpy(&size, rest->data, sizeof size);
    *rest = slice_from(*rest, sizeof size);
    if (size > rest->size)
        return false;
    *text = slice_first(*rest, size);
    *rest = slice_from(*rest, size);
    return true;
}

static uint32_t flags_of(const struct cache_terms *terms)
{
    return (terms->no_cache ? NO_CACHE : 0U) | (terms->must_revalidate ? MUST_REVALIDATE : 0U) |
           (terms->is_immutable ? IMMUTABLE : 0U) | (terms->is_heuristic ? HEURISTIC : 0U) |
           (terms->is_purged ? PURGED : 0U);
}

void meta_write(const struct object *object, int64_t now, int64_t wall, struct arena *arena,
                struct slice *variant, struct slice *meta)
{
    struct cache_terms terms = object_terms(object);
    struct meta_head head = {
        .version = VERSION,
        .status = (uint32_t)object->status,
        .wall = wall,
        .born = object->born_wall,
        .age = cache_age(&terms, now),
        .lifetime = terms.lifetime,
        .stale = terms.stale,
        .stale_if_error = terms.stale_if_error,
        .flags = flags_of(&terms),
        .fields_count = object->fields_count,
        .url_size = (uint32_t)object->url.size,
        .slices = object->slices,
    };
    struct buffer out = buffer_in(arena, 1024);
    buffer_append(&out, slice_of((const char *)&head, sizeof head));
    buffer_append(&out, object->url);
    for (uint32_t i = 0; i < object->fields_count; i++) {
        put(&out, object->fields[i].name);
        put(&out, object->fields[i].value);
    }
    *meta = buffer_slice(&out);
    struct buffer told = buffer_in(arena, 64);
    if (object->vary_names.size > 0) {
        put(&told, object->vary_names);
        buffer_append(&told, object->vary_values);
    }
    *variant = buffer_slice(&told);
}

/* Names of fields, each behind its size: what cache_vary_values() is to walk over. */
static bool are_names(struct slice names)
{
    while (names.size > 0) {
        size_t size = (unsigned char)names.data[0];
        if (size == 0 || size >= names.size)
            return false;
        names = slice_from(names, 1 + size);
    }
    return true;
}

static bool split_variant(struct slice variant, struct slice *names, struct slice *values)
{
    *names = *values = SLICE("");
    if (variant.size == 0)
        return true;
    if (!take(&variant, names) || names->size == 0 || !are_names(*names))
        return false;
    *values = variant;
    return true;
}

bool meta_matches(struct slice variant, const struct fields *request, struct arena *arena)
{
    struct slice names;
    struct slice values;
    if (!split_variant(variant, &names, &values))
        return false;
    struct buffer own = buffer_in(arena, values.size + 64);
    cache_vary_values(names, request, &own);
    return slice_equal(buffer_slice(&own), values);
}

static bool read_fields(struct slice rest, uint32_t count, struct fields *fields)
{
    for (uint32_t i = 0; i < count; i++) {
        struct slice name;
        struct slice value;
        if (!take(&rest, &name) || !take(&rest, &value) || !fields_add_named(fields, name, value))
            return false;
    }
    return rest.size == 0;
}

static bool is_sound(const struct meta_head *head, size_t size)
{
    return head->version == VERSION && head->status >= 200 && head->status < 600 &&
           head->wall >= 0 && head->wall < INT64_MAX / 2 && head->age >= 0 && head->lifetime >= 0 &&
           head->stale >= 0 && head->stale_if_error >= 0 && head->age < INT64_MAX / 4 &&
           head->lifetime < INT64_MAX / 4 && head->stale < INT64_MAX / 4 &&
           head->stale_if_error < INT64_MAX / 4 && head->fields_count <= FIELDS_MAX &&
           head->url_size <= size && head->slices.size <= head->slices.total &&
           head->slices.total < INT64_MAX / 2;
}

struct object *meta_read(struct slice variant, struct slice meta, struct content *content,
                         int64_t now, int64_t wall)
{
    struct meta_head head;
    struct object_parts parts = {0};
    if (meta.size < sizeof head || !split_variant(variant, &parts.vary_names, &parts.vary_values))
        return NULL;
    memcpy(&head, meta.data, sizeof head);
    meta = slice_from(meta, sizeof head);
    if (!is_sound(&head, meta.size))
        return NULL;
    struct arena arena;
    struct fields fields;
    struct object *object = NULL;
    arena_init(&arena, NULL, 0);
    fields_init(&fields, &arena, NULL, 0);
    int64_t lain = wall > head.wall ? wall - head.wall : 0;
    parts.status = (int)head.status;
    parts.fields = &fields;
    parts.url = slice_first(meta, head.url_size);
    parts.wall = head.born;
    parts.slices = head.slices;
    parts.terms = (struct cache_terms){
        .received = now,
        .age = head.age + (lain < INT64_MAX / 4 ? lain : INT64_MAX / 4),
        .lifetime = head.lifetime,
        .stale = head.stale,
        .stale_if_error = head.stale_if_error,
        .no_cache = (head.flags & NO_CACHE) != 0,
        .must_revalidate = (head.flags & MUST_REVALIDATE) != 0,
        .is_immutable = (head.flags & IMMUTABLE) != 0,
        .is_heuristic = (head.flags & HEURISTIC) != 0,
        .is_purged = (head.flags & PURGED) != 0,
    };
    if (read_fields(slice_from(meta, head.url_size), head.fields_count, &fields))
        object = object_new(&parts, content);
    arena_done(&arena);
    return object;
}
