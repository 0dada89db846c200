/* SPDX-License-Identifier: Apache-2.0 */
/* One client connection that speaks HTTP/1. While it is idle, or its next head is incomplete, it
 * has no fiber and no buffer but the bytes that came (idle.c). A complete head starts a fiber,
 * which serves exchanges until the connection is idle again (serve_h1.c). */
#pragma once

#include "base/buffer.h"
#include "http/h1_body.h"
#include "net/tunnel.h"
#include "serve/listener.h"

enum h1_state {
    H1_PARKED,    /* between requests; nothing of the next one is there */
    H1_HEAD,      /* a part of a head is there */
    H1_ACTIVE,    /* a fiber serves an exchange */
    H1_LINGERING, /* our side is closed; what still comes is dropped */
};

/* The bytes of a head and what follows it. */
struct h1_input {
    char *data;
    size_t size, capacity;
    bool is_block; /* of block_take(); else of malloc() */
};

struct h1_connection {
    struct stream stream;
    struct list link;
    struct timer timer;
    struct serve_worker *worker;
    struct listener *listener;
    struct fiber *fiber; /* H1_ACTIVE */
    struct h1_exchange *active;
    struct h1_input input;
    struct h1_input spare; /* the request's body is read here when the input is used up */
    enum h1_state state;
    bool is_counted; /* in the table of client addresses */
    bool is_secure;
    uint8_t ip_size;
    char ip[46]; /* text of the peer's address, or of who it speaks for */
    struct address peer;
    int64_t opened;
    int64_t head_began; /* when its first byte came; 0: not yet */
    uint64_t requests;
    uint64_t lingered; /* bytes dropped */
};

/* The client's request body, pulled. */
struct h1_request_body {
    struct body body;
    struct h1_body parser;
    struct h1_connection *connection;
    struct slice ahead; /* bytes read but not yet taken */
    int64_t waited;     /* ns spent waiting for the client */
    bool was_asked;     /* 100 Continue was sent, or is not wanted */
    bool is_moving;     /* past user space */
    bool is_failed;
};

enum {
    H1_REQUEST_FIELDS = 24, /* before the list grows in the arena */
    H1_RESPONSE_FIELDS = 12,
    H1_OUT_SIZE = 2048, /* heads and small chunks are gathered here */
};

/* An exchange of a connection: lives in one block, with the start of its arena. What a usual one
 * touches stands close together, because many of them are in work at a time. */
struct h1_exchange {
    struct exchange x;
    struct h1_connection *connection;
    struct h1_request_body body;
    enum refusal refusal; /* of a head that could not be read */
    size_t head_size;     /* bytes of the input that were the head */
    bool is_cut_off;      /* the response could not be completed */
    enum status written;  /* not OK: the client has a part of something, and gets no more */
    bool is_interim;      /* a fiber is writing an interim answer … */
    struct fiber *next;   /* … and this one waits until it has; NULL */
    struct buffer out;
    struct field request_fields[H1_REQUEST_FIELDS];
    char out_memory[H1_OUT_SIZE];
    struct field response_fields[H1_RESPONSE_FIELDS];
    _Alignas(16) char arena_memory[];
};

/* Takes a connected descriptor over. */
void h1_accept(struct listener *listener, int fd, const struct address *peer, bool is_counted);
/* Takes the stream of a counted connection over whose handshake has ended, on the fiber that shook
 * hands: serves what has come already. */
MAY_WAIT void h1_take(struct listener *listener, struct stream *stream, const struct address *peer,
                      bool is_counted);
/* The same of one that speaks in clear where TLS is spoken: it is told so and ended gently. */
MAY_WAIT void h1_take_clear(struct listener *listener, struct stream *stream,
                            const struct address *peer, bool is_counted);
/* h1_take() on the loop, of a connection in clear. */
void h1_resume(struct listener *listener, struct stream *stream, const struct address *peer,
               bool is_counted);
/* Ends a connection at once, whatever it does; an exchange is cancelled and ends a little later. */
void h1_end(struct h1_connection *c);

enum h1_next {
    H1_NEXT_READY, /* c->active holds the next request, or its refusal */
    H1_NEXT_WAIT,  /* the connection is parked */
    H1_NEXT_GONE,  /* it was closed and freed */
};
/* Reads what has come and looks whether it is a head. Does not wait. (idle.c) */
enum h1_next h1_next(struct h1_connection *c);
/* Closes and frees; `reset` drops what was not sent yet. */
void h1_close(struct h1_connection *c, bool reset);
/* Of a tunnel's on_end: whose it is; and that it ends because memory runs short. */
const struct address *h1_tunnel_client(const void *argument);
/* The connection that it was, and the exchange that it began with, as the log knows it. */
struct h1_tunnel_facts {
    const struct exchange *x;
    int64_t opened; /* monotonic */
    int fd;         /* of the client */
    bool is_secure;
    uint64_t requests;
};
void h1_tunnel_look(const void *argument, struct h1_tunnel_facts *facts);
void h1_tunnel_blame(void *argument);
/* Closes our side and drops what the client still sends, for a while; then closes. */
void h1_linger(struct h1_connection *c);
/* Gives the buffers of a parked connection back. */
void h1_input_release(struct h1_input *input);

/* The fiber: serves c->active and what follows. (serve_h1.c) */
void h1_serve(void *connection);
extern const struct sink h1_sink;
/* Makes the pulled body of the request that was just read. */
void h1_request_body_init(struct h1_exchange *e, struct slice ahead);
/* After the response: reads and drops what is left of the body, within bounds. False: the
 * connection cannot be used again. */
bool h1_request_body_drain(struct h1_exchange *e);
/* Whether so little is left that it will be read for the sake of the connection. */
bool h1_request_body_is_drainable(const struct h1_exchange *e);
