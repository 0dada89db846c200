/* SPDX-License-Identifier: Apache-2.0 */
/* What goes: heads are handed to the engine, bodies stay with their owners until the engine asks
 * for as much as the windows, the priorities and the room allow. */
#include "base/check.h"
#include "http/h1_fields.h"
#include "http/h1_write.h"
#include "http/h2_inside.h"

#include <endian.h>
#include <stdlib.h>

enum {
    FRAME_HEAD_SIZE = 9,
    ROOM_MIN = 1024, /* less is left for the next time: no frames of a few bytes */
    LENGTH_SIZE = 20,
    EXTRA_MAX = 8,             /* pseudo-fields; content-length, date, te */
    EXTRA_TEXT = 96,           /* of those with a length that is known */
    FRAME_PAYLOAD_MAX = 16384, /* what everybody takes (RFC 9113 §4.2) */
};

/* A head that was said and not yet written: the table that it is written with must change in the
 * order in which heads leave. Its texts are copies, and stand behind each other as their sizes do:
 * it is looked at once, by when its memory is no longer in the processor's cache. */
struct h2_out_head {
    struct h2_out_head *next;
    char *text, *text_end; /* the first, and where the next one goes */
    size_t count;
    struct out_pair {
        uint8_t name;        /* enum hpack_name */
        uint32_t other_size; /* of FIELD_OTHER: its text stands before the value's */
        uint32_t value_size;
    } pairs[];
};

static void add_text(struct h2_out_head *head, struct slice text)
{
    if (text.size > 0)
        memcpy(head->text_end, text.data, text.size);
    head->text_end += text.size;
}

static void add(struct h2_out_head *head, uint8_t name, struct slice value)
{
    head->pairs[head->count++] = (struct out_pair){name, 0, (uint32_t)value.size};
    add_text(head, value);
}

static void add_number(struct h2_out_head *head, uint8_t name, uint64_t value)
{
    char digits[LENGTH_SIZE];
    struct buffer text = buffer_fixed(digits, sizeof digits);
    buffer_append_u64(&text, value);
    add(head, name, buffer_slice(&text));
}

static void add_status(struct h2_out_head *head, int status)
{
    const char digits[] = {(char)('0' + status / 100), (char)('0' + status / 10 % 10),
                           (char)('0' + status % 10)};
    check(status >= 100 && status <= 999);
    add(head, HPACK_STATUS, slice_of(digits, sizeof digits));
}

static void add_field(struct h2_out_head *head, const struct field *field)
{
    if (field->id == FIELD_OTHER) {
        for (size_t i = 0; i < field->name.size; i++)
            *head->text_end++ = ascii_lower(field->name.data[i]);
        add(head, FIELD_OTHER, field->value);
        head->pairs[head->count - 1].other_size = (uint32_t)field->name.size;
        return;
    }
    add(head, field->id, field->value);
}

/* Has room for all these fields and what is put beside them, of which `text` bytes are of texts
 * that may be long. */
static struct h2_out_head *head_new(struct h2_stream *stream, const struct fields *fields,
                                    size_t text)
{
    text += EXTRA_TEXT;
    for (uint32_t i = 0; i < fields->count; i++)
        text += fields->items[i].value.size +
                (fields->items[i].id == FIELD_OTHER ? fields->items[i].name.size : 0);
    size_t size =
        sizeof(struct h2_out_head) + (EXTRA_MAX + fields->count) * sizeof(struct out_pair);
    struct h2_out_head *head = arena_alloc(stream->arena, size + text);
    char *texts = (char *)head + size;
    *head = (struct h2_out_head){.text = texts, .text_end = texts};
    return head;
}

static void head_say(struct h2_stream *stream, struct h2_out_head *head)
{
    struct h2_out_head **last = &stream->out_heads;
    while (*last != NULL)
        last = &(*last)->next;
    *last = head;
}

static bool is_listed(const struct fields *fields, struct slice name)
{
    for (uint32_t i = 0; i < fields->count; i++)
        if (fields->items[i].id == FIELD_CONNECTION && slice_list_has(fields->items[i].value, name))
            return true;
    return false;
}

/* Adds the fields that are passed on; what belongs to one hop is not. */
static void add_fields(struct h2_out_head *head, const struct fields *fields, bool is_request)
{
    bool has_list = fields_find(fields, FIELD_CONNECTION) != NULL;
    for (uint32_t i = 0; i < fields->count; i++) {
        const struct field *field = &fields->items[i];
        enum field_id id = (enum field_id)field->id;
        if (h1_is_hop_field(id) || id == FIELD_CONTENT_LENGTH ||
            (is_request && (id == FIELD_HOST || id == FIELD_EXPECT)) ||
            (has_list && is_listed(fields, field->name)))
            continue;
        add_field(head, field);
    }
}

/* False: there are none that may be sent. */
static bool submit_trailers(struct h2_stream *stream)
{
    const struct fields *trailers = stream->out_trailers;
    stream->out_trailers = NULL;
    if (trailers->count == 0)
        return false;
    struct h2_out_head *head = head_new(stream, trailers, 0);
    for (uint32_t i = 0; i < trailers->count; i++)
        if (h1_may_trail(&trailers->items[i]))
            add_field(head, &trailers->items[i]);
    if (head->count == 0 ||
        nghttp2_submit_trailer(stream->session->engine, stream->id, NULL, 0) != 0)
        return false;
    head_say(stream, head);
    return true;
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

static char *frame_head(char *at, size_t size, unsigned type, unsigned flags, int32_t id)
{
    uint32_t length = htobe32((uint32_t)size << 8);
    uint32_t number = htobe32((uint32_t)id);
    memcpy(at, &length, 3);
    at[3] = (char)type;
    at[4] = (char)flags;
    memcpy(at + 5, &number, sizeof number);
    return at + FRAME_HEAD_SIZE;
}

/* The block stands where it would if it filled one frame; returns the size of all frames. */
static size_t cut_block(char *frames, size_t size, unsigned flags, int32_t id)
{
    if (size <= FRAME_PAYLOAD_MAX) {
        frame_head(frames, size, NGHTTP2_HEADERS, flags, id);
        return FRAME_HEAD_SIZE + size;
    }
    size_t count = (size + FRAME_PAYLOAD_MAX - 1) / FRAME_PAYLOAD_MAX;
    for (size_t i = count; i-- > 0;) {
        size_t start = i * FRAME_PAYLOAD_MAX;
        size_t part = size - start < FRAME_PAYLOAD_MAX ? size - start : FRAME_PAYLOAD_MAX;
        char *frame = frames + i * (FRAME_HEAD_SIZE + FRAME_PAYLOAD_MAX);
        memmove(frame + FRAME_HEAD_SIZE, frames + FRAME_HEAD_SIZE + start, part);
        unsigned of_all = i == count - 1 ? NGHTTP2_FLAG_END_HEADERS : 0;
        if (i == 0)
            of_all |= flags & ~(unsigned)NGHTTP2_FLAG_END_HEADERS;
        frame_head(frame, part, i == 0 ? NGHTTP2_HEADERS : NGHTTP2_CONTINUATION, of_all, id);
    }
    return count * FRAME_HEAD_SIZE + size;
}

static char *encode(struct hpack_encoder *encoder, const struct h2_out_head *head, char *at)
{
    const char *text = head->text;
    at = hpack_begin(encoder, at);
    for (size_t i = 0; i < head->count; i++) {
        const struct out_pair *out = &head->pairs[i];
        struct hpack_pair pair = {
            .name = out->name,
            .other = slice_of(text, out->other_size),
            .value = slice_of(text + out->other_size, out->value_size),
        };
        at = hpack_put(encoder, at, &pair);
        text += out->other_size + out->value_size;
    }
    return at;
}

/* The engine says when a head leaves, and of which stream; what it says is written here. Nothing is
 * of one that its owner has left since: the reset comes behind it. */
static void write_head(struct h2_session *session, const nghttp2_frame_hd *frame)
{
    struct h2_stream *stream = h2_stream_of(session, frame->stream_id);
    if (stream == NULL)
        return;
    check(stream->out_heads != NULL && session->rest_size == 0);
    struct h2_out_head *head = stream->out_heads;
    stream->out_heads = head->next;
    struct buffer *out = session->out;
    size_t bound = hpack_bound(head->count, (size_t)(head->text_end - head->text));
    bool is_short =
        bound <= FRAME_PAYLOAD_MAX && bound + FRAME_HEAD_SIZE <= out->capacity - out->size;
    if (!is_short)
        session->rest_memory =
            memory_alloc(bound + (bound / FRAME_PAYLOAD_MAX + 1) * FRAME_HEAD_SIZE);
    char *into = is_short ? out->data + out->size : session->rest_memory;
    char *block = into + FRAME_HEAD_SIZE;
    size_t size = (size_t)(encode(&session->encoder, head, block) - block);
    size = cut_block(into, size, frame->flags, frame->stream_id);
    session->rest = (const uint8_t *)into;
    session->rest_size = is_short ? 0 : size;
    out->size += is_short ? size : 0;
}

static int on_frame_sent(nghttp2_session *engine, const nghttp2_frame *frame, void *user_data)
{
    struct h2_session *session = user_data;
    (void)engine;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS: /* before the engine closes the stream for it */
        write_head(session, &frame->hd);
        __attribute__((fallthrough));
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
        session->is_final = frame->goaway.last_stream_id != INT32_MAX;
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
    if (session->rest_size == 0) {
        free(session->rest_memory);
        session->rest_memory = NULL;
    }
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
        const uint8_t *frame;
        ssize_t size = nghttp2_session_mem_send(session->engine, &frame);
        if (size <= 0) {
            session->is_over = session->is_over || size < 0;
            break;
        }
        if (frame[3] == NGHTTP2_HEADERS) /* was written by ourselves */
            continue;
        session->rest = frame;
        session->rest_size = (size_t)size;
        tell_streams(session, frame, (size_t)size);
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
    struct h2_out_head *head = head_new(stream, fields,
                                        request->authority.size + request->path.size +
                                            request->method.size + request->scheme.size);
    add(head, HPACK_METHOD, request->method);
    add(head, HPACK_SCHEME, request->scheme);
    add(head, HPACK_AUTHORITY, request->authority);
    add(head, HPACK_PATH, request->path);
    add_fields(head, fields, true);
    const struct field *te = fields_find(fields, FIELD_TE);
    if (te != NULL && slice_list_has(te->value, SLICE("trailers")))
        add(head, FIELD_TE, SLICE("trailers"));
    if (request->length > 0 || (request->length == 0 && request->has_meaning))
        add_number(head, FIELD_CONTENT_LENGTH, (uint64_t)request->length);
    nghttp2_data_provider provider = {.read_callback = read_body};
    int32_t id = nghttp2_submit_request(session->engine, NULL, NULL, 0,
                                        request->length == 0 ? NULL : &provider, stream);
    if (id < 0)
        return ERR_LIMIT;
    stream->session = session;
    stream->id = id;
    session->streams++;
    list_append(&session->open, &stream->link);
    head_say(stream, head);
    return OK;
}

void h2_stream_interim(struct h2_stream *stream, int status, const struct fields *fields)
{
    if (stream->session == NULL)
        return;
    struct h2_out_head *head = head_new(stream, fields, 0);
    add_status(head, status);
    add_fields(head, fields, false);
    if (nghttp2_submit_headers(stream->session->engine, NGHTTP2_FLAG_NONE, stream->id, NULL, NULL,
                               0, NULL) == 0)
        head_say(stream, head);
}

void h2_stream_respond(struct h2_stream *stream, int status, const struct fields *fields,
                       int64_t length, struct slice date, bool has_body)
{
    if (stream->session == NULL)
        return;
    struct h2_out_head *head = head_new(stream, fields, date.size);
    add_status(head, status);
    add_fields(head, fields, false);
    if (length >= 0)
        add_number(head, FIELD_CONTENT_LENGTH, (uint64_t)length);
    if (date.size > 0 && fields_find(fields, FIELD_DATE) == NULL)
        add(head, FIELD_DATE, date);
    nghttp2_data_provider provider = {.read_callback = read_body};
    if (nghttp2_submit_response(stream->session->engine, stream->id, NULL, 0,
                                has_body ? &provider : NULL) != 0)
        stream->session->is_over = true; /* its memory has reached the bound */
    else
        head_say(stream, head);
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
