/* SPDX-License-Identifier: Apache-2.0 */
/* Parts that a server has sent: the first makes the object that all slices belong to, the others
 * have to be of the same version of the same body (RFC 9110 §15.3.7.3), or all are let go. */
#include "base/buffer.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "fiber/thread.h"
#include "steps/cache_fetch.h"

enum {
    HIT_FOR_MISS_S = 120,
};

/* Where the part stands in the whole; false: it is not the one that was asked for. */
static bool is_wanted(const struct cache_fetch *fetch, const struct exchange *apart,
                      struct range *range, uint64_t *total)
{
    const struct field *field = fields_find(&apart->response.fields, FIELD_CONTENT_RANGE);
    if (field == NULL || !ranges_parse_content_range(field->value, range, total) ||
        *total == UINT64_MAX || *total > INT64_MAX / 2)
        return false;
    uint64_t last = fetch->part.last < *total ? fetch->part.last : *total - 1;
    int64_t length = apart->response.body->length;
    return range->first == fetch->part.first && range->last == last &&
           (length < 0 || (uint64_t)length == last - range->first + 1);
}

/* By the rules for a whole answer: what is stored is put together of such. */
static enum cache_why may_store(struct cache_fetch *fetch, struct exchange *apart,
                                struct cache_terms *terms)
{
    fields_remove(&apart->response.fields, FIELD_CONTENT_RANGE);
    struct cache_answer answer = cache_fetch_answer(fetch, 200, &apart->response.fields);
    return cache_may_store(&fetch->request, &answer, &fetch->config->policy, &fetch->arena, terms);
}

/* Its bytes: an object of their own. Of the head it has what purges go by. */
static void begin_slice(struct cache_fetch *fetch, struct exchange *apart, uint64_t length)
{
    struct fields fields;
    const struct cache_terms terms = {.received = loop_now(), .lifetime = INT64_MAX / 8};
    fields_init(&fields, &fetch->arena, NULL, 0);
    struct slice tags = object_tag_list(&apart->response.fields, &fetch->arena);
    if (tags.size > 0 && !fields_add_named(&fields, SLICE("Surrogate-Key"), tags))
        tags = SLICE("");
    fetch->content = content_new((int64_t)length);
    struct object *object = cache_fetch_object(fetch, 200, &fields, &terms, fetch->content, NULL);
    store_count_slice(fetch->cache->store);
    cache_fetch_put(fetch, object);
}

/* Who waits for the object gets it; from now on the fetch is one for its first slice. */
static bool begin_root(struct cache_fetch *fetch, struct object *root)
{
    struct store *store = fetch->cache->store;
    struct fill *fill = fetch->fill;
    struct buffer key = buffer_in(&fetch->arena, 64);
    bool is_first;
    cache_slices_key(&key, root->slices.id, fetch->part.first / root->slices.size);
    const struct store_key slice = store_key_of(store, buffer_slice(&key));
    struct fill *next = store_fill(store, &slice, &fetch->request_fields, &fetch->arena, &is_first);
    fetch->root = object_hold(root);
    fetch->root_key = arena_copy(&fetch->arena, fill->key);
    cache_fetch_put(fetch, root);
    bool is_stored = store_put(store, fill, root, loop_now());
    store_fill_end(store, fill);
    if (next == NULL)
        next = fill_new(slice.text, slice.hash, SLICE("")); /* for who began it alone */
    fetch->fill = next;
    fill_release(fill);
    return is_stored;
}

static enum status refuse_first(struct cache_fetch *fetch, struct exchange *apart,
                                enum cache_why why)
{
    const struct store_key key = {fetch->fill->key, fetch->fill->hash};
    if (why != CACHE_WHY_PARTIAL)
        store_hit_for_miss(fetch->cache->store, &key, loop_now() + SECONDS(HIT_FOR_MISS_S));
    return cache_fetch_refuse(fetch, apart, why, true);
}

enum status cache_slices_begin(struct cache_fetch *fetch, struct exchange *apart)
{
    struct range range;
    struct cache_terms terms;
    struct object_slices slices = {.size = fetch->slice_size};
    struct validators validators = validators_of(&apart->response.fields);
    if (apart->response.status != 206 || !is_wanted(fetch, apart, &range, &slices.total) ||
        !conditional_is_strong_now(&validators))
        return refuse_first(fetch, apart, CACHE_WHY_PARTIAL);
    enum cache_why why = may_store(fetch, apart, &terms);
    if (why != CACHE_WHY_NONE)
        return refuse_first(fetch, apart, why);
    apart->response.status = 200;
    if (range.last - range.first + 1 == slices.total)
        return cache_fetch_begin(fetch, apart, &terms);
    random_bytes(&slices.id, sizeof slices.id);
    struct content *nothing = content_new(0);
    content_end(nothing, true);
    struct object *root =
        cache_fetch_object(fetch, 200, &apart->response.fields, &terms, nothing, &slices);
    content_release(nothing);
    bool is_stored = begin_root(fetch, root);
    begin_slice(fetch, apart, range.last - range.first + 1);
    if (fetch->first != NULL)
        cache_slices_expect(fetch->first, range.first / slices.size, fetch->content);
    if (is_stored) /* this waits: all stands that others may look for */
        cache_disk_write(fetch->cache, fetch->root_key, root, fetch->moment);
    return OK;
}

static bool is_same_version(const struct object *root, const struct fields *fields, uint64_t total)
{
    struct validators now = validators_of(fields);
    const struct validators *known = &root->validators;
    bool is_same = known->etag.size > 0 ? slice_equal(now.etag, known->etag)
                                        : slice_equal(now.last_modified, known->last_modified);
    return is_same && total == root->slices.total;
}

enum status cache_slices_more(struct cache_fetch *fetch, struct exchange *apart)
{
    struct range range;
    uint64_t total = 0;
    struct cache_terms terms;
    int status = apart->response.status;
    if (cache_is_failure(status) || status < 200 || status == 429)
        return cache_fetch_refuse(fetch, apart, CACHE_WHY_UPSTREAM_ERROR, false);
    if (status == 206 && is_wanted(fetch, apart, &range, &total) &&
        is_same_version(fetch->root, &apart->response.fields, total) &&
        may_store(fetch, apart, &terms) == CACHE_WHY_NONE) {
        begin_slice(fetch, apart, range.last - range.first + 1);
        return OK;
    }
    const struct store_key key = store_key_of(fetch->cache->store, fetch->root_key);
    log_write(LOG_INFO, "cache_slices_dropped",
              "cache %.*s: %.*s: a slice is of another version (%d); all of them are dropped",
              SLICE_ARG(fetch->cache->name), SLICE_ARG(fetch->root->url), status);
    cache_forget(fetch->cache, &key);
    return cache_fetch_refuse(fetch, apart, CACHE_WHY_SLICE, false);
}
