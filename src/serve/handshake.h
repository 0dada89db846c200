/* SPDX-License-Identifier: Apache-2.0 */
/* A client's connection until it is known who speaks there, where a proxy says that, and until TLS
 * is agreed on, where that is spoken. It has no fiber before its first byte; then one
 * shakes hands and hands the stream to the protocol that ALPN has chosen. A handshake is a hundred
 * times the work of a request and tens of KB while it lasts: of a crowd only a few begin in a turn
 * of the loop, so that the others are served and the memory of a few is used again. */
#pragma once

#include "serve/introduction.h"
#include "serve/listener.h"

struct handshake {
    struct stream stream;
    struct list link;
    struct timer timer; /* until the first byte */
    struct listener *listener;
    bool awaits_introduction; /* its header comes before anything else */
    struct introduction_reader reader;
    struct fiber *fiber; /* NULL: it has not begun */
    bool is_next;        /* in the worker's handshakes_next */
    struct list next;
    struct address peer;
    bool is_counted;
    int64_t opened;
};

enum {
    SERVE_PROTOCOLS_MAX = 4,
};

/* The protocols that clients are offered over TLS, by their names in ALPN, the preferred first. */
size_t serve_protocols(struct slice *names);
/* Of a worker that starts. */
void handshake_prepare(struct serve_worker *worker);
/* Takes a connected descriptor over. */
void handshake_accept(struct listener *listener, int fd, const struct address *peer,
                      bool is_counted);
/* Ends it at once; one that shakes hands ends a little later. */
void handshake_end(struct handshake *handshake);
