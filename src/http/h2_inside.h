/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of an HTTP/2 session, shared by its files; nobody else includes it. */
#pragma once

#include "http/h2_head.h"
#include "http/h2_memory.h"
#include "http/h2_session.h"
#include "http/hpack_encode.h"

#include <nghttp2/nghttp2.h>

/* A supply that fills by the second. */
struct h2_tokens {
    uint64_t left; /* in thousandths */
    int64_t at;
};

/* What the other side has said of a stream (RFC 9218 §4). */
struct h2_priority {
    int32_t id;      /* 0: of none */
    uint8_t urgency; /* 0 … 7, most urgent first */
    bool is_incremental;
};

enum {
    H2_EARLY_PRIORITIES = 8, /* of streams that have not come */
    H2_UPDATE_MAX = 64,      /* bytes of a PRIORITY_UPDATE that are read */
    H2_FOUND = 64,           /* streams that are found without the engine */
};

struct h2_session {
    nghttp2_session *engine;
    enum h2_role role;
    struct h2_limits limits;
    const struct h2_events *events;
    void *owner;
    struct h2_memory memory;
    int64_t now;

    /* The head that is being read: there is only one at a time. */
    struct h2_head head;
    struct h2_stream *head_stream;
    struct fields interim_fields;
    bool is_in_head;

    /* Bounds on what the other side may make us do (h2_budget.c). */
    struct h2_tokens resets;
    struct h2_tokens control;
    struct h2_tokens ignored; /* fields */
    uint64_t frame_bytes;     /* received */
    uint64_t payload_bytes;   /* of those, in heads and bodies; and in bodies that were sent */
    uint64_t updates;         /* WINDOW_UPDATEs received … */
    uint64_t data_sent;       /* … and DATA frames that may have asked for them */
    uint32_t glitches;
    uint32_t effort; /* of this turn of the loop, about ns */
    bool is_paused;  /* that was enough; what is left: */
    struct slice left;
    uint32_t doom;   /* enum h2_error that the connection ends with; 0: none */
    const char *why; /* of that */

    struct list open;                  /* streams that are not closed */
    struct h2_stream *found[H2_FOUND]; /* of these, by h2_stream_of(); or NULL */
    uint32_t streams;
    uint64_t pongs;
    int64_t initial_window;     /* of streams, as the other side said before its last settings */
    uint32_t continuations;     /* of the head that is being read */
    uint32_t unwanted;          /* of its fields, when nobody wants them */
    bool goes_on_lost;          /* a head that the engine tells nothing of has not ended */
    bool went_on_lost;          /* likewise in the bytes that are being read */
    bool is_final;              /* a GOAWAY went that takes nothing new */
    int32_t last_id;            /* of the other side's streams */
    int32_t gap_first, gap_end; /* numbers that it left out last */
    bool has_spoken;            /* our settings have gone out */
    bool is_leaving;            /* a GOAWAY came or went */
    bool is_over;               /* beyond repair */

    struct h2_priority early[H2_EARLY_PRIORITIES];
    uint32_t early_next;
    uint32_t update_size; /* of the PRIORITY_UPDATE that is being read */
    char update[H2_UPDATE_MAX];

    /* What h2_session_fill() writes to, and what of the last frame did not fit. */
    struct buffer *out;
    const uint8_t *rest;
    size_t rest_size;
    char *rest_memory; /* where that stands, if it is ours; or NULL */

    struct hpack_encoder encoder; /* of what we send */
};

/* Counts. Each may doom the session. (h2_budget.c) */
void h2_count_frame(struct h2_session *session, const nghttp2_frame_hd *frame, bool is_known);
void h2_count_bytes(struct h2_session *session, size_t size);
void h2_count_reset(struct h2_session *session);
void h2_count_glitch(struct h2_session *session);
/* A field that is decoded for the sake of the table alone. */
void h2_count_ignored(struct h2_session *session);
/* A head of a stream that is closed, or a part of one. */
void h2_count_lost_head(struct h2_session *session, size_t size);

/* What things cost this thread, about, in ns: good enough to tell when others should have their
 * turn. Ordinary clients do not get there: it takes nearly 40 requests in one go. */
enum {
    H2_EFFORT_MAX = 1000000,
    H2_EFFORT_REQUEST = 25000, /* with all that it sets off before its fiber waits */
    H2_EFFORT_FIELD = 30,
    H2_EFFORT_KEPT_BYTE = 2, /* of a field: it is sent on, too */
    H2_EFFORT_FRAME = 100,
    H2_EFFORT_LOST_BYTE = 30, /* of a head that is decoded for nobody: each may be a field */
};
/* Whether that was enough for this turn: what a callback returns to stop the engine there. */
int h2_pause_if_much(struct h2_session *session);
/* The connection ends with this error, and `why` for the log. */
void h2_doom(struct h2_session *session, enum h2_error error, const char *why);

/* Says so to the other side, once. (h2_session.c) */
void h2_end_if_doomed(struct h2_session *session);

/* The stream of that number; NULL: there is none, or its owner has left it. (h2_receive.c) */
struct h2_stream *h2_stream_of(struct h2_session *session, int32_t id);
/* Bodies that came. (h2_body.c) Whether more may be kept; keeps it; how much nobody has taken;
 * gives that up. */
bool h2_body_may_keep(struct h2_session *session, struct h2_stream *stream, size_t size);
void h2_body_keep(struct h2_stream *stream, const char *data, size_t size);
size_t h2_body_unread(const struct h2_stream *stream);
void h2_body_drop(struct h2_session *session, struct h2_stream *stream);
/* Callbacks for what comes. (h2_receive.c) */
void h2_set_receive_callbacks(nghttp2_session_callbacks *callbacks);
/* The stream is no longer the engine's. */
void h2_stream_closed(struct h2_session *session, struct h2_stream *stream, uint32_t error);
/* Priorities. (h2_priority.c) */
void h2_set_priority_callbacks(nghttp2_session_callbacks *callbacks, nghttp2_option *options);
struct h2_priority h2_priority_read(struct slice value);
/* The stream has come: what was said of it before holds; else what its head says. */
void h2_priority_of_new(struct h2_session *session, const struct h2_stream *stream);
/* Callbacks for what goes. (h2_send.c) */
void h2_set_send_callbacks(nghttp2_session_callbacks *callbacks);
