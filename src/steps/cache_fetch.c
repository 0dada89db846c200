/* SPDX-License-Identifier: Apache-2.0 */
/* A fetch: the rest of the path is asked by an exchange of its own, as fast as the server gives.
 * Who began it is the first of those who follow; it goes on without him while somebody else follows
 * or what comes is to be stored. What cannot be stored is taken by the first as it stands, and read
 * from the server at his pace. */
#include "base/clock.h"
#include "cache/disk.h"
#include "exchange/apart.h"
#include "fiber/thread.h"
#include "http/cache_unkeyed.h"
#include "http/cache_vary.h"
#include "http/date.h"
#include "steps/cache_inside.h"

#include <stdlib.h>

enum {
    HIT_FOR_MISS_S = 120,
    FLOW_BEHIND = 4 * 1024 * 1024, /* of what is too large to store: so far the slowest may lag */
    FLOW_LOOK_MS = 5,
};

/* Of one thread: the fetching exchange and the client's live there both. */
struct cache_fetch {
    unsigned references;
    struct fill *fill;
    struct cache *cache;
    const struct cache_config *config; /* lives as long as the exchange apart */
    struct exchange *apart;            /* NULL: it has ended */
    struct cache_visit *first;         /* NULL: gone, or nobody */
    struct object *stale;              /* that was asked about; NULL */
    struct content *content;           /* that is filled; NULL */
    uint64_t moment;                   /* of the disk when it began */
    struct address local;              /* that the client has come to */
    struct arena arena;
    struct fields request_fields; /* as the client sent them, for Vary */
    struct cache_request request;
    bool is_background;
    bool is_taken; /* the first has the answer */
    bool is_flowing;
};

static void release(struct cache_fetch *fetch)
{
    if (--fetch->references > 0)
        return;
    if (fetch->stale != NULL)
        object_release(fetch->stale);
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
    if (fetch->first != NULL)
        fetch->first->x->upstream = apart->upstream;
}

static enum status fail(struct cache_fetch *fetch, const struct exchange *apart)
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
    if (is_lasting(why, status)) {
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

static void put(struct cache_fetch *fetch, struct object *object)
{
    fetch->fill->object = object;
    fill_tell(fetch->fill, FILL_STARTED);
}

/* As purges name it. */
static struct slice url_of(const struct exchange *x, struct arena *arena)
{
    const struct request_head *head = &x->request.head;
    struct buffer text = buffer_in(arena, x->request.target.size + head->host.size + 24);
    buffer_append(&text, x->scheme);
    buffer_append(&text, SLICE("://"));
    buffer_append(&text, head->host);
    if (head->port != 0 && head->port != cache_standard_port(x->scheme)) {
        buffer_append_byte(&text, ':');
        buffer_append_u64(&text, head->port);
    }
    buffer_append(&text, x->request.target);
    return buffer_slice(&text);
}

/* RFC 9110 §6.6.1: what came without a date gets that of its coming. */
static void add_date(struct cache_fetch *fetch, struct fields *fields, int64_t wall)
{
    if (fields_find(fields, FIELD_DATE) != NULL)
        return;
    char *date = arena_alloc(&fetch->arena, DATE_HTTP_SIZE);
    fields_add(fields, FIELD_DATE, date_http(wall, date));
}

static struct object *make_object(struct cache_fetch *fetch, int status, struct fields *fields,
                                  const struct cache_terms *terms, struct content *content)
{
    struct arena *arena = &fetch->arena;
    struct object_parts parts = {
        .status = status, .fields = fields, .terms = *terms, .wall = clock_wall()};
    cache_strip(fields, &fetch->config->policy, arena);
    add_date(fetch, fields, parts.wall);
    cache_vary_names(fields, arena, &parts.vary_names);
    struct buffer values = buffer_in(arena, 64);
    cache_vary_values(parts.vary_names, &fetch->request_fields, &values);
    parts.vary_values = buffer_slice(&values);
    parts.url = url_of(fetch->apart, arena);
    return object_new(&parts, content);
}

static struct cache_answer answer_of(const struct cache_fetch *fetch, int status,
                                     const struct fields *fields)
{
    return (struct cache_answer){
        .status = status,
        .fields = fields,
        .wall = clock_wall(),
        .delay = loop_now() - fetch->apart->started,
        .received = loop_now(),
    };
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
        return fail(fetch, apart);
    }
    object_fields(stale, &fetch->arena, apart->response.fields.count + 4, &fields);
    add_date(fetch, &apart->response.fields, clock_wall());
    cache_strip(&apart->response.fields, &fetch->config->policy, &fetch->arena);
    cache_freshen(&fields, &apart->response.fields);
    struct cache_answer answer = answer_of(fetch, stale->status, &fields);
    enum cache_why why =
        cache_may_store(&fetch->request, &answer, &fetch->config->policy, &fetch->arena, &terms);
    struct object *object = make_object(fetch, stale->status, &fields, &terms, stale->content);
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
    put(fetch, object);
    bool is_stored = why == CACHE_WHY_NONE && store_put(store, fetch->fill, object, loop_now());
    store_fill_end(store, fetch->fill);
    if (is_stored)
        cache_disk_write(fetch->cache, fetch->fill->key, object, fetch->moment);
    return ERR_CLOSED;
}

static enum status begin_content(struct cache_fetch *fetch, struct exchange *apart,
                                 const struct cache_terms *terms)
{
    int64_t length = apart->response.framing == FRAMING_NONE ? 0 : apart->response.body->length;
    struct object *object;
    fetch->content = content_new(length);
    object =
        make_object(fetch, apart->response.status, &apart->response.fields, terms, fetch->content);
    note_server(fetch, apart);
    /* Before anything comes: what grows too large goes as soon as nobody is to read it. */
    if (fetch->first != NULL)
        fetch->first->is_reading = content_open(fetch->content, &fetch->first->cursor);
    put(fetch, object);
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
        return fail(fetch, apart);
    if (response->status == 304 && fetch->stale != NULL)
        return renew(fetch, apart);
    struct cache_answer answer = answer_of(fetch, response->status, &response->fields);
    enum cache_why why =
        cache_may_store(&fetch->request, &answer, &fetch->config->policy, &fetch->arena, &terms);
    if (why == CACHE_WHY_NONE && response->body->length > store_max_object(fetch->cache->store))
        why = CACHE_WHY_TOO_LARGE;
    if (why != CACHE_WHY_NONE)
        return hand_over(fetch, apart, why);
    return begin_content(fetch, apart, &terms);
}

/* It has grown too large to be stored: those who read it get the rest, and nobody else. */
static enum status flow(struct cache_fetch *fetch)
{
    struct store *store = fetch->cache->store;
    uint64_t behind;
    if (!fetch->is_flowing) {
        fetch->is_flowing = true;
        const struct store_key key = {fetch->fill->key, fetch->fill->hash};
        store_hit_for_miss(store, &key, loop_now() + SECONDS(HIT_FOR_MISS_S));
        store_fill_end(store, fetch->fill);
        content_flow(fetch->content);
    }
    while (content_trim(fetch->content, &behind)) {
        if (behind < FLOW_BEHIND)
            return OK;
        TRY(fiber_sleep(loop_now() + MILLISECONDS(FLOW_LOOK_MS)));
    }
    return ERR_CLOSED; /* nobody reads any more */
}

static enum status sink_chunk(struct exchange *apart, struct slice chunk, bool more)
{
    (void)more;
    struct cache_fetch *fetch = of(apart);
    content_append(fetch->content, chunk);
    if (fetch->content->size <= (uint64_t)store_max_object(fetch->cache->store))
        return OK;
    return flow(fetch);
}

static enum status sink_finish(struct exchange *apart, const struct fields *trailers)
{
    (void)trailers;
    struct cache_fetch *fetch = of(apart);
    if (fetch->content == NULL)
        return OK;
    content_end(fetch->content, true);
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
        (void)fail(fetch, apart);
    else if (fetch->content != NULL)
        content_end(fetch->content, false);
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

/* --- Asking --- */

/* The whole is asked for, as everybody may have it; what is stored is asked about. */
static void shape_request(struct cache_fetch *fetch, struct exchange *apart)
{
    static const enum field_id NEVER[] = {FIELD_RANGE,
                                          FIELD_IF_RANGE,
                                          FIELD_IF_MATCH,
                                          FIELD_IF_NONE_MATCH,
                                          FIELD_IF_UNMODIFIED_SINCE,
                                          FIELD_IF_MODIFIED_SINCE};
    struct fields *fields = &apart->request.head.fields;
    struct slice proto = arena_copy(&apart->arena, cache_told(apart, FIELD_X_FORWARDED_PROTO));
    struct slice host = arena_copy(&apart->arena, cache_told(apart, FIELD_X_FORWARDED_HOST));
    cache_strip_unkeyed(fields);
    if (proto.size > 0) /* a trusted proxy has said so, and the key has it */
        fields_add(fields, FIELD_X_FORWARDED_PROTO, proto);
    if (host.size > 0)
        fields_add(fields, FIELD_X_FORWARDED_HOST, host);
    for (size_t i = 0; i < sizeof NEVER / sizeof *NEVER; i++)
        fields_remove(fields, NEVER[i]);
    /* What steps behind this one add is for all; what the client said is not. */
    if (!apart->client_trusted)
        cache_strip_unkeyed(fields);
    if (fields_find(fields, FIELD_ACCEPT_ENCODING) != NULL)
        fields_set(fields, FIELD_ACCEPT_ENCODING, encodings_text(encodings_accepted(fields)));
    if (apart->request.head.method == METHOD_HEAD) { /* the whole answers it too */
        apart->request.head.method = METHOD_GET;
        apart->request.head.method_text = SLICE("GET");
    }
    if (fetch->stale == NULL)
        return;
    const struct validators *known = &fetch->stale->validators;
    if (known->etag.size > 0)
        fields_add(fields, FIELD_IF_NONE_MATCH, known->etag);
    if (known->last_modified.size > 0)
        fields_add(fields, FIELD_IF_MODIFIED_SINCE, known->last_modified);
}

static void give_body(struct exchange *apart, struct slice body)
{
    if (body.size == 0)
        return;
    struct body_text *text = arena_alloc(&apart->arena, sizeof *text);
    body_text_init(text, arena_copy(&apart->arena, body));
    apart->request.body = &text->body;
    apart->request.head.framing = FRAMING_LENGTH;
    apart->request.head.length = body.size;
}

static void on_end(struct exchange *apart)
{
    struct cache_fetch *fetch = of(apart);
    if (fetch->is_background)
        __atomic_sub_fetch(&fetch->cache->background, 1, __ATOMIC_RELAXED);
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

bool cache_fetch_start(struct cache_visit *visit, struct fill *fill, struct object *stale,
                       bool is_background)
{
    struct cache *cache = visit->config->cache;
    if (is_background && !enter_background(cache))
        return false;
    struct cache_fetch *fetch = memory_zero(sizeof *fetch);
    struct exchange *apart = exchange_apart_new(visit->x, &SINK, fetch);
    arena_init(&fetch->arena, NULL, 0);
    fetch->references = 1;
    fetch->fill = fill_hold(fill);
    fetch->cache = cache;
    fetch->moment = cache->disk == NULL ? 0 : disk_moment(cache->disk);
    fetch->config = visit->config;
    if (visit->x->sink->local_address != NULL)
        visit->x->sink->local_address(visit->x, &fetch->local);
    fetch->apart = apart;
    fetch->is_background = is_background;
    bool can_be_asked = stale != NULL && (stale->validators.etag.size > 0 ||
                                          stale->validators.last_modified.size > 0);
    fetch->stale = can_be_asked ? object_hold(stale) : NULL;
    struct fields *fields = &fetch->request_fields;
    const struct fields *from = &apart->request.head.fields; /* text of the exchange apart */
    fields_init(fields, &fetch->arena, NULL, 0);
    for (uint32_t i = 0; i < from->count; i++)
        fields_append_checked(fields, (enum field_id)from->items[i].id, from->items[i].name,
                              from->items[i].value);
    enum method method =
        apart->request.head.method == METHOD_HEAD ? METHOD_GET : apart->request.head.method;
    cache_request_read(&fetch->request, method, fields, &visit->config->policy);
    shape_request(fetch, apart);
    give_body(apart, visit->body);
    if (!is_background) {
        fetch->first = visit;
        fetch->references++;
        visit->fetch = fetch;
    }
    if (exchange_apart_start(apart, "cache_fetch", on_end) == OK)
        return true;
    if (is_background)
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
