/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a body that is stored in slices: each is found, followed or fetched when its first byte
 * is wanted. What they belong to is the object at the request's own key: all that is said of
 * freshness, variants, purges and conditions is said of that alone. Slices are known by an id that
 * it was given when it was made; so those of another version are never found. */
#include "base/buffer.h"
#include "base/clock.h"
#include "base/list.h"
#include "fiber/thread.h"
#include "http/ranges.h"
#include "steps/cache_inside.h"

enum {
    KEY_SIZE = 64,
    ROUNDS_MAX = 4, /* looks at the store for one slice */
};

struct cache_slices {
    struct range_source source;
    struct cache_visit *visit;
    struct cache_visit part; /* of the slice that is read */
    struct content_cursor cursor;
    uint64_t index;
    bool is_open;
    char key[KEY_SIZE];
};

uint64_t cache_slices_size(const struct cache_visit *visit)
{
    int64_t size = visit->config->slice;
    bool is_wanted = size > 0 && !visit->is_whole && visit->request.method != METHOD_QUERY &&
                     size <= cache_max_object(visit->config->cache);
    return is_wanted ? (uint64_t)size : 0;
}

uint64_t cache_slices_first(const struct cache_visit *visit)
{
    const struct field *field = fields_find(visit->request.fields, FIELD_RANGE);
    struct range range;
    if (field == NULL || visit->request.method != METHOD_GET ||
        !ranges_parse_single(field->value, &range) || range.first > INT64_MAX / 2)
        return 0;
    return range.first / (uint64_t)visit->config->slice;
}

void cache_slices_key(struct buffer *out, uint64_t id, uint64_t slice)
{
    cache_write_key(out, SLICE("slice"), slice_of((const char *)&id, sizeof id), 0,
                    slice_of((const char *)&slice, sizeof slice), SLICE(""));
}

static void close_slice(struct cache_slices *slices)
{
    struct cache_visit *part = &slices->part;
    if (slices->is_open)
        content_close(&slices->cursor);
    slices->is_open = false;
    cache_leave_fill(part);
}

void cache_slices_close(struct cache_visit *visit)
{
    if (visit->slices != NULL)
        close_slice(visit->slices);
}

/* Has it fetched, or joins who does. */
static enum status fetch_slice(struct cache_slices *slices, bool *is_first)
{
    struct cache_visit *part = &slices->part;
    struct store *store = part->config->cache->store;
    struct arena *arena = &part->x->arena;
    part->fill = store_fill(store, &part->key, part->request.fields, arena, is_first);
    if (part->fill == NULL)
        return ERR_LIMIT;
    __atomic_add_fetch(&part->fill->followers, 1, __ATOMIC_ACQ_REL);
    struct object *root = slices->visit->object;
    const struct cache_asked asked = {.slice_size = root->slices.size,
                                      .slice = slices->index,
                                      .root = root,
                                      .root_key = slices->visit->key.text};
    if (!*is_first || cache_fetch_start(part, part->fill, &asked))
        return OK;
    store_fill_end(store, part->fill);
    part->fill->status = ERR_CANCELLED;
    fill_tell(part->fill, FILL_FAILED);
    return ERR_LIMIT;
}

/* ERR_CLOSED: look again. */
static enum status follow_slice(struct cache_slices *slices, int64_t deadline)
{
    struct cache_visit *part = &slices->part;
    TRY(fill_wait(part->fill, deadline));
    const struct fill *fill = part->fill;
    if (fill_state(fill) == FILL_STARTED) {
        slices->is_open = content_open(fill->object->content, &slices->cursor);
        return slices->is_open ? OK : ERR_LIMIT;
    }
    enum status status = fill->status == ERR_CANCELLED ? ERR_CLOSED : ERR_PROTOCOL;
    cache_leave_fill(part);
    return status;
}

/* In memory, or on the disk. */
static bool find_slice(struct cache_slices *slices)
{
    struct cache_visit *part = &slices->part;
    struct store_found found;
    store_find(part->config->cache->store, &part->key, part->request.fields, &part->x->arena,
               loop_now(), &found);
    if (found.fill != NULL)
        fill_release(found.fill);
    else if (found.object == NULL && cache_disk_look(part)) {
        found.object = part->loaded; /* NULL: the disk did not give it, or not in time */
        part->loaded = NULL;
    }
    if (found.object == NULL)
        return false;
    slices->is_open = content_open(found.object->content, &slices->cursor);
    object_release(found.object); /* the cursor holds what is read */
    return slices->is_open;
}

static enum status open_slice(struct cache_slices *slices, uint64_t index, int64_t deadline,
                              bool *is_fetched)
{
    struct cache_visit *part = &slices->part;
    close_slice(slices);
    struct buffer key = buffer_fixed(slices->key, sizeof slices->key);
    cache_slices_key(&key, slices->visit->object->slices.id, index);
    part->key = store_key_of(part->config->cache->store, buffer_slice(&key));
    slices->index = index;
    enum status status = ERR_CLOSED;
    for (int round = 0; round < ROUNDS_MAX && status == ERR_CLOSED; round++) {
        if (find_slice(slices))
            return OK;
        status = fetch_slice(slices, is_fetched);
        if (status == OK)
            status = follow_slice(slices, deadline);
    }
    return status;
}

static bool is_at(const struct cache_slices *slices, uint64_t offset)
{
    return slices->is_open && offset / slices->visit->object->slices.size == slices->index;
}

static enum status read_at(struct range_source *source, uint64_t offset, uint64_t size,
                           struct slice *chunk, int64_t deadline)
{
    struct cache_slices *s = LIST_ENTRY(source, struct cache_slices, source);
    uint64_t one = s->visit->object->slices.size;
    uint64_t at = offset % one;
    uint64_t left = one - at;
    enum status status = ERR_CLOSED;
    for (int round = 0; round < 2 && status == ERR_CLOSED; round++) { /* it may have broken off */
        bool is_fetched;
        if (round > 0 || !is_at(s, offset))
            TRY(open_slice(s, offset / one, deadline, &is_fetched));
        status = content_read(&s->cursor, at, size < left ? size : left, chunk, deadline);
        if (status == OK && chunk->size == 0)
            status = ERR_CLOSED;
    }
    return status;
}

static bool is_ready_at(struct range_source *source, uint64_t offset)
{
    const struct cache_slices *s = LIST_ENTRY(source, struct cache_slices, source);
    return is_at(s, offset) &&
           content_is_ready(s->cursor.content, offset % s->visit->object->slices.size);
}

static struct cache_slices *slices_of(struct cache_visit *visit)
{
    if (visit->slices != NULL)
        return visit->slices;
    struct cache_slices *slices = arena_zero(&visit->x->arena, sizeof *slices);
    slices->source = (struct range_source){.read_at = read_at, .is_ready_at = is_ready_at};
    slices->visit = visit;
    slices->part.config = visit->config;
    slices->part.x = visit->x;
    slices->part.request = visit->request;
    slices->part.steps_reached = visit->steps_reached;
    visit->slices = slices;
    return slices;
}

struct range_source *cache_slices_source(struct cache_visit *visit)
{
    return &slices_of(visit)->source;
}

enum status cache_slices_ready(struct cache_visit *visit, uint64_t offset)
{
    struct cache_slices *slices = slices_of(visit);
    bool is_fetched = false;
    if (is_at(slices, offset))
        return OK;
    TRY(open_slice(slices, offset / visit->object->slices.size, visit->x->deadline, &is_fetched));
    if (is_fetched && visit->forward == NULL)
        visit->forward = "partial"; /* RFC 9211 §2.2 */
    return OK;
}

void cache_slices_expect(struct cache_visit *visit, uint64_t slice, struct content *content)
{
    struct cache_slices *slices = slices_of(visit);
    close_slice(slices);
    slices->index = slice;
    slices->is_open = content_open(content, &slices->cursor);
}
