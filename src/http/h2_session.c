/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a session. libnghttp2 reads and writes the frames, holds the header tables, windows
 * and priorities; what heads may say, what bodies are and what all of it may cost is ours. */
#include "base/check.h"
#include "http/h2_inside.h"

#include <pthread.h>
#include <stdlib.h>

enum {
    MEMORY_MAX = 1024 * 1024, /* of the engine, for one connection */
    STREAMS_MAX_UNTOLD = 100, /* of a server, before it has said how many it takes */
    CONTINUATIONS_MAX = 1000, /* the engine counts pieces of frames; we count frames */
    ACKS_MAX = 1000,
    SETTINGS_MAX = 32,   /* in one frame */
    FIELD_OVERHEAD = 32, /* of a field in a header list's size, RFC 9113 §6.5.2 */
    WINDOW_STANDARD = 65535,
};

const char H2_PREFACE[H2_PREFACE_SIZE + 1] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/* The same for all sessions; made once. */
static nghttp2_session_callbacks *callbacks;
static nghttp2_option *options;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void prepare(void)
{
    check(nghttp2_session_callbacks_new(&callbacks) == 0 && nghttp2_option_new(&options) == 0);
    hpack_prepare();
    h2_set_receive_callbacks(callbacks);
    h2_set_send_callbacks(callbacks);
    nghttp2_option_set_no_auto_window_update(options, 1);
    nghttp2_option_set_no_closed_streams(options, 1);
    /* What heads may say and where bodies end is judged here, once. */
    nghttp2_option_set_no_http_messaging(options, 1);
    nghttp2_option_set_peer_max_concurrent_streams(options, STREAMS_MAX_UNTOLD);
    nghttp2_option_set_max_reserved_remote_streams(options, 0);
    nghttp2_option_set_max_outbound_ack(options, ACKS_MAX);
    nghttp2_option_set_max_settings(options, SETTINGS_MAX);
    nghttp2_option_set_max_continuations(options, CONTINUATIONS_MAX);
    /* By its own clock; ours counts resets of both sides. */
    nghttp2_option_set_stream_reset_rate_limit(options, UINT32_MAX, UINT32_MAX);
    h2_set_priority_callbacks(callbacks, options);
}

static void *engine_alloc(size_t size, void *memory)
{
    return h2_memory_alloc(memory, size);
}

static void engine_free(void *piece, void *memory)
{
    h2_memory_free(memory, piece);
}

static void *engine_zero(size_t count, size_t size, void *memory)
{
    if (size != 0 && count > MEMORY_MAX / size)
        return NULL;
    void *piece = h2_memory_alloc(memory, count * size);
    if (piece != NULL)
        memset(piece, 0, count * size);
    return piece;
}

static void *engine_resize(void *piece, size_t size, void *memory)
{
    return h2_memory_resize(memory, piece, size);
}

static void submit_settings(struct h2_session *session)
{
    const struct h2_limits *limits = &session->limits;
    uint32_t list_size =
        limits->head.fields_size + limits->head.fields_count * (uint32_t)FIELD_OVERHEAD;
    const nghttp2_settings_entry server[] = {
        /* What the engine is told; the client is told h2_limits.streams (h2_send.c). */
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits->streams * 2},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, limits->window},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, list_size},
        {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    };
    const nghttp2_settings_entry client[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, limits->window},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, list_size},
    };
    bool is_server = session->role == H2_SERVER;
    check(nghttp2_submit_settings(session->engine, NGHTTP2_FLAG_NONE, is_server ? server : client,
                                  is_server ? sizeof server / sizeof *server
                                            : sizeof client / sizeof *client) == 0);
    if (limits->connection_window > WINDOW_STANDARD)
        check(nghttp2_session_set_local_window_size(session->engine, NGHTTP2_FLAG_NONE, 0,
                                                    (int32_t)limits->connection_window) == 0);
}

struct h2_session *h2_session_new(enum h2_role role, const struct h2_limits *limits,
                                  const struct h2_events *events, void *owner)
{
    pthread_once(&once, prepare);
    struct h2_session *session = memory_zero(sizeof *session);
    session->role = role;
    session->limits = *limits;
    session->events = events;
    session->owner = owner;
    list_init(&session->open);
    h2_memory_init(&session->memory, MEMORY_MAX);
    hpack_encoder_init(&session->encoder, &session->memory);
    nghttp2_mem memory = {&session->memory, engine_alloc, engine_free, engine_zero, engine_resize};
    int made =
        role == H2_SERVER
            ? nghttp2_session_server_new3(&session->engine, callbacks, session, options, &memory)
            : nghttp2_session_client_new3(&session->engine, callbacks, session, options, &memory);
    check(made == 0);
    submit_settings(session);
    return session;
}

void h2_session_free(struct h2_session *session)
{
    LIST_EACH(link, &session->open)
    {
        struct h2_stream *stream = LIST_ENTRY(link, struct h2_stream, link);
        bool was_told = stream->has_head || session->role == H2_CLIENT;
        h2_stream_closed(session, stream, H2_INTERNAL_ERROR);
        if (was_told)
            session->events->changed(session->owner, stream);
        else
            session->events->drop(session->owner, stream);
    }
    nghttp2_session_del(session->engine);
    hpack_encoder_done(&session->encoder);
    free(session->rest_memory);
    h2_memory_done(&session->memory);
    free(session);
}

static enum status fail(struct h2_session *session, enum status status)
{
    session->is_over = true;
    return status;
}

void h2_end_if_doomed(struct h2_session *session)
{
    if (session->doom == 0 || session->is_over)
        return;
    nghttp2_session_terminate_session(session->engine, session->doom);
    session->is_over = true;
}

static enum status receive(struct h2_session *session, struct slice bytes)
{
    if (session->is_over)
        return ERR_PROTOCOL;
    session->went_on_lost = session->goes_on_lost;
    ssize_t taken =
        nghttp2_session_mem_recv(session->engine, (const uint8_t *)bytes.data, bytes.size);
    h2_count_bytes(session, taken < 0 ? bytes.size : (size_t)taken);
    if (session->went_on_lost && taken > 0)
        h2_count_lost_head(session, (size_t)taken);
    h2_end_if_doomed(session);
    if (session->is_over)
        return ERR_LIMIT;
    if (taken >= 0) {
        session->left = slice_from(bytes, (size_t)taken);
        h2_pause_if_much(session); /* also where the engine could not be stopped */
        return OK;
    }
    switch (taken) {
    case NGHTTP2_ERR_NOMEM:
    case NGHTTP2_ERR_FLOODED:
    case NGHTTP2_ERR_TOO_MANY_CONTINUATIONS:
        session->why = taken == NGHTTP2_ERR_NOMEM     ? "h2: the connection's bookkeeping is full"
                       : taken == NGHTTP2_ERR_FLOODED ? "h2: a flood of frames that want an answer"
                                                      : "h2: too many CONTINUATION frames";
        nghttp2_session_terminate_session(session->engine, H2_ENHANCE_YOUR_CALM);
        return fail(session, ERR_LIMIT);
    case NGHTTP2_ERR_BAD_CLIENT_MAGIC:
        session->why = "h2: the preface is not one";
        break;
    default:
        session->why = "h2: a frame could not be read";
        break;
    }
    nghttp2_session_terminate_session(session->engine, H2_PROTOCOL_ERROR);
    return fail(session, ERR_PROTOCOL);
}

enum status h2_session_receive(struct h2_session *session, struct slice bytes, int64_t now)
{
    check(!session->is_paused);
    if (session->now != now) /* the next turn of the loop */
        session->effort = 0;
    session->now = now;
    return receive(session, bytes);
}

bool h2_session_is_paused(const struct h2_session *session)
{
    return session->is_paused;
}

enum status h2_session_go_on(struct h2_session *session, int64_t now)
{
    check(session->is_paused);
    session->is_paused = false;
    session->effort = 0;
    session->now = now;
    return receive(session, session->left);
}

bool h2_session_is_over(const struct h2_session *session)
{
    return session->is_over ||
           (nghttp2_session_want_read(session->engine) == 0 &&
            nghttp2_session_want_write(session->engine) == 0 && session->rest_size == 0);
}

const char *h2_session_why(const struct h2_session *session)
{
    return session->why == NULL ? "" : session->why;
}

void h2_session_shutdown(struct h2_session *session, bool final)
{
    if (!final)
        nghttp2_submit_shutdown_notice(session->engine);
    else
        nghttp2_submit_goaway(session->engine, NGHTTP2_FLAG_NONE,
                              nghttp2_session_get_last_proc_stream_id(session->engine), H2_NO_ERROR,
                              NULL, 0);
}

bool h2_session_is_leaving(const struct h2_session *session)
{
    return session->is_leaving || session->is_over || session->doom != 0;
}

bool h2_session_is_suspect(const struct h2_session *session)
{
    return session->glitches >= session->limits.glitches / 4 * 3;
}

uint32_t h2_session_streams(const struct h2_session *session)
{
    return session->streams;
}

uint32_t h2_session_streams_max(const struct h2_session *session)
{
    return nghttp2_session_get_remote_settings(session->engine,
                                               NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
}

bool h2_session_is_in_head(const struct h2_session *session)
{
    return session->is_in_head;
}

size_t h2_session_memory(const struct h2_session *session)
{
    return sizeof *session + session->memory.taken;
}

void h2_session_ping(struct h2_session *session)
{
    nghttp2_submit_ping(session->engine, NGHTTP2_FLAG_NONE, NULL);
}

uint64_t h2_session_pongs(const struct h2_session *session)
{
    return session->pongs;
}
