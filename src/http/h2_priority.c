/* SPDX-License-Identifier: Apache-2.0 */
/* PRIORITY_UPDATE (RFC 9218 §7.1) is read here. The engine would: but one that comes before its
 * stream makes it keep a place in a list, in which it stays when the stream has come and gone. */
#include "http/h2_inside.h"

#include <endian.h>

/* Up to a comma that stands in no string. */
static size_t member_size(struct slice rest)
{
    bool is_quoted = false;
    size_t at = 0;
    for (; at < rest.size && (is_quoted || rest.data[at] != ','); at++) {
        if (is_quoted && rest.data[at] == '\\')
            at++;
        else if (rest.data[at] == '"')
            is_quoted = !is_quoted;
    }
    return at < rest.size ? at : rest.size;
}

struct h2_priority h2_priority_read(struct slice value)
{
    struct h2_priority priority = {.urgency = NGHTTP2_EXTPRI_DEFAULT_URGENCY};
    while (value.size > 0) {
        size_t size = member_size(value);
        struct slice member = slice_trim(slice_first(value, size));
        value = slice_from(value, size + 1);
        member = slice_trim(slice_first(member, slice_find(member, ';')));
        if (member.size == 3 && slice_equal(slice_first(member, 2), SLICE("u=")) &&
            member.data[2] >= '0' && member.data[2] <= '7')
            priority.urgency = (uint8_t)(member.data[2] - '0');
        if (slice_equal(member, SLICE("i")) || slice_equal(member, SLICE("i=?1")))
            priority.is_incremental = true;
        if (slice_equal(member, SLICE("i=?0")))
            priority.is_incremental = false;
    }
    return priority;
}

static void apply(struct h2_session *session, struct h2_priority priority)
{
    const nghttp2_extpri changed = {priority.urgency, priority.is_incremental};
    nghttp2_session_change_extpri_stream_priority(session->engine, priority.id, &changed, 0);
}

/* The newest few are remembered. */
static void remember(struct h2_session *session, struct h2_priority priority)
{
    size_t count = sizeof session->early / sizeof *session->early;
    for (size_t i = 0; i < count; i++)
        if (session->early[i].id == priority.id)
            session->early[i].id = 0;
    session->early[session->early_next++ % count] = priority;
}

static void apply_field(struct h2_session *session, const struct h2_stream *stream)
{
    struct slice value =
        fields_joined(&stream->request->fields, field_name_of(FIELD_PRIORITY), stream->arena);
    struct h2_priority priority = h2_priority_read(value);
    priority.id = stream->id;
    apply(session, priority);
}

void h2_priority_of_new(struct h2_session *session, const struct h2_stream *stream)
{
    for (size_t i = 0; i < session->early_next && i < H2_EARLY_PRIORITIES; i++)
        if (session->early[i].id == stream->id) {
            apply(session, session->early[i]);
            return;
        }
    if (fields_find(&stream->request->fields, FIELD_PRIORITY) != NULL)
        apply_field(session, stream);
}

static int on_chunk(nghttp2_session *engine, const nghttp2_frame_hd *frame, const uint8_t *data,
                    size_t size, void *user_data)
{
    struct h2_session *session = user_data;
    (void)engine, (void)frame;
    size_t room = sizeof session->update - session->update_size;
    if (size > room)
        size = room; /* longer than what has a meaning: the rest is passed over */
    memcpy(session->update + session->update_size, data, size);
    session->update_size += (uint32_t)size;
    return 0;
}

static int on_whole(nghttp2_session *engine, void **payload, const nghttp2_frame_hd *frame,
                    void *user_data)
{
    struct h2_session *session = user_data;
    uint32_t size = session->update_size;
    *payload = NULL;
    session->update_size = 0;
    uint32_t id = 0;
    if (size >= sizeof id)
        memcpy(&id, session->update, sizeof id);
    id = be32toh(id) & INT32_MAX; /* the first bit is reserved */
    if (session->role != H2_SERVER || frame->stream_id != 0)
        h2_doom(session, H2_PROTOCOL_ERROR, "h2: a priority that has no place there");
    else if (size < sizeof id)
        h2_doom(session, H2_FRAME_SIZE_ERROR, "h2: a priority that is too short");
    else if (id == 0 || id % 2 == 0)
        h2_doom(session, H2_PROTOCOL_ERROR, "h2: the priority of no stream");
    if (session->doom != 0)
        return NGHTTP2_ERR_CANCEL;
    struct h2_priority priority =
        h2_priority_read(slice_of(session->update + sizeof id, size - sizeof id));
    priority.id = (int32_t)id;
    if (h2_stream_of(session, priority.id) != NULL)
        apply(session, priority);
    else if (priority.id > session->last_id)
        remember(session, priority);
    (void)engine;
    return 0;
}

void h2_set_priority_callbacks(nghttp2_session_callbacks *callbacks, nghttp2_option *options)
{
    nghttp2_option_set_user_recv_extension_type(options, NGHTTP2_PRIORITY_UPDATE);
    nghttp2_session_callbacks_set_on_extension_chunk_recv_callback(callbacks, on_chunk);
    nghttp2_session_callbacks_set_unpack_extension_callback(callbacks, on_whole);
}
