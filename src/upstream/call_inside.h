/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a call: what call.c (choice, retries), call_h1.c (one try over HTTP/1) and
 * call_body.c (both bodies) share. */
#pragma once

#include "base/buffer.h"
#include "http/h1_body.h"
#include "upstream/call.h"
#include "upstream/pool.h"

enum {
    CALL_FIELDS = 20, /* of a response, before the list grows in the arena */
    CALL_TRIES_MAX = 10,
    CALL_LINE_MAX = 16 * 1024, /* of a server's head */
    CALL_FIELDS_SIZE_MAX = 64 * 1024,
    CALL_FIELDS_MAX = 100,
    UPSTREAM_HANDSHAKE_S = 5, /* with a server, connecting not included */
};

/* A response's body, pulled from the server's connection. */
struct call_body {
    struct body body;
    struct h1_body parser;
    struct upstream_call *call;
    struct slice ahead; /* bytes read but not yet taken */
    char *room;         /* where more is read to */
    size_t room_size;
    bool is_moving;  /* the rest goes past user space */
    bool is_patient; /* an event stream or the like: silence is no fault */
    bool is_failed;
};

struct call_cgi;
struct call_h2;
struct h2_stream;

struct upstream_exchange {
    struct server *server;
    struct call_h2 *h2;   /* NULL: this try goes over another protocol */
    struct call_cgi *cgi; /* likewise; neither: over HTTP/1 */
    struct server_connection *connection;
    struct call_body body;
    /* The response's head, and what came with it. */
    char *data;
    size_t size, capacity;
    bool is_block;
    char *body_block; /* for the body, when the head left little room behind it */
    struct field *items;
    /* The request's body. */
    struct slice kept; /* read before a server was taken; replayed by each try */
    bool is_kept;
    struct fiber_scope scope; /* the child that sends the rest of the body */
    bool is_sending;
    bool was_early; /* it was answered before that */
    bool is_sent;   /* the request has left us whole */
    enum status send_status;
    int64_t sent_at; /* when its last byte was written */
    /* This try. */
    bool is_cut_short; /* by try_timeout */
    bool has_written;  /* a byte of the request was given to the kernel */
    bool has_answered; /* a byte of the response came */
    bool has_pulled;   /* some of a body that is not kept has gone */
    bool was_refused;  /* the server says that nothing was done */
};

/* Sends the request over inside->connection and reads the head of the final response. Sets
 * call->why and call->error on failures. (call_h1.c) */
MUST_CHECK enum status call_h1(struct upstream_call *call, int64_t deadline);

/* Until when the next byte of the head has to come. While the request is still being sent it is a
 * moment to look again: nobody wakes the reader when the last byte has gone, and that moment is
 * never later than the deadline which begins then. (call_h1.c) */
int64_t call_head_deadline(const struct upstream_call *call, int64_t deadline);
/* What came of writing the head, `status`, to a stream that had written `before` bytes until then;
 * begins to send the rest of the body. OK also where the server does not take it all: it may have
 * answered before it closed. (call_h1.c) */
MUST_CHECK enum status call_head_sent(struct upstream_call *call, uint64_t before,
                                      enum status status);
/* The head breaks a rule, `why`. (call_h1.c) */
COLD enum status call_head_malformed(struct upstream_call *call, const char *why);
/* Why no more of the head could be read. (call_h1.c) */
COLD enum status call_head_failed(struct upstream_call *call, enum status status);

/* The same over FastCGI, SCGI or uwsgi. (call_cgi.c) */
MUST_CHECK enum status call_cgi(struct upstream_call *call, enum upstream_http http,
                                int64_t deadline);
/* Sends a piece of the request's body; an empty one is its end. */
MAY_WAIT MUST_CHECK enum status call_cgi_send(struct upstream_call *call, struct slice chunk);
/* Whether the body may go past user space as it is. */
bool call_cgi_is_raw(const struct call_cgi *cgi);
/* Whether nothing of the answer is left, and the server keeps the connection. */
bool call_cgi_is_whole(const struct upstream_call *call);
/* The call's storage is another one from now on. */
void call_cgi_adopt(struct call_cgi *cgi, struct upstream_call *call);

/* The same over a stream of a shared connection. `offers_h1`: over TLS the server may choose;
 * *is_h1 says that it has chosen HTTP/1, and nothing was done. (call_h2.c) */
MUST_CHECK enum status call_h2(struct upstream_call *call, bool offers_h1, bool *is_h1,
                               int64_t deadline);
void call_h2_release(struct upstream_call *call);
/* The call's storage is another one from now on. */
void call_h2_adopt(struct call_h2 *h2, struct upstream_call *call);
bool call_h2_was_reused(const struct call_h2 *h2);
/* Something happened on a stream: wakes the call. */
void call_h2_changed(struct h2_stream *stream);
/* Whether the response may be silent for as long as it likes. (call_body.c) */
bool call_is_patient(const struct upstream_call *call);
/* Connects to the chosen server, and shakes hands where TLS is spoken. (call_dial.c) */
MAY_WAIT MUST_CHECK enum status call_dial(struct upstream_call *call, int64_t deadline);
/* A dial failed: what the client hears, and what it says of the server. (call_dial.c) */
COLD enum status call_connect_failed(struct upstream_call *call, enum status status,
                                     int64_t deadline);
/* The breaker lets no more connections be opened. */
COLD enum status call_too_many_connects(struct upstream_call *call);

/* A handshake failed, likewise. */
COLD enum status call_handshake_failed(struct upstream_call *call, enum status status,
                                       const struct tls_trouble *trouble, int64_t deadline);

/* Reads a small body of known length into memory. (call_body.c) */
MUST_CHECK enum status call_keep_body(struct upstream_call *call, int64_t deadline);
/* Begins to send what was not sent with the head, in a child fiber. */
MUST_CHECK enum status call_send_body(struct upstream_call *call);
/* Sets call->body from the head that was read and the bytes behind it. */
void call_open_body(struct upstream_call *call, struct slice ahead);

/* The loop over tries, without hedge and breaker. (call.c) */
MUST_CHECK enum status call_with_retries(struct upstream_call *call, int64_t deadline);
/* Counts a call, or a retry, of this second; false: the retry budget is spent. (call_retry.c) */
bool call_spend_budget(struct upstream *upstream, bool is_retry);

/* What a failed try allows. */
enum again {
    AGAIN_NO,
    AGAIN_FREE,  /* nothing was sent: another server, at once, at no cost */
    AGAIN_FRESH, /* a pooled connection had died: the same server over a new one */
    AGAIN_PAID,  /* the budget is asked */
};
/* (call_retry.c) */
enum again call_may_try_again(const struct upstream_call *call, enum status status, bool was_fresh,
                              int64_t deadline);
bool call_is_idempotent(const struct upstream_call *call);
bool call_is_gateway_error(int status);
/* Waits 25 ms × 2ⁿ, half of it by chance. (call_retry.c) */
MAY_WAIT MUST_CHECK enum status call_back_off(int retries);
/* Asks a second server when the first takes long; the first good answer wins, the other try is
 * cancelled and its connection closed. (call_hedge.c) */
MUST_CHECK enum status call_hedged(struct upstream_call *call, int64_t deadline);
/* How long to wait before; 0: it is not to be done. (call_hedge.c) */
int64_t call_hedge_delay(const struct upstream_call *call);
/* For least_time: what a try that ended so says of its server. (call_time.c) */
void call_note_time(const struct upstream_call *call, struct server *server, enum status status);

/* Lets the connection go: to the pool if all rules for that hold. Ends the sending child. (call.c)
 */
void call_release(struct upstream_call *call);
/* Notes why a try failed. */
COLD enum status call_fail(struct upstream_call *call, enum status status, int answer,
                           const char *error, const char *why);
