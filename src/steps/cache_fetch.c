/* SPDX-License-Identifier: Apache-2.0 */
/* A fetch: the rest of the path is asked by an exchange of its own, as fast as the server gives.
 * Who began it is the first of those who follow; it goes on without him while somebody else follows
 * or what comes is to be stored. What cannot be stored is taken by the first as it stands, and read
 * from the server at his pace. */
#include "steps/cache_fetch.h"
#include "base/clock.h"
#include "cache/disk.h"
#include "exchange/apart.h"
#include "fiber/thread.h"

#include <stdlib.h>

enum {
    HIT_FOR_MISS_S = 120,
    FLOW_BEHIND = 4 * 1024 * 1024, /* of what is too large to store: so far the slowest may lag */
    FLOW_LOOK_MS = 5,
    CROWDED_FROM = 64 * 1024, /* small ones are stored however much is fetched */
    SPILL_PART = 4,           /* of what memory may keep of one: what is not announced as larger */
};

static void release(struct cache_fetch *fetch)
{
    if (--fetch->references > 0)
        return;
    if (fetch->stale != NULL)
        object_release(fetch->stale);
    if (fetch->root != NULL)
        object_release(fetch->root);
    fill_release(fetch->fill);
    arena_done(&fetch->arena);
    free(fetch);
}

static struct cache_fetch *of(struct exchange *apart)
{
    return apart->connection;
}

/* --- What came --- */

static void note_server(struct cache_fetch *fetch, const struct exchange *apart)
{
    if (fetch->first == NULL)
        return;
    struct exchange *x = fetch->first->x;
    x->upstream = apart->upstream;
    x->upstream.server = arena_copy(&x->arena, apart->upstream.server);
}

enum status cache_fetch_fail(struct cache_fetch *fetch, const struct exchange *apart)
{
    struct fill *fill = fetch->fill;
    const struct blame *blame = &apart->blame;
    fill->status = blame->status == OK ? ERR_CANCELLED : blame->status;
    fill->side = (int)blame->side;
    fill->answer = blame->answer;
    fill->error = blame->error;
    fill->reason = blame->why;
    fill->retry_after = apart->retry_after;
    note_server(fetch, apart);
    store_fill_end(fetch->cache->store, fill);
    if (fill_state(fill) == FILL_WAITING)
        fill_tell(fill, FILL_FAILED);
    return ERR_CLOSED;
}

enum status cache_fetch_refuse(struct cache_fetch *fetch, const struct exchange *apart,
                               enum cache_why why, bool look_again)
{
    struct fill *fill = fetch->fill;
    fill->status = look_again ? ERR_CANCELLED : ERR_PROTOCOL;
    fill->side = SIDE_UPSTREAM;
    fill->answer = look_again ? apart->response.status : 502;
    fill->error = "http_response_incomplete";
    fill->reason = "a part came that does not belong to the rest";
    fill->why = why;
    note_server(fetch, apart);
    store_fill_end(fetch->cache->store, fill);
    fill_tell(fill, FILL_FAILED);
    return ERR_CLOSED;
}

/* Whether it comes again for the same key, whoever asks: then nobody is to wait for another. */
static bool is_lasting(enum cache_why why, int status)
{
    return why != CACHE_WHY_CLIENT_NO_STORE && why != CACHE_WHY_AUTHORIZATION &&
           !cache_is_failure(status);
}

/* The first takes it from here; this exchange waits until he has done, also when it is cancelled:
 * what he reads is its own. */
static enum status hand_over(struct cache_fetch *fetch, struct exchange *apart, enum cache_why why)
{
    struct fill *fill = fetch->fill;
    struct store *store = fetch->cache->store;
    const struct store_key key = {fill->key, fill->hash};
    int status = apart->response.status;
    if (is_lasting(why, status) && !fetch->is_unwanted) {
        if (fetch->stale != NULL)
            cache_forget(fetch->cache, &key);
        store_hit_for_miss(store, &key, loop_now() + SECONDS(HIT_FOR_MISS_S));
    }
    fill->why = why;
    fill->answer = status;
    note_server(fetch, apart);
    store_fill_end(store, fill);
    fetch->is_taken = true;
    fill_tell(fill, FILL_PRIVATE);
    bool was_cancelled = fiber_shield();
    while (fetch->first != NULL)
        if (fiber_wait(CLOCK_NEVER) == ERR_CANCELLED)
            was_cancelled = fiber_shield() || true;
    fiber_unshield(was_cancelled);
    return ERR_CLOSED;
}

void cache_fetch_put(struct cache_fetch *fetch, struct object *object)
{
    fetch->fill->object = object;
    fill_tell(fetch->fill, FILL_STARTED);
}

/* What it takes of memory now. False: all that is fetched takes too much. */
static bool charge(struct cache_fetch *fetch)
{
    uint64_t bytes = fetch->content == NULL ? 0 : fetch->content->bytes;
    if (bytes == fetch->charged)
        return true;
    int64_t more = (int64_t)(bytes - fetch->charged);
    fetch->charged = bytes;
    return store_charge(fetch->cache->store, more);
}

static void uncharge(struct cache_fetch *fetch)
{
    (void)store_charge(fetch->cache->store, -(int64_t)fetch->charged);
    fetch->charged = 0;
}

/* What is stored is good still: its head is made new, its content stays (RFC 9111 §4.3.4). */
static enum status renew(struct cache_fetch *fetch, struct exchange *apart)
{
    struct object *stale = fetch->stale;
    struct store *store = fetch->cache->store;
    struct validators fresh = validators_of(&apart->response.fields);
    struct cache_terms terms = stale->terms;
    struct fields fields;
    if (fresh.etag.size > 0 && conditional_is_strong(fresh.etag) &&
        conditional_is_strong(stale->validators.etag) &&
        !slice_equal(fresh.etag, stale->validators.etag)) {
        const struct store_key key = {fetch->fill->key, fetch->fill->hash};
        cache_forget(fetch->cache, &key); /* it speaks of something else */
        return cache_fetch_fail(fetch, apart);
    }
    object_fields(stale, &fetch->arena, apart->response.fields.count + 4, &fields);
    cache_fetch_add_date(fetch, &apart->response.fields, clock_wall());
    cache_strip(&apart->response.fields, &fetch->config->policy, &fetch->arena);
    cache_freshen(&fields, &apart->response.fields);
    struct cache_answer answer = cache_fetch_answer(fetch, stale->status, &fields);
    enum cache_why why =
        cache_may_store(&fetch->request, &answer, &fetch->config->policy, &fetch->arena, &terms);
    struct object *object =
        cache_fetch_object(fetch, stale->status, &fields, &terms, stale->content, &stale->slices);
    object->was_validated = true;
    object->disk_id = __atomic_load_n(&stale->disk_id, __ATOMIC_RELAXED);
    note_server(fetch, apart);
    /* What the server says now may be for this one client: a cookie, or what is asked with a name.
     */
    fetch->fill->is_for_first = why != CACHE_WHY_NONE;
    if (is_lasting(why, stale->status) && why != CACHE_WHY_NONE) {
        const struct store_key key = {fetch->fill->key, fetch->fill->hash};
        cache_forget(fetch->cache, &key);
    }
    cache_fetch_put(fetch, object);
    bool is_stored = why == CACHE_WHY_NONE;
    if (stale->content->reader != NULL) /* it lies on the disk: memory does not hold files open */
        is_stored = is_stored && store_is_wanted(store, fetch->fill);
    else
        is_stored = is_stored && store_put(store, fetch->fill, object, loop_now());
    store_fill_end(store, fetch->fill);
    if (is_stored)
        cache_disk_write(fetch->cache, fetch->fill->key, object, fetch->moment);
    return ERR_CLOSED;
}

enum status cache_fetch_begin(struct cache_fetch *fetch, struct exchange *apart,
                              const struct cache_terms *terms)
{
    int64_t length = apart->response.framing == FRAMING_NONE ? 0 : apart->response.body->length;
    struct object *object;
    fetch->content = content_new(length);
    object = cache_fetch_object(fetch, apart->response.status, &apart->response.fields, terms,
                                fetch->content, NULL);
    note_server(fetch, apart);
    if (length > store_max_object(fetch->cache->store) && !cache_spill_begin(fetch, object)) {
        fetch->is_unwanted = !store_is_wanted(fetch->cache->store, fetch->fill);
        object_release(object);
        content_release(fetch->content);
        fetch->content = NULL;
        return hand_over(fetch, apart, CACHE_WHY_TOO_LARGE);
    }
    /* Before anything comes: what grows too large goes as soon as nobody is to read it. */
    if (fetch->first != NULL)
        fetch->first->is_reading = content_open(fetch->content, &fetch->first->cursor);
    cache_fetch_put(fetch, object);
    return OK;
}

static enum status sink_head(struct exchange *apart, bool hold)
{
    (void)hold;
    struct cache_fetch *fetch = of(apart);
    struct response *response = &apart->response;
    struct cache_terms terms;
    if (fill_state(fetch->fill) != FILL_WAITING)
        return ERR_CLOSED; /* an error in place of what broke off */
    if (apart->blame.status != OK)
        return cache_fetch_fail(fetch, apart);
    if (fetch->root != NULL)
        return cache_slices_more(fetch, apart);
    if (response->status == 304 && fetch->stale != NULL)
        return renew(fetch, apart);
    if (fetch->is_sliced && (response->status == 206 || response->status == 416))
        return cache_slices_begin(fetch, apart);
    struct cache_answer answer = cache_fetch_answer(fetch, response->status, &response->fields);
    enum cache_why why =
        cache_may_store(&fetch->request, &answer, &fetch->config->policy, &fetch->arena, &terms);
    if (why == CACHE_WHY_NONE && response->body->length > cache_max_object(fetch->cache))
        why = CACHE_WHY_TOO_LARGE;
    if (why != CACHE_WHY_NONE)
        return hand_over(fetch, apart, why);
    return cache_fetch_begin(fetch, apart, &terms);
}

/* It cannot be stored, or no more: those who read it get the rest, and nobody else. */
static enum status flow(struct cache_fetch *fetch, bool is_lasting)
{
    struct store *store = fetch->cache->store;
    uint64_t behind;
    if (!fetch->is_flowing) {
        fetch->is_flowing = true;
        const struct store_key key = {fetch->fill->key, fetch->fill->hash};
        if (is_lasting)
            store_hit_for_miss(store, &key, loop_now() + SECONDS(HIT_FOR_MISS_S));
        store_fill_end(store, fetch->fill);
        content_flow(fetch->content);
        cache_spill_abort(fetch);
    }
    while (content_trim(fetch->content, &behind)) {
        (void)charge(fetch);
        if (behind < FLOW_BEHIND)
            return OK;
        TRY(fiber_sleep(loop_now() + MILLISECONDS(FLOW_LOOK_MS)));
    }
    return ERR_CLOSED; /* nobody reads any more */
}

/* From where on it goes to the disk: what was not announced is not to fill memory until then. */
static uint64_t spills_from(const struct cache_fetch *fetch)
{
    uint64_t most = (uint64_t)store_max_object(fetch->cache->store);
    return fetch->content->length >= 0 ? most : most / SPILL_PART;
}

static enum status sink_chunk(struct exchange *apart, struct slice chunk, bool more)
{
    (void)more;
    struct cache_fetch *fetch = of(apart);
    struct content *content = fetch->content;
    content_append(content, chunk);
    bool has_room = charge(fetch) || content->size < CROWDED_FROM;
    if (fetch->is_flowing)
        return flow(fetch, true);
    if (content->size > (uint64_t)cache_max_object(fetch->cache))
        return flow(fetch, true);
    if (fetch->spill == NULL && (!has_room || content->size > spills_from(fetch)))
        (void)cache_spill_begin(fetch, fetch->fill->object);
    if (fetch->spill != NULL) {
        enum status status = cache_spill_more(fetch);
        (void)charge(fetch);
        if (status == ERR_CANCELLED)
            return status;
        return status == OK ? OK : flow(fetch, false);
    }
    if (!has_room || content->size > (uint64_t)store_max_object(fetch->cache->store))
        return flow(fetch, has_room);
    return OK;
}

static void end_spilled(struct cache_fetch *fetch)
{
    struct store *store = fetch->cache->store;
    const struct store_key key = {fetch->fill->key, fetch->fill->hash};
    cache_spill_end(fetch);
    bool is_stored = fetch->content->reader != NULL;
    content_end(fetch->content, true);
    store_fill_end(store, fetch->fill);
    if (is_stored) /* what memory has is older */
        (void)store_purge_key(store, &key, false);
}

static enum status sink_finish(struct exchange *apart, const struct fields *trailers)
{
    (void)trailers;
    struct cache_fetch *fetch = of(apart);
    if (fetch->content == NULL)
        return OK;
    if (fetch->spill != NULL) {
        end_spilled(fetch);
        return OK;
    }
    content_end(fetch->content, true);
    uncharge(fetch);
    struct fill *fill = fetch->fill;
    bool is_stored =
        !fetch->is_flowing && store_put(fetch->cache->store, fill, fill->object, loop_now());
    store_fill_end(fetch->cache->store, fill);
    if (is_stored)
        cache_disk_write(fetch->cache, fill->key, fill->object, fetch->moment);
    return OK;
}

static void sink_abort(struct exchange *apart)
{
    struct cache_fetch *fetch = of(apart);
    if (fill_state(fetch->fill) == FILL_WAITING)
        (void)cache_fetch_fail(fetch, apart);
    else if (fetch->content != NULL)
        content_end(fetch->content, false);
    cache_spill_abort(fetch);
    store_fill_end(fetch->cache->store, fetch->fill);
}

static enum status sink_interim(struct exchange *apart, int status, const struct fields *fields)
{
    (void)apart, (void)status, (void)fields;
    return OK;
}

static enum status sink_move(struct exchange *apart, struct body *body, bool *client_failed)
{
    (void)apart, (void)body, (void)client_failed;
    return ERR_LIMIT;
}

static enum status sink_tunnel(struct exchange *apart)
{
    (void)apart;
    return ERR_PROTOCOL;
}

static void sink_local_address(struct exchange *apart, struct address *address)
{
    *address = of(apart)->local;
}

static const struct sink SINK = {
    .interim = sink_interim,
    .head = sink_head,
    .chunk = sink_chunk,
    .move = sink_move,
    .finish = sink_finish,
    .abort = sink_abort,
    .tunnel = sink_tunnel,
    .local_address = sink_local_address,
};

static void on_end(struct exchange *apart)
{
    struct cache_fetch *fetch = of(apart);
    if (fetch->is_background)
        __atomic_sub_fetch(&fetch->cache->background, 1, __ATOMIC_RELAXED);
    uncharge(fetch);
    cache_spill_abort(fetch);
    if (fetch->content != NULL)
        content_release(fetch->content);
    fetch->apart = NULL;
    release(fetch);
}

static bool enter_background(struct cache *cache)
{
    if (__atomic_add_fetch(&cache->background, 1, __ATOMIC_RELAXED) <= CACHE_BACKGROUND_MAX)
        return true;
    __atomic_sub_fetch(&cache->background, 1, __ATOMIC_RELAXED);
    return false;
}

static void set_asked(struct cache_fetch *fetch, const struct cache_asked *asked)
{
    struct object *stale = asked->stale;
    bool can_be_asked = stale != NULL && (stale->validators.etag.size > 0 ||
                                          stale->validators.last_modified.size > 0);
    fetch->stale = can_be_asked ? object_hold(stale) : NULL;
    fetch->is_background = asked->is_background;
    fetch->is_sliced = asked->slice_size > 0;
    fetch->slice_size = asked->slice_size;
    fetch->part.first = asked->slice * asked->slice_size;
    fetch->part.last = fetch->part.first + asked->slice_size - 1;
    if (asked->root == NULL)
        return;
    fetch->root = object_hold(asked->root);
    fetch->root_key = arena_copy(&fetch->arena, asked->root_key);
    if (fetch->part.last >= asked->root->slices.total)
        fetch->part.last = asked->root->slices.total - 1;
}

/* What the client said, as the exchange apart has it: for Vary and the rules. */
static void copy_request(struct cache_fetch *fetch)
{
    const struct request_head *head = &fetch->apart->request.head;
    struct fields *fields = &fetch->request_fields;
    fields_init(fields, &fetch->arena, NULL, 0);
    for (uint32_t i = 0; i < head->fields.count; i++)
        fields_append_checked(fields, (enum field_id)head->fields.items[i].id,
                              head->fields.items[i].name, head->fields.items[i].value);
    enum method method = head->method == METHOD_HEAD ? METHOD_GET : head->method;
    cache_request_read(&fetch->request, method, fields, &fetch->config->policy);
}

bool cache_fetch_start(struct cache_visit *visit, struct fill *fill,
                       const struct cache_asked *asked)
{
    struct cache *cache = visit->config->cache;
    if (asked->is_background && !enter_background(cache))
        return false;
    struct cache_fetch *fetch = memory_zero(sizeof *fetch);
    struct exchange *apart = exchange_apart_new(visit->x, &SINK, fetch);
    /* Who reads slices asks for more of them when other steps have been reached. */
    apart->steps_from = apart->steps_reached = visit->steps_reached;
    arena_init(&fetch->arena, NULL, 0);
    fetch->references = 1;
    fetch->fill = fill_hold(fill);
    fetch->cache = cache;
    fetch->moment = cache->disk == NULL ? 0 : disk_moment(cache->disk);
    fetch->config = visit->config;
    if (visit->x->sink->local_address != NULL)
        visit->x->sink->local_address(visit->x, &fetch->local);
    fetch->apart = apart;
    set_asked(fetch, asked);
    copy_request(fetch);
    cache_fetch_shape(fetch, apart);
    cache_fetch_give_body(apart, visit->body);
    if (!asked->is_background) {
        fetch->first = visit;
        fetch->references++;
        visit->fetch = fetch;
    }
    if (exchange_apart_start(apart, "cache_fetch", on_end) == OK)
        return true;
    if (asked->is_background)
        __atomic_sub_fetch(&cache->background, 1, __ATOMIC_RELAXED);
    visit->fetch = NULL;
    fetch->references = 1;
    exchange_apart_drop(apart);
    release(fetch);
    return false;
}

void cache_fetch_take(struct cache_visit *visit)
{
    struct exchange *x = visit->x;
    const struct exchange *apart = visit->fetch->apart;
    x->response = apart->response;
    /* Framed for the other exchange: here it is done again. */
    x->response.framing = FRAMING_NONE;
}

void cache_fetch_leave(struct cache_visit *visit)
{
    struct cache_fetch *fetch = visit->fetch;
    if (fetch == NULL)
        return;
    visit->fetch = NULL;
    fetch->first = NULL;
    struct exchange *apart = fetch->apart;
    if (apart != NULL && apart->fiber != NULL) {
        bool is_alone = __atomic_load_n(&fetch->fill->followers, __ATOMIC_ACQUIRE) == 0;
        enum fill_state state = fill_state(fetch->fill);
        bool goes_on = state == FILL_STARTED || !is_alone;
        /* Who follows may leave as well, and would not be asked. */
        if (goes_on && !fetch->is_taken && !fetch->is_background) {
            fetch->is_background = enter_background(fetch->cache);
            goes_on = fetch->is_background;
        }
        if (fetch->is_taken)
            fiber_wake(apart->fiber);
        else if (!goes_on)
            fiber_cancel(apart->fiber);
    }
    release(fetch);
}
