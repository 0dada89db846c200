/* SPDX-License-Identifier: Apache-2.0 */
/* What comes: heads are built, bodies are kept, ends are judged. */
#include "base/check.h"
#include "http/h2_inside.h"

enum {
    INTERIM_MAX = 8,
    CONTINUATIONS_MAX = 8,
    FRAME_SIZE_MAX = 16384, /* what everybody takes: we announce no more (RFC 9113 §4.2) */
};

static void reset(struct h2_session *session, struct h2_stream *stream, enum h2_error error)
{
    if (stream->is_reset)
        return;
    stream->is_reset = true;
    nghttp2_submit_rst_stream(session->engine, NGHTTP2_FLAG_NONE, stream->id, error);
}

static struct h2_stream **place_of(struct h2_session *session, int32_t id)
{
    return &session->found[(uint32_t)id / 2 % H2_FOUND];
}

/* Several callbacks ask for the same one, those of other streams in between. */
struct h2_stream *h2_stream_of(struct h2_session *session, int32_t id)
{
    struct h2_stream **place = place_of(session, id);
    if (*place == NULL || (*place)->id != id) {
        struct h2_stream *stream = nghttp2_session_get_stream_user_data(session->engine, id);
        if (stream != NULL)
            *place = stream;
        return stream;
    }
    return *place;
}

static int go_on(const struct h2_session *session)
{
    return session->doom == 0 ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int stop_or_pause(struct h2_session *session)
{
    int status = go_on(session);
    return status == 0 ? h2_pause_if_much(session) : status;
}

/* Numbers that were left out cannot be used later (RFC 9113 §5.1.1). Others below the last one are
 * of streams that are closed: what still comes for them is passed over. */
static void judge_number(struct h2_session *session, int32_t id)
{
    if (session->role != H2_SERVER || id % 2 == 0)
        return;
    if (id >= session->gap_first && id < session->gap_end)
        h2_doom(session, H2_PROTOCOL_ERROR, "h2: a stream's number goes back");
    if (id <= session->last_id)
        return;
    if (id > session->last_id + 2) {
        session->gap_first = session->last_id + 1;
        session->gap_end = id;
    }
    session->last_id = id;
}

/* A setting that makes a window overflow is an error of the connection (RFC 9113 §6.9.2), where the
 * engine resets the stream. */
static void judge_windows(struct h2_session *session, bool is_before)
{
    nghttp2_session *engine = session->engine;
    int64_t initial =
        nghttp2_session_get_remote_settings(engine, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE);
    LIST_EACH(link, &session->open)
    {
        struct h2_stream *stream = LIST_ENTRY(link, struct h2_stream, link);
        if (is_before)
            stream->window = nghttp2_session_get_stream_remote_window_size(engine, stream->id);
        else if (stream->window + initial - session->initial_window > INT32_MAX)
            h2_doom(session, H2_FLOW_CONTROL_ERROR, "h2: a setting lets a window overflow");
    }
    session->initial_window = initial;
}

/* A head of a stream that is closed, or that comes when no new ones are taken: the engine decodes
 * it and tells nobody, not even of its CONTINUATION frames. */
static void judge_place(struct h2_session *session, const nghttp2_frame_hd *frame)
{
    bool is_new = frame->stream_id > session->last_id;
    const struct h2_stream *stream = is_new ? NULL : h2_stream_of(session, frame->stream_id);
    bool is_lost = is_new ? session->is_final : stream == NULL || stream->is_reset;
    if (session->role == H2_CLIENT || !is_lost)
        return;
    h2_count_lost_head(session, frame->length);
    session->goes_on_lost = (frame->flags & NGHTTP2_FLAG_END_HEADERS) == 0;
    session->went_on_lost = session->went_on_lost || session->goes_on_lost;
}

static int on_begin_frame(nghttp2_session *engine, const nghttp2_frame_hd *frame, void *user_data)
{
    struct h2_session *session = user_data;
    (void)engine;
    if (frame->type != NGHTTP2_CONTINUATION) {
        session->is_in_head = false; /* it ended, or was refused */
        session->continuations = 0;
    } else if (frame->length > FRAME_SIZE_MAX) {
        h2_doom(session, H2_FRAME_SIZE_ERROR, "h2: a CONTINUATION frame is too large");
    } else if (++session->continuations > CONTINUATIONS_MAX) {
        h2_doom(session, H2_ENHANCE_YOUR_CALM, "h2: too many CONTINUATION frames");
    }
    session->goes_on_lost = false;
    if (frame->type == NGHTTP2_HEADERS) {
        judge_place(session, frame);
        judge_number(session, frame->stream_id);
    }
    if (frame->type == NGHTTP2_SETTINGS)
        judge_windows(session, true);
    if (frame->type == NGHTTP2_PRIORITY && frame->stream_id == 0)
        h2_doom(session, H2_PROTOCOL_ERROR, "h2: the priority of no stream");
    bool is_of_stream = frame->type == NGHTTP2_DATA || frame->type == NGHTTP2_RST_STREAM;
    h2_count_frame(session, frame, is_of_stream && h2_stream_of(session, frame->stream_id) != NULL);
    return go_on(session);
}

static void begin_request(struct h2_session *session, int32_t id)
{
    bool is_full = session->streams >= session->limits.streams;
    struct h2_stream *stream = is_full ? NULL : session->events->begin(session->owner, id);
    if (stream == NULL) {
        /* Its fields are told all the same, and passed over there: they cost what others cost. */
        nghttp2_submit_rst_stream(session->engine, NGHTTP2_FLAG_NONE, id, H2_REFUSED_STREAM);
        return;
    }
    stream->session = session;
    stream->id = id;
    session->streams++;
    list_append(&session->open, &stream->link);
    nghttp2_session_set_stream_user_data(session->engine, id, stream);
    h2_head_begin(&session->head, H2_BLOCK_REQUEST, &session->limits, stream->arena,
                  &stream->request->fields);
    session->head_stream = stream;
}

static int on_begin_headers(nghttp2_session *engine, const nghttp2_frame *frame, void *user_data)
{
    struct h2_session *session = user_data;
    (void)engine;
    session->is_in_head = true;
    session->head_stream = NULL;
    session->unwanted = 0;
    if (session->role == H2_SERVER && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        begin_request(session, frame->hd.stream_id);
        return 0;
    }
    struct h2_stream *stream = h2_stream_of(session, frame->hd.stream_id);
    if (stream == NULL)
        return 0; /* of one that its owner has left */
    session->head_stream = stream;
    if (session->role == H2_CLIENT && !stream->has_head) {
        memset(stream->response, 0, sizeof *stream->response);
        fields_init(&stream->response->fields, stream->arena, NULL, 0);
        h2_head_begin(&session->head, H2_BLOCK_RESPONSE, &session->limits, stream->arena,
                      &stream->response->fields);
    } else {
        fields_init(&stream->trailers, stream->arena, NULL, 0);
        h2_head_begin(&session->head, H2_BLOCK_TRAILERS, &session->limits, stream->arena,
                      &stream->trailers);
    }
    return 0;
}

static int on_header(nghttp2_session *engine, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags,
                     void *user_data)
{
    struct h2_session *session = user_data;
    (void)engine, (void)frame, (void)flags;
    session->effort += H2_EFFORT_FIELD;
    if (session->head_stream == NULL) {
        if (++session->unwanted > session->limits.head.fields_count)
            h2_count_ignored(session);
        return stop_or_pause(session);
    }
    uint32_t ignored = session->head.ignored;
    h2_head_add(&session->head, slice_of((const char *)name, name_size),
                slice_of((const char *)value, value_size));
    if (session->head.ignored == ignored)
        session->effort += (uint32_t)(name_size + value_size) * H2_EFFORT_KEPT_BYTE;
    else
        h2_count_ignored(session);
    return stop_or_pause(session);
}

static void forget(struct h2_session *session, struct h2_stream *stream)
{
    struct h2_stream **place = place_of(session, stream->id);
    list_remove(&stream->link);
    session->streams--;
    stream->session = NULL;
    stream->is_closed = true;
    if (session->head_stream == stream)
        session->head_stream = NULL;
    if (*place == stream)
        *place = NULL;
}

/* The engine has it still, and must not tell of it. */
static void leave(struct h2_session *session, struct h2_stream *stream)
{
    nghttp2_session_set_stream_user_data(session->engine, stream->id, NULL);
    forget(session, stream);
}

/* A head that was never told of: its owner may throw it away. */
static void drop(struct h2_session *session, struct h2_stream *stream)
{
    leave(session, stream);
    session->events->drop(session->owner, stream);
}

static void end_of_stream(struct h2_session *session, struct h2_stream *stream)
{
    if (stream->has_head && h2_body_end(stream))
        stream->is_ended = true;
    else
        reset(session, stream, H2_PROTOCOL_ERROR);
}

static void request_is_whole(struct h2_session *session, struct h2_stream *stream, bool ends)
{
    struct h2_head *head = &session->head;
    h2_head_end_request(head, ends, stream->request);
    if (head->is_malformed) {
        reset(session, stream, H2_PROTOCOL_ERROR);
        h2_count_glitch(session);
        drop(session, stream);
        return;
    }
    session->effort += H2_EFFORT_REQUEST;
    h2_priority_of_new(session, stream);
    stream->has_head = true;
    stream->has_length = head->has_length;
    stream->declared = head->length;
    stream->is_tunnel = stream->request->upgrade.size > 0;
    stream->method = stream->request->method;
    if (ends)
        end_of_stream(session, stream);
    session->events->head(session->owner, stream, head->refusal);
}

static void keep_interim(struct h2_stream *stream)
{
    struct h2_interim *interim = arena_alloc(stream->arena, sizeof *interim);
    *interim = (struct h2_interim){NULL, stream->response->status, stream->response->fields};
    struct h2_interim **last = &stream->interims;
    while (*last != NULL)
        last = &(*last)->next;
    *last = interim;
    stream->interims_count++;
}

static void response_is_whole(struct h2_session *session, struct h2_stream *stream, bool ends)
{
    struct h2_head *head = &session->head;
    h2_head_end_response(head, ends, stream->method, stream->response);
    bool is_interim = stream->response->status >= 100 && stream->response->status < 200;
    if (head->is_malformed || head->refusal != REFUSAL_NONE ||
        (is_interim && stream->interims_count >= INTERIM_MAX)) {
        reset(session, stream, H2_PROTOCOL_ERROR);
        return;
    }
    if (is_interim) {
        keep_interim(stream);
    } else {
        stream->has_head = true;
        bool is_bodiless = stream->response->framing == FRAMING_NONE;
        stream->has_length = is_bodiless || stream->response->framing == FRAMING_LENGTH;
        stream->declared = is_bodiless ? 0 : head->length;
        if (ends)
            end_of_stream(session, stream);
    }
    session->events->changed(session->owner, stream);
}

static void on_headers(struct h2_session *session, const nghttp2_frame *frame)
{
    struct h2_stream *stream = session->head_stream;
    bool ends = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    session->is_in_head = false;
    if (stream == NULL)
        return;
    session->head_stream = NULL;
    switch (session->head.kind) {
    case H2_BLOCK_REQUEST:
        request_is_whole(session, stream, ends);
        return;
    case H2_BLOCK_RESPONSE:
        response_is_whole(session, stream, ends);
        return;
    case H2_BLOCK_TRAILERS:
        h2_head_end_trailers(&session->head);
        if (session->head.is_malformed || session->head.refusal != REFUSAL_NONE || !ends)
            reset(session, stream, H2_PROTOCOL_ERROR);
        else
            end_of_stream(session, stream);
        session->events->changed(session->owner, stream);
        return;
    }
}

static int on_frame(nghttp2_session *engine, const nghttp2_frame *frame, void *user_data)
{
    struct h2_session *session = user_data;
    (void)engine;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        on_headers(session, frame);
        break;
    case NGHTTP2_DATA: {
        struct h2_stream *stream = h2_stream_of(session, frame->hd.stream_id);
        if (stream == NULL || (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0)
            break;
        end_of_stream(session, stream);
        session->events->changed(session->owner, stream);
        break;
    }
    case NGHTTP2_RST_STREAM:
        if (session->role == H2_SERVER)
            h2_count_reset(session);
        break;
    case NGHTTP2_GOAWAY:
        session->is_leaving = true;
        break;
    case NGHTTP2_SETTINGS:
        if (frame->hd.flags & NGHTTP2_FLAG_ACK)
            break;
        judge_windows(session, false);
        hpack_encoder_limit(&session->encoder,
                            nghttp2_session_get_remote_settings(
                                session->engine, NGHTTP2_SETTINGS_HEADER_TABLE_SIZE));
        break;
    case NGHTTP2_PING:
        if (frame->hd.flags & NGHTTP2_FLAG_ACK)
            session->pongs++;
        break;
    default:
        break;
    }
    return go_on(session);
}

static int on_invalid_frame(nghttp2_session *engine, const nghttp2_frame *frame, int error,
                            void *user_data)
{
    struct h2_session *session = user_data;
    (void)engine, (void)error;
    h2_count_glitch(session);
    if (frame->hd.type == NGHTTP2_HEADERS) {
        struct h2_stream *stream = session->head_stream;
        session->is_in_head = false;
        session->head_stream = NULL;
        if (stream != NULL && stream->id == frame->hd.stream_id && session->role == H2_SERVER &&
            !stream->has_head)
            drop(session, stream);
    }
    return go_on(session);
}

static int on_data(nghttp2_session *engine, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t size, void *user_data)
{
    struct h2_session *session = user_data;
    struct h2_stream *stream = h2_stream_of(session, id);
    (void)flags;
    if (stream == NULL || stream->is_reset) {
        /* Nobody wants it: the connection's window is for the others. */
        nghttp2_session_consume(engine, id, size);
        return 0;
    }
    stream->received += size;
    if (!stream->has_head || (stream->has_length && stream->received > stream->declared)) {
        nghttp2_session_consume(engine, id, size);
        reset(session, stream, H2_PROTOCOL_ERROR);
        return 0;
    }
    if (!h2_body_may_keep(session, stream, size)) {
        nghttp2_session_consume(engine, id, size);
        reset(session, stream, H2_ENHANCE_YOUR_CALM);
        return 0;
    }
    h2_body_keep(stream, (const char *)data, size);
    session->events->changed(session->owner, stream);
    return h2_pause_if_much(session);
}

void h2_stream_closed(struct h2_session *session, struct h2_stream *stream, uint32_t error)
{
    size_t unread = h2_body_unread(stream);
    forget(session, stream);
    /* The owner still reads what came of a stream that ended well; the window is opened now. */
    if (unread > 0)
        nghttp2_session_consume_connection(session->engine, unread);
    stream->error = error;
}

static int on_stream_close(nghttp2_session *engine, int32_t id, uint32_t error, void *user_data)
{
    struct h2_session *session = user_data;
    struct h2_stream *stream = h2_stream_of(session, id);
    (void)engine;
    if (stream == NULL)
        return 0;
    bool was_told = stream->has_head || session->role == H2_CLIENT;
    h2_stream_closed(session, stream, error);
    if (was_told)
        session->events->changed(session->owner, stream);
    else
        session->events->drop(session->owner, stream);
    return 0;
}

void h2_stream_reset(struct h2_stream *stream, enum h2_error error)
{
    if (stream->session != NULL)
        reset(stream->session, stream, error);
}

void h2_stream_release(struct h2_stream *stream, enum h2_error error)
{
    struct h2_session *session = stream->session;
    h2_body_drop(session, stream);
    if (session == NULL)
        return;
    reset(session, stream, error);
    leave(session, stream);
}

void h2_set_receive_callbacks(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
}
