/* SPDX-License-Identifier: Apache-2.0 */
/* Answers from what is stored: whole, in parts, as "not modified", or without a body. Head and
 * bytes stay where they are stored; the exchange holds them until it has been logged. */
#include "base/buffer.h"
#include "base/clock.h"
#include "base/list.h"
#include "fiber/thread.h"
#include "http/ranges.h"
#include "steps/cache_inside.h"

enum {
    FIELDS_MORE = 8, /* that this and other steps add */
    STATUS_SIZE = 192,
    HIT_SIZE = 48,            /* "weir; hit; ttl=300"; it grows if it must */
    YIELD_BYTES = 256 * 1024, /* so much of what is at hand, then others run */
};

struct content_source {
    struct range_source source;
    struct content_cursor *cursor;
};

static enum status read_at(struct range_source *source, uint64_t offset, uint64_t size,
                           struct slice *chunk, int64_t deadline)
{
    struct content_source *s = LIST_ENTRY(source, struct content_source, source);
    TRY(content_read(s->cursor, offset, size, chunk, deadline));
    return chunk->size > 0 ? OK : ERR_CLOSED;
}

static bool is_ready_at(struct range_source *source, uint64_t offset)
{
    const struct content_source *s = LIST_ENTRY(source, struct content_source, source);
    return content_is_ready(s->cursor->content, offset);
}

/* A body whose end is known when it is there. */
struct content_body {
    struct body body;
    struct content_cursor *cursor;
    uint64_t offset;
    uint64_t yielded; /* where others have run last */
};

static enum status read_content(struct body *body, struct slice *chunk, int64_t deadline)
{
    struct content_body *b = LIST_ENTRY(body, struct content_body, body);
    if (b->offset - b->yielded >= YIELD_BYTES) {
        b->yielded = b->offset;
        TRY(fiber_yield());
    }
    TRY(content_read(b->cursor, b->offset, UINT64_MAX, chunk, deadline));
    b->offset += chunk->size;
    return OK;
}

static bool is_content_ready(struct body *body)
{
    const struct content_body *b = LIST_ENTRY(body, struct content_body, body);
    return content_is_ready(b->cursor->content, b->offset);
}

static int64_t length_of(const struct object *object)
{
    const struct content *content = object->content;
    if (object->slices.size > 0)
        return (int64_t)object->slices.total;
    return content_is_whole(content) ? (int64_t)content->size : content->length;
}

static struct body *whole_body(struct cache_visit *visit, int64_t length)
{
    if (visit->object->slices.size > 0)
        return ranges_whole_body(&visit->x->arena, (uint64_t)length, cache_slices_source(visit));
    struct content_body *b = arena_alloc(&visit->x->arena, sizeof *b);
    *b = (struct content_body){
        .body = {.read = read_content, .is_ready = is_content_ready, .length = length},
        .cursor = &visit->cursor,
    };
    return &b->body;
}

/* RFC 9110 §15.4.5: a 304 has the fields that a 200 would have had, but for those that describe
 * what is not sent. */
static void answer_not_modified(struct exchange *x)
{
    static const enum field_id NEVER[] = {FIELD_CONTENT_TYPE, FIELD_CONTENT_ENCODING,
                                          FIELD_CONTENT_RANGE, FIELD_ACCEPT_RANGES};
    struct fields *fields = &x->response.fields;
    for (size_t i = 0; i < sizeof NEVER / sizeof *NEVER; i++)
        fields_remove(fields, NEVER[i]);
    fields_remove_named(fields, SLICE("Content-Language"));
    if (fields_find(fields, FIELD_ETAG) != NULL)
        fields_remove(fields, FIELD_LAST_MODIFIED);
    x->response.status = 304;
    x->response.body = body_none();
}

static struct range_source *source_of(struct cache_visit *visit)
{
    if (visit->object->slices.size > 0)
        return cache_slices_source(visit);
    struct content_source *source = arena_alloc(&visit->x->arena, sizeof *source);
    *source =
        (struct content_source){{.read_at = read_at, .is_ready_at = is_ready_at}, &visit->cursor};
    return &source->source;
}

/* Parts of the content, if such are asked for and it can be told where they are. */
static bool answer_parts(struct cache_visit *visit, uint64_t length)
{
    struct exchange *x = visit->x;
    struct ranges ranges;
    const struct fields *asked = &x->request.head.fields;
    if (fields_find(asked, FIELD_RANGE) == NULL ||
        !conditional_range_holds(asked, &visit->object->validators))
        return false;
    enum ranges_verdict verdict = ranges_asked(x->request.head.method, asked, length, &ranges);
    if (verdict == RANGES_WHOLE)
        return false;
    if (verdict == RANGES_UNSATISFIABLE) {
        ranges_refuse(&x->arena, &x->response.fields, length);
        x->response.status = 416;
        x->detail = "no such part of the object";
        x->response.body = body_none();
        x->response.has_length = true;
        x->response.length = 0;
        return true;
    }
    visit->first_byte = ranges.items[0].first;
    x->response.status = 206;
    x->response.body =
        ranges_body(&x->arena, &x->response.fields, &ranges, length, source_of(visit));
    return true;
}

/* What was stored has none: it is taken off then. */
static void add_age(struct cache_visit *visit, int64_t now)
{
    struct exchange *x = visit->x;
    int64_t age = cache_age(&visit->object->terms, now) / SECONDS(1);
    if (visit->forward != NULL && age == 0)
        return;
    struct buffer text = buffer_in(&x->arena, 24);
    buffer_append_u64(&text, (uint64_t)age);
    fields_append_checked(&x->response.fields, FIELD_AGE, field_name_of(FIELD_AGE),
                          buffer_slice(&text));
}

static bool open_content(struct cache_visit *visit)
{
    struct content *content = visit->object->content;
    if (visit->is_reading && visit->cursor.content != content) {
        content_close(&visit->cursor);
        visit->is_reading = false;
    }
    if (!visit->is_reading && !content_open(content, &visit->cursor))
        return false;
    visit->is_reading = true;
    return true;
}

/* The head as it is stored, and what is of this answer alone. */
static void begin_response(struct cache_visit *visit)
{
    struct exchange *x = visit->x;
    const struct object *object = visit->object;
    struct response *response = &x->response;
    object_fields(object, &x->arena, FIELDS_MORE, &response->fields);
    response->written = (struct fields_written){object->fields, object->fields_count, object->head};
    response->status = object->status;
    response->is_ours = false;
    response->has_length = false;
    add_age(visit, loop_now());
    if (x->id_name.size > 0)
        exchange_set_id(x, &response->fields); /* what is stored may have one of that name */
    else if (x->request_id.size > 0)
        fields_append_checked(&response->fields, FIELD_X_REQUEST_ID,
                              field_name_of(FIELD_X_REQUEST_ID), x->request_id);
}

static void give_whole(struct cache_visit *visit, int64_t length)
{
    struct exchange *x = visit->x;
    struct response *response = &x->response;
    response->body = whole_body(visit, length);
    response->has_length = x->request.head.method == METHOD_HEAD && length >= 0;
    response->length = (uint64_t)(length < 0 ? 0 : length);
}

/* Small ones, as most are: the body lies there in one piece, and the visit holds it. */
static bool answer_at_once(struct cache_visit *visit)
{
    struct exchange *x = visit->x;
    struct slice bytes;
    if (visit->is_reading || visit->object->slices.size > 0 ||
        fields_find(&x->request.head.fields, FIELD_RANGE) != NULL ||
        !content_at_once(visit->object->content, &bytes))
        return false;
    begin_response(visit);
    struct body_text *body = arena_alloc(&x->arena, sizeof *body);
    body_text_init(body, bytes);
    x->response.body = &body->body;
    x->response.has_length = x->request.head.method == METHOD_HEAD;
    x->response.length = bytes.size;
    return true;
}

static bool is_not_modified(const struct cache_visit *visit)
{
    struct exchange *x = visit->x;
    return visit->object->status == 200 &&
           conditional_check_cached(x->request.head.method, &x->request.head.fields,
                                    &visit->object->validators,
                                    &x->arena) == CONDITION_NOT_MODIFIED;
}

bool cache_answer(struct cache_visit *visit)
{
    struct exchange *x = visit->x;
    struct object *object = visit->object;
    struct response *response = &x->response;
    visit->first_byte = 0;
    if (answer_at_once(visit)) {
        if (is_not_modified(visit))
            answer_not_modified(x);
        visit->is_answered = true;
        cache_say(visit);
        return true;
    }
    if (!open_content(visit))
        return false;
    int64_t length = length_of(object);
    begin_response(visit);
    if (is_not_modified(visit))
        answer_not_modified(x);
    else if (object->status != 200 || length < 0 || !answer_parts(visit, (uint64_t)length))
        give_whole(visit, length);
    bool has_body = x->request.head.method != METHOD_HEAD && response->body->length != 0;
    if (object->slices.size > 0 && has_body && cache_slices_ready(visit, visit->first_byte) != OK)
        return false;
    visit->is_answered = true;
    cache_say(visit);
    return true;
}

void cache_note(struct cache_visit *visit, enum store_result result, enum cache_why why)
{
    visit->why = why;
    visit->x->cached = store_result_name(result);
    visit->x->cached_why = cache_why_text(why);
    store_count(visit->config->cache->store, result);
}

/* RFC 9211 §2.2: what was fresh and yet not used is not called stale. */
static const char *forward_of(const struct cache_visit *visit)
{
    bool is_asked = visit->why == CACHE_WHY_CLIENT_NO_CACHE ||
                    visit->why == CACHE_WHY_CLIENT_MAX_AGE ||
                    visit->why == CACHE_WHY_CLIENT_MIN_FRESH;
    if (visit->stale != NULL && is_asked)
        return "request";
    return visit->has_others && strcmp(visit->forward, "uri-miss") == 0 ? "vary-miss"
                                                                        : visit->forward;
}

static void say_time_left(const struct cache_visit *visit, struct buffer *text)
{
    struct cache_terms terms = object_terms(visit->object);
    int64_t left = cache_time_left(&terms, loop_now());
    buffer_append(text, left < 0 ? SLICE("; ttl=-") : SLICE("; ttl="));
    buffer_append_u64(text, (uint64_t)(left < 0 ? -left : left) / SECONDS(1));
}

void cache_say(struct cache_visit *visit)
{
    struct exchange *x = visit->x;
    struct buffer text = buffer_in(&x->arena, visit->forward == NULL ? HIT_SIZE : STATUS_SIZE);
    if (visit->forward == NULL)
        buffer_append(&text, SLICE("weir; hit"));
    else
        buffer_format(&text, "weir; fwd=%s", forward_of(visit));
    if (visit->forward_status != 0)
        buffer_format(&text, "; fwd-status=%d", visit->forward_status);
    if (visit->object != NULL && visit->is_answered)
        say_time_left(visit, &text);
    if (visit->is_stored)
        buffer_append(&text, SLICE("; stored"));
    if (visit->is_collapsed)
        buffer_append(&text, SLICE("; collapsed"));
    if (visit->why != CACHE_WHY_NONE)
        buffer_format(&text, "; detail=%s", cache_why_text(visit->why));
    fields_append_checked(&x->response.fields, FIELD_CACHE_STATUS,
                          field_name_of(FIELD_CACHE_STATUS), buffer_slice(&text));
}
