/* SPDX-License-Identifier: Apache-2.0 */
/* One stream of a client as an exchange: the inside of serve_h2.c, h2_sink.c, h2_request_body.c,
 * h2_streams.c, h2_tunnel.c and h2_hangup.c. */
#pragma once

#include "serve/serve_h2.h"

enum {
    H2_REQUEST_FIELDS = 24, /* before the list grows in the arena */
    H2_RESPONSE_FIELDS = 12,
    H2_GATHER_SIZE = 2048, /* small chunks are gathered here */
};

/* The stream of an extended CONNECT, when its exchange has ended. */
struct h2_tunnel {
    struct stream server;
    struct slice early;       /* of the server: came with its head */
    struct timeouts timeouts; /* as they were: the configuration may go */
    struct exchange *x;       /* a copy for the log */
    void (*on_server_end)(void *taken);
    void *taken;
    bool has_server_ended;
    bool is_broken; /* before that the server took no more; or the client was silent after it */
};

/* Lives in one block, with the start of its arena. */
struct h2_exchange {
    struct exchange x;
    struct h2_connection *connection;
    struct list link; /* of the connection */
    struct h2_stream stream;
    struct body body;          /* the client's, pulled */
    struct fiber *fiber;       /* NULL: it has ended, or not begun */
    struct fiber *body_waiter; /* parked until more of the body comes */
    struct fiber *out_waiter;  /* parked until what is to be sent was taken */
    int64_t waited;            /* ns spent waiting for the client's body */
    enum refusal refusal;      /* of a head that could be answered */
    bool was_asked;            /* 100 Continue was sent, or is not wanted */
    bool is_body_failed;
    bool is_held; /* the head waits for the first chunk */
    bool is_cut_off;
    bool is_untold;           /* the client is gone, its turn to hear of it will come */
    struct h2_tunnel *tunnel; /* what it has become; NULL */
    bool is_left;             /* the session has the whole answer, and needs no fiber to send it */
    struct list left;         /* of the connection, from then on */
    size_t left_size;         /* of the answer */
    int64_t left_until;       /* when it is given up */
    bool is_grpc;
    size_t gathered; /* bytes of out_memory in use */
    struct field request_fields[H2_REQUEST_FIELDS];
    struct field response_fields[H2_RESPONSE_FIELDS];
    char out_memory[H2_GATHER_SIZE];
    _Alignas(16) char arena_memory[];
};

extern const struct sink h2_sink;
/* What the session tells of its streams. */
extern const struct h2_events h2_stream_events;
/* Those of its route; of the listener, as long as there is none. */
const struct timeouts *h2_timeouts_of(const struct h2_exchange *e);
/* Of a stream that is a tunnel: waits until the client has taken the chunk, or the end. */
MUST_CHECK enum status h2_pass(struct h2_exchange *e, struct slice chunk);
MUST_CHECK enum status h2_pass_end(struct h2_exchange *e);
/* To a request for a WebSocket, as a server of HTTP/1 expects it. */
void h2_tunnel_add_key(struct exchange *x);
/* The server's connection becomes the stream's; the exchange ends, and its log line is kept. */
void h2_tunnel_take(struct h2_exchange *e);
/* Copies both ways until both have ended, then logs. OK: they did. */
enum status h2_tunnel_serve(struct h2_exchange *e);
/* What the fiber serves; NULL: it is none of a stream. */
const struct exchange *h2_exchange_of(const struct fiber *fiber);
/* Something came, or was taken, or the stream is closed: its fiber goes on. */
void h2_exchange_tell(struct h2_exchange *e);
/* The connection has ended and some of its exchanges have not been told: they will be. */
void h2_tell_others_later(struct h2_connection *c);
/* The session has something to send. */
void h2_kick(struct h2_connection *c);
/* Sets the connection's timer to when it is looked at next. */
void h2_schedule(struct h2_connection *c);
/* Frees the connection when it has ended, and its last exchange too. */
void h2_free_if_done(struct h2_connection *c);
/* Makes the pulled body of the request. */
void h2_request_body_init(struct h2_exchange *e);
/* Waits for and takes the next bytes of the stream; empty at its end. */
MUST_CHECK enum status h2_stream_read(struct h2_exchange *e, struct slice *chunk, int64_t deadline);
