/* SPDX-License-Identifier: Apache-2.0 */
/* One client connection that speaks HTTP/2, in clear or over TLS: each stream is an exchange on a
 * fiber of its own, on the same path as those of HTTP/1. While nothing moves the connection has
 * neither fiber nor buffer. */
#pragma once

#include "http/h2_session.h"
#include "net/duplex.h"
#include "serve/listener.h"

/* How far a polite end has come (RFC 9113 §6.8). */
enum h2_goodbye {
    H2_STAYS,
    H2_WARNED, /* the client knows that we will go; what is under way is still taken */
    H2_LEAVING /* nothing new is taken */
};

struct h2_connection {
    struct duplex duplex;
    struct list link;
    struct timer timer;
    struct serve_worker *worker;
    struct listener *listener;
    struct tls_facts *tls;             /* a copy: exchanges outlive the stream; NULL: in clear */
    struct introduction *introduction; /* likewise outlives the stream; NULL: there was none */
    struct h2_session *session;        /* NULL: the connection has ended, its exchanges have not */
    struct list exchanges;             /* in work, also of streams that are closed */
    uint32_t active;                   /* how many */
    struct list left;                  /* of those that ended: what they said was not taken yet */
    size_t left_bytes;                 /* of these */
    enum h2_goodbye goodbye;
    bool is_counted;
    bool is_secure;
    bool has_heard; /* bytes have come */
    bool was_reported;
    uint8_t ip_size;
    char ip[46];
    struct address peer;
    int64_t opened;
    int64_t idle_since;
    int64_t head_began;
    int64_t warned;
    uint64_t requests;
    uint32_t told;        /* exchanges that have heard of its end, or will */
    uint32_t streams_max; /* as the client was told */
};

/* Takes over a connected stream of a client that speaks HTTP/2: by its preface, or as ALPN has
 * agreed. `stream` is moved; `early` are bytes of it that were read already. The connection is
 * counted already, as `is_counted` says also by its address. On the loop or a fiber. */
void h2_accept(struct listener *listener, struct stream *stream, const struct address *peer,
               bool is_counted, bool is_secure, int64_t opened, struct slice early);
/* The same for one that has agreed on HTTP/2 while it shook hands. */
void h2_take(struct listener *listener, struct stream *stream, const struct address *peer,
             bool is_counted);
/* Asks the client to go elsewhere with what is new; closes when the last stream has ended. */
void h2_shutdown(struct h2_connection *c);
/* Ends it at once; exchanges are cancelled and end a little later. */
void h2_end(struct h2_connection *c);
