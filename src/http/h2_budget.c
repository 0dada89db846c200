/* SPDX-License-Identifier: Apache-2.0 */
/* What a connection may cost us. A stream that is reset costs the same whoever resets it, because
 * the other side can make us do it (it sends what we must refuse). Frames that carry nothing are
 * free up to a modest rate; beyond it each is a glitch, and so is each that is wrong. */
#include "base/clock.h"
#include "http/h2_inside.h"

enum {
    UNIT = 1000,
    CONTROL_BURST = 200,
    CONTROL_PER_S = 50,
    FRAME_BYTES_FREE = 1024 * 1024, /* of framing, before it is held against the payload */
    FRAME_BYTES_RATIO = 8,
    UPDATES_PER_DATA = 4,
    IGNORED_PER_S = 1000,
    LOST_HEAD_PIECE = 1024, /* of a head of a closed stream; each is a frame that carries nothing */
};

void h2_doom(struct h2_session *session, enum h2_error error, const char *why)
{
    if (session->doom != 0)
        return;
    session->doom = error;
    session->why = why;
}

/* Takes one; false: none was left. */
static bool take_token(struct h2_tokens *tokens, uint32_t burst, uint32_t per_s, int64_t now)
{
    uint64_t full = (uint64_t)burst * UNIT;
    if (tokens->at == 0)
        tokens->left = full;
    else
        tokens->left += (uint64_t)((now - tokens->at) / MILLISECONDS(1)) * per_s;
    if (tokens->left > full)
        tokens->left = full;
    /* What is less than a millisecond stays for the next time. */
    tokens->at = tokens->at == 0 ? now : now - (now - tokens->at) % MILLISECONDS(1);
    if (tokens->left < UNIT)
        return false;
    tokens->left -= UNIT;
    return true;
}

void h2_count_glitch(struct h2_session *session)
{
    session->glitches++;
    if (session->glitches >= session->limits.glitches)
        h2_doom(session, H2_ENHANCE_YOUR_CALM, "limits.h2_glitches");
}

void h2_count_reset(struct h2_session *session)
{
    const struct h2_limits *limits = &session->limits;
    if (!take_token(&session->resets, limits->resets, limits->resets_per_s, session->now))
        h2_doom(session, H2_ENHANCE_YOUR_CALM, "limits.h2_resets");
}

void h2_count_ignored(struct h2_session *session)
{
    bool is_much = session->role == H2_CLIENT ? session->head.ignored > H2_IGNORED_MAX
                                              : !take_token(&session->ignored, H2_IGNORED_MAX,
                                                            IGNORED_PER_S, session->now);
    if (is_much)
        h2_doom(session, H2_ENHANCE_YOUR_CALM, "limits.fields");
}

static void spend(struct h2_session *session)
{
    if (!take_token(&session->control, CONTROL_BURST, CONTROL_PER_S, session->now))
        h2_count_glitch(session);
}

/* Trailers may still come for a stream that we have closed. The engine decodes what is in them and
 * tells nobody. */
void h2_count_lost_head(struct h2_session *session, size_t size)
{
    session->effort += (uint32_t)size * H2_EFFORT_LOST_BYTE;
    for (size_t i = 0; i <= size / LOST_HEAD_PIECE; i++)
        spend(session);
}

int h2_pause_if_much(struct h2_session *session)
{
    if (session->effort < H2_EFFORT_MAX || session->role != H2_SERVER)
        return 0;
    session->is_paused = true;
    return NGHTTP2_ERR_PAUSE;
}

void h2_count_frame(struct h2_session *session, const nghttp2_frame_hd *frame, bool is_known)
{
    bool ends = (frame->flags & NGHTTP2_FLAG_END_STREAM) != 0;
    session->effort += H2_EFFORT_FRAME;
    switch (frame->type) {
    case NGHTTP2_DATA:
        if (!is_known || (frame->length == 0 && !ends))
            spend(session);
        session->payload_bytes += is_known ? frame->length : 0;
        break;
    case NGHTTP2_HEADERS:
        session->payload_bytes += frame->length;
        break;
    case NGHTTP2_CONTINUATION:
        session->payload_bytes += frame->length;
        if (frame->length == 0)
            h2_count_glitch(session);
        break;
    case NGHTTP2_WINDOW_UPDATE:
        session->updates++;
        if (session->updates > UPDATES_PER_DATA * session->data_sent)
            spend(session);
        break;
    case NGHTTP2_RST_STREAM:
        if (!is_known)
            spend(session);
        break;
    case NGHTTP2_PING:
    case NGHTTP2_SETTINGS:
        if ((frame->flags & NGHTTP2_FLAG_ACK) == 0)
            spend(session);
        break;
    default: /* PRIORITY, PRIORITY_UPDATE, what we do not know */
        spend(session);
        break;
    }
}

/* All bytes of the other side count, also of frames that the engine passes over; what is set
 * against them is what was useful in either direction. */
void h2_count_bytes(struct h2_session *session, size_t size)
{
    session->frame_bytes += size;
    if (session->frame_bytes / FRAME_BYTES_RATIO > session->payload_bytes + FRAME_BYTES_FREE)
        h2_doom(session, H2_ENHANCE_YOUR_CALM, "h2: more framing than payload");
}
