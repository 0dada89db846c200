/* SPDX-License-Identifier: Apache-2.0 */
/* One HTTP/2 connection (RFC 9113), of either side: bytes in, events out, bytes out. It does no I/O
 * and never waits. Heads are checked as strictly as those of HTTP/1; what the other side makes us
 * do is counted, and one that asks for too much is told to go. All of its own memory is charged
 * to it. */
#pragma once

#include "base/buffer.h"
#include "base/list.h"
#include "http/h1_parse.h"

struct h2_session;
struct h2_block;
struct h2_out_head;

enum h2_role { H2_SERVER, H2_CLIENT };

/* RFC 9113 §7. */
enum h2_error {
    H2_NO_ERROR = 0,
    H2_PROTOCOL_ERROR = 1,
    H2_INTERNAL_ERROR = 2,
    H2_FLOW_CONTROL_ERROR = 3,
    H2_FRAME_SIZE_ERROR = 6,
    H2_REFUSED_STREAM = 7,
    H2_CANCEL = 8,
    H2_ENHANCE_YOUR_CALM = 11,
};

enum {
    H2_PREFACE_SIZE = 24,
};
extern const char H2_PREFACE[H2_PREFACE_SIZE + 1];

struct h2_limits {
    uint32_t streams;           /* that the other side may have open */
    uint32_t window;            /* bytes of a stream that may be under way to us */
    uint32_t connection_window; /* and of all streams together */
    uint32_t resets;            /* of streams, sent and received: so many at once … */
    uint32_t resets_per_s;      /* … and so many a second */
    uint32_t glitches;          /* useless frames before the end; at three quarters a polite one */
    struct h1_limits head;
    bool is_secure; /* the transport's: `:scheme` has to agree */
};

/* A head that came before the final one. */
struct h2_interim {
    struct h2_interim *next;
    int status;
    struct fields fields;
};

/* One stream: in memory of its owner, who keeps it until h2_stream_release(). */
struct h2_stream {
    struct h2_session *session; /* NULL: the connection is gone, or the stream is closed */
    struct list link;           /* of the session */
    int32_t id;
    struct arena *arena; /* heads and trailers are kept there */
    struct request_head *request;
    struct response_head *response;
    struct h2_interim *interims; /* of a client's stream, oldest first; the owner takes them off */
    unsigned interims_count;
    struct fields trailers;
    enum method method; /* of the request: says whether the response has a body */

    /* What comes in. */
    struct h2_block *in_first, *in_last;
    uint64_t received; /* bytes of the body */
    uint64_t declared; /* Content-Length */
    bool has_length;
    bool has_head;
    bool is_ended;  /* all came, and nothing is missing: see body_end() */
    bool is_closed; /* no more will come or go */
    bool is_tunnel; /* after an extended CONNECT */
    bool is_reset;  /* we have reset it; it is closed when that has been sent */
    uint32_t error; /* enum h2_error, when it was closed before its end */

    /* What goes out. */
    struct h2_out_head *out_heads; /* not yet taken, oldest first */
    struct slice out[2];           /* not yet taken, in this order; the owner's memory */
    const struct fields *out_trailers;
    uint64_t out_taken;
    bool out_last;    /* nothing follows behind `out` */
    bool out_done;    /* the end was taken */
    int64_t window;   /* of the other side, before its last settings */
    bool is_deferred; /* the session waits for h2_stream_send() */
};

/* What the session tells its owner. Called from inside h2_session_receive() and
 * h2_session_fill(): must not call these two. */
struct h2_events {
    /* Of a server: a request begins. Returns where it goes (arena, request and its fields set), or
     * NULL to refuse the stream: nothing was done for it. */
    struct h2_stream *(*begin)(void *owner, int32_t id);
    /* Its head was broken: the stream is gone, and was never told of by head(). */
    void (*drop)(void *owner, struct h2_stream *stream);
    /* A request's head is whole, or breaks a limit that can be answered. */
    void (*head)(void *owner, struct h2_stream *stream, enum refusal refusal);
    /* Whether another block of its body may be held; false: the stream is reset. NULL: it may. */
    bool (*may_hold)(void *owner, struct h2_stream *stream);
    /* Body, end, head of a response, closing: something came; or `out` was taken. */
    void (*changed)(void *owner, struct h2_stream *stream);
};

struct h2_session *h2_session_new(enum h2_role role, const struct h2_limits *limits,
                                  const struct h2_events *events, void *owner);
/* Every stream still open gets is_closed and a last changed(). */
void h2_session_free(struct h2_session *session);

/* Takes bytes of the other side. `now` is monotonic. OK; ERR_PROTOCOL, ERR_LIMIT: send what
 * h2_session_fill() still gives (it says why to the other side), then close. A server's session
 * stops where they are more work than others should wait for: the bytes then have to stay where
 * they are, and nothing more is given to it before h2_session_go_on(). */
MUST_CHECK enum status h2_session_receive(struct h2_session *session, struct slice bytes,
                                          int64_t now);
/* It has stopped so; goes on, until it stops again or has taken everything. Others had their turn
 * meanwhile. Returns as h2_session_receive() does. */
bool h2_session_is_paused(const struct h2_session *session);
MUST_CHECK enum status h2_session_go_on(struct h2_session *session, int64_t now);
/* Writes what is to be sent, up to `room` bytes; 0: nothing. */
size_t h2_session_fill(struct h2_session *session, char *into, size_t room);
bool h2_session_has_output(const struct h2_session *session);

/* The connection has nothing more to say or hear: close it once the output is gone. */
bool h2_session_is_over(const struct h2_session *session);
/* Static text for the log, after a failure. */
const char *h2_session_why(const struct h2_session *session);
/* Begins to end it: first says that it will (the other side may have sent more already), with
 * `final` that nothing new is taken (RFC 9113 §6.8). */
void h2_session_shutdown(struct h2_session *session, bool final);
/* The other side has said, or we have, that no new streams are taken. */
bool h2_session_is_leaving(const struct h2_session *session);
/* Its glitches have reached three quarters of the limit. */
bool h2_session_is_suspect(const struct h2_session *session);
/* Streams that are not closed; how many the other side takes. */
uint32_t h2_session_streams(const struct h2_session *session);
uint32_t h2_session_streams_max(const struct h2_session *session);
/* A head has begun and is not whole. */
bool h2_session_is_in_head(const struct h2_session *session);
/* Bytes of the heap that the connection's bookkeeping holds. */
size_t h2_session_memory(const struct h2_session *session);
/* Bytes of a stream's body that have come and were not taken, by what they lie in. */
size_t h2_stream_memory(const struct h2_stream *stream);
/* Asks for a sign of life; h2_session_pongs() counts the answers. */
void h2_session_ping(struct h2_session *session);
uint64_t h2_session_pongs(const struct h2_session *session);

/* Of a client: opens a stream with a request. stream->arena and response are set. ERR_LIMIT: no
 * stream is to be had on this connection. */
struct h2_request {
    struct slice method, scheme, authority, path;
    const struct fields *fields; /* end-to-end ones are sent */
    int64_t length;              /* −1: not known; 0: there is no body */
    bool has_meaning;            /* a length of 0 is said too */
};
MUST_CHECK enum status h2_stream_request(struct h2_session *session, struct h2_stream *stream,
                                         const struct h2_request *request);

/* Of a server: an interim head; the final one. `length` −1: not said; `has_body`: chunks, or at
 * least an end, follow. */
void h2_stream_interim(struct h2_stream *stream, int status, const struct fields *fields);
void h2_stream_respond(struct h2_stream *stream, int status, const struct fields *fields,
                       int64_t length, struct slice date, bool has_body);
/* Whether the other side's windows let the stream send `size` bytes, and all of them `together`. */
bool h2_stream_fits(const struct h2_stream *stream, size_t size, size_t together);
/* There is something new in `out`, or out_last was set. */
void h2_stream_send(struct h2_stream *stream);
/* The next bytes of the body that came, valid until the next call: the window is opened by as much.
 * Empty: nothing is there (see is_ended, is_closed). */
struct slice h2_stream_take(struct h2_stream *stream);
bool h2_stream_has_data(const struct h2_stream *stream);
/* Resets it unless it is closed. */
void h2_stream_reset(struct h2_stream *stream, enum h2_error error);
/* The owner has no use for it any more: resets it if it is open (`error`), and forgets it. */
void h2_stream_release(struct h2_stream *stream, enum h2_error error);

/* Whether a body is complete: the one place that decides it for HTTP/2. An end that comes too early
 * or too late for its Content-Length is none. */
bool h2_body_end(const struct h2_stream *stream);
