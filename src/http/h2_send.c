/* SPDX-License-Identifier: Apache-2.0 */
/* What goes: heads are handed to the engine, bodies stay with their owners until the engine asks
 * for as much as the windows, the priorities and the room allow. */
#include "base/check.h"
#include "http/h1_fields.h"
#include "http/h1_write.h"
#include "http/h2_inside.h"

#include <endian.h>

enum {
    FRAME_HEAD_SIZE = 9,
    ROOM_MIN = 1024, /* less is left for the next time: no frames of a few bytes */
    LENGTH_SIZE = 20,
    LOWER_NAME_MAX = 24,
    PSEUDO_MAX = 4,
    EXTRA_MAX = 3,   /* content-length, date, te */
    NAME_EVERY = 64, /* heads: then a name is said in full, lest it has left the table */
};

/* Known names as they stand in HTTP/2, written once before the first session. */
static char lower_text[FIELD_IDS][LOWER_NAME_MAX];
static struct slice lower_names[FIELD_IDS];

void h2_prepare_names(void)
{
    for (int id = FIELD_OTHER + 1; id < FIELD_IDS; id++) {
        struct slice name = field_name_of((enum field_id)id);
        check(name.size <= LOWER_NAME_MAX);
        for (size_t i = 0; i < name.size; i++)
            lower_text[id][i] = ascii_lower(name.data[i]);
        lower_names[id] = slice_of(lower_text[id], name.size);
    }
}

static nghttp2_nv pair(struct slice name, struct slice value, uint8_t flags)
{
    return (nghttp2_nv){(uint8_t *)(uintptr_t)name.data, (uint8_t *)(uintptr_t)value.data,
                        name.size, value.size, flags};
}

/* A name that stays where it is. */
static nghttp2_nv known(const char *name, struct slice value)
{
    return pair(slice_from_cstring(name), value, NGHTTP2_NV_FLAG_NO_COPY_NAME);
}

static bool is_listed(const struct fields *fields, struct slice name)
{
    for (uint32_t i = 0; i < fields->count; i++)
        if (fields->items[i].id == FIELD_CONNECTION && slice_list_has(fields->items[i].value, name))
            return true;
    return false;
}

/* Secrets, and what will never be said again: that would only fill the other side's table, and make
 * each search of ours longer. The name of what is in every head is worth a place there. */
static bool is_kept_out(const struct h2_session *session, enum field_id id)
{
    return id == FIELD_AUTHORIZATION || id == FIELD_COOKIE || id == FIELD_SET_COOKIE ||
           (id == FIELD_X_REQUEST_ID && session->heads_sent % NAME_EVERY != 0);
}

/* Appends the fields that are passed on; what belongs to one hop is not. */
static size_t add_fields(struct h2_session *session, nghttp2_nv *pairs, size_t count,
                         const struct fields *fields, bool is_request)
{
    bool has_list = fields_find(fields, FIELD_CONNECTION) != NULL;
    for (uint32_t i = 0; i < fields->count; i++) {
        const struct field *field = &fields->items[i];
        enum field_id id = (enum field_id)field->id;
        if (h1_is_hop_field(id) || id == FIELD_CONTENT_LENGTH ||
            (is_request && (id == FIELD_HOST || id == FIELD_EXPECT)) ||
            (has_list && is_listed(fields, field->name)))
            continue;
        uint8_t flags = is_kept_out(session, id) ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE;
        if (id != FIELD_OTHER)
            pairs[count++] =
                pair(lower_names[id], field->value, flags | NGHTTP2_NV_FLAG_NO_COPY_NAME);
        else
            pairs[count++] = pair(field->name, field->value, flags); /* lower-cased in its copy */
    }
    session->heads_sent++;
    return count;
}

static struct slice number(struct arena *arena, uint64_t value)
{
    struct buffer text = buffer_in(arena, LENGTH_SIZE);
    buffer_append_u64(&text, value);
    return buffer_slice(&text);
}

/* False: there are none that may be sent. */
static bool submit_trailers(struct h2_stream *stream)
{
    const struct fields *trailers = stream->out_trailers;
    stream->out_trailers = NULL;
    if (trailers->count == 0)
        return false;
    nghttp2_nv *pairs = arena_alloc(stream->arena, trailers->count * sizeof *pairs);
    size_t count = 0;
    for (uint32_t i = 0; i < trailers->count; i++) {
        const struct field *field = &trailers->items[i];
        if (h1_may_trail(field))
            pairs[count++] =
                field->id == FIELD_OTHER
                    ? pair(field->name, field->value, NGHTTP2_NV_FLAG_NONE)
                    : pair(lower_names[field->id], field->value, NGHTTP2_NV_FLAG_NO_COPY_NAME);
    }
    return count > 0 &&
           nghttp2_submit_trailer(stream->session->engine, stream->id, pairs, count) == 0;
}

static ssize_t read_body(nghttp2_session *engine, int32_t id, uint8_t *into, size_t room,
                         uint32_t *flags, nghttp2_data_source *source, void *user_data)
{
    struct h2_stream *stream = h2_stream_of(user_data, id);
    (void)engine, (void)into, (void)source;
    if (stream == NULL)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    size_t size = stream->out[0].size + stream->out[1].size;
    if (size == 0 && !stream->out_last) {
        stream->is_deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (size > room)
        return (ssize_t)room;
    if (stream->out_last) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (stream->out_trailers != NULL && submit_trailers(stream))
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    }
    return (ssize_t)size;
}

/* Moves `size` bytes of the stream's body to the output. */
static void copy_body(struct h2_session *session, struct h2_stream *stream, size_t size)
{
    for (int i = 0; i < 2 && size > 0; i++) {
        struct slice *part = &stream->out[i];
        size_t taken = part->size < size ? part->size : size;
        if (taken == 0)
            continue;
        buffer_append(session->out, slice_first(*part, taken));
        *part = slice_from(*part, taken);
        stream->out_taken += taken;
        size -= taken;
    }
    check(size == 0 && !session->out->is_full);
}

static int send_data(nghttp2_session *engine, nghttp2_frame *frame, const uint8_t *head,
                     size_t size, nghttp2_data_source *source, void *user_data)
{
    struct h2_session *session = user_data;
    struct h2_stream *stream = h2_stream_of(session, frame->hd.stream_id);
    (void)engine, (void)source;
    if (stream == NULL)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    if (session->out->capacity - session->out->size < FRAME_HEAD_SIZE + size)
        return NGHTTP2_ERR_WOULDBLOCK;
    check(size <= stream->out[0].size + stream->out[1].size);
    buffer_append(session->out, slice_of((const char *)head, FRAME_HEAD_SIZE));
    copy_body(session, stream, size);
    session->data_sent++;
    session->payload_bytes += size;
    session->events->changed(session->owner, stream);
    return session->out->capacity - session->out->size < ROOM_MIN ? NGHTTP2_ERR_PAUSE : 0;
}

static ssize_t frame_length(nghttp2_session *engine, uint8_t type, int32_t id,
                            int32_t session_window, int32_t stream_window, uint32_t frame_max,
                            void *user_data)
{
    const struct h2_session *session = user_data;
    (void)engine, (void)type, (void)id;
    size_t room = session->out->capacity - session->out->size;
    size_t length = room > FRAME_HEAD_SIZE + 1 ? room - FRAME_HEAD_SIZE : 1;
    if (length > frame_max)
        length = frame_max;
    if (length > (size_t)session_window)
        length = (size_t)session_window;
    if (length > (size_t)stream_window)
        length = (size_t)stream_window;
    return (ssize_t)length;
}

static int on_frame_sent(nghttp2_session *engine, const nghttp2_frame *frame, void *user_data)
{
    struct h2_session *session = user_data;
    (void)engine;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
    case NGHTTP2_DATA:
        if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) {
            struct h2_stream *stream = h2_stream_of(session, frame->hd.stream_id);
            if (stream != NULL) {
                stream->out_done = true;
                session->events->changed(session->owner, stream);
            }
        }
        break;
    case NGHTTP2_RST_STREAM:
        if (session->role == H2_SERVER && frame->rst_stream.error_code != H2_NO_ERROR)
            h2_count_reset(session);
        break;
    case NGHTTP2_GOAWAY:
        session->is_leaving = true;
        break;
    default:
        break;
    }
    return 0;
}

void h2_set_send_callbacks(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_send_data_callback(callbacks, send_data);
    nghttp2_session_callbacks_set_data_source_read_length_callback(callbacks, frame_length);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
}

static void take_rest(struct h2_session *session)
{
    struct buffer *out = session->out;
    size_t room = out->capacity - out->size;
    if (session->rest_size == 0)
        return;
    size_t size = session->rest_size < room ? session->rest_size : room;
    buffer_append(out, slice_of((const char *)session->rest, size));
    session->rest += size;
    session->rest_size -= size;
}

/* The engine ends a connection that opens a stream too many, where only that stream is to be
 * refused (RFC 9113 §5.1.2). So it is told twice the number; what goes out in our first frame,
 * whose first entry this is, is the true one. */
static void tell_streams(struct h2_session *session, const uint8_t *frame, size_t size)
{
    static const size_t AT = FRAME_HEAD_SIZE + 2;
    uint32_t streams = htobe32(session->limits.streams);
    if (session->has_spoken || session->role != H2_SERVER)
        return;
    session->has_spoken = true;
    check(frame[3] == NGHTTP2_SETTINGS && size >= AT + sizeof streams);
    memcpy((uint8_t *)(uintptr_t)frame + AT, &streams, sizeof streams);
}

size_t h2_session_fill(struct h2_session *session, char *into, size_t room)
{
    struct buffer out = buffer_fixed(into, room);
    session->out = &out;
    check(room >= 2 * ROOM_MIN);
    for (;;) {
        h2_end_if_doomed(session);
        take_rest(session);
        if (out.capacity - out.size < ROOM_MIN)
            break;
        ssize_t size = nghttp2_session_mem_send(session->engine, &session->rest);
        if (size <= 0) {
            session->is_over = session->is_over || size < 0;
            break;
        }
        session->rest_size = (size_t)size;
        tell_streams(session, session->rest, session->rest_size);
    }
    session->out = NULL;
    return out.size;
}

bool h2_session_has_output(const struct h2_session *session)
{
    return session->rest_size > 0 || nghttp2_session_want_write(session->engine) != 0;
}

enum status h2_stream_request(struct h2_session *session, struct h2_stream *stream,
                              const struct h2_request *request)
{
    const struct fields *fields = request->fields;
    nghttp2_nv *pairs =
        arena_alloc(stream->arena, (PSEUDO_MAX + EXTRA_MAX + fields->count) * sizeof *pairs);
    size_t count = 0;
    pairs[count++] = known(":method", request->method);
    pairs[count++] = known(":scheme", request->scheme);
    pairs[count++] = known(":authority", request->authority);
    pairs[count++] = known(":path", request->path);
    count = add_fields(session, pairs, count, fields, true);
    const struct field *te = fields_find(fields, FIELD_TE);
    if (te != NULL && slice_list_has(te->value, SLICE("trailers")))
        pairs[count++] = known("te", SLICE("trailers"));
    if (request->length > 0 || (request->length == 0 && request->has_meaning))
        pairs[count++] = known("content-length", number(stream->arena, (uint64_t)request->length));
    nghttp2_data_provider provider = {.read_callback = read_body};
    int32_t id = nghttp2_submit_request(session->engine, NULL, pairs, count,
                                        request->length == 0 ? NULL : &provider, stream);
    if (id < 0)
        return ERR_LIMIT;
    stream->session = session;
    stream->id = id;
    session->streams++;
    list_append(&session->open, &stream->link);
    return OK;
}

void h2_stream_interim(struct h2_stream *stream, int status, const struct fields *fields)
{
    if (stream->session == NULL)
        return;
    nghttp2_nv *pairs = arena_alloc(stream->arena, (1 + fields->count) * sizeof *pairs);
    pairs[0] = known(":status", number(stream->arena, (uint64_t)status));
    size_t count = add_fields(stream->session, pairs, 1, fields, false);
    nghttp2_submit_headers(stream->session->engine, NGHTTP2_FLAG_NONE, stream->id, NULL, pairs,
                           count, NULL);
}

void h2_stream_respond(struct h2_stream *stream, int status, const struct fields *fields,
                       int64_t length, struct slice date, bool has_body)
{
    if (stream->session == NULL)
        return;
    nghttp2_nv *pairs = arena_alloc(stream->arena, (1 + EXTRA_MAX + fields->count) * sizeof *pairs);
    pairs[0] = known(":status", number(stream->arena, (uint64_t)status));
    size_t count = add_fields(stream->session, pairs, 1, fields, false);
    if (length >= 0)
        pairs[count++] = known("content-length", number(stream->arena, (uint64_t)length));
    if (date.size > 0 && fields_find(fields, FIELD_DATE) == NULL)
        pairs[count++] = known("date", date);
    nghttp2_data_provider provider = {.read_callback = read_body};
    if (nghttp2_submit_response(stream->session->engine, stream->id, pairs, count,
                                has_body ? &provider : NULL) != 0)
        stream->session->is_over = true; /* its memory has reached the bound */
}

bool h2_stream_fits(const struct h2_stream *stream, size_t size, size_t together)
{
    if (stream->session == NULL)
        return false;
    nghttp2_session *engine = stream->session->engine;
    return nghttp2_session_get_stream_remote_window_size(engine, stream->id) >= (int64_t)size &&
           nghttp2_session_get_remote_window_size(engine) >= (int64_t)together;
}

void h2_stream_send(struct h2_stream *stream)
{
    if (stream->session == NULL || !stream->is_deferred)
        return;
    stream->is_deferred = false;
    nghttp2_session_resume_data(stream->session->engine, stream->id);
}
