/* SPDX-License-Identifier: Apache-2.0 */
/* A connection that many fibers share, as HTTP/2 has it: one fiber reads whenever bytes have come.
 * What all fibers of one turn of the loop have to say leaves at its end in as few writes as
 * possible: one fiber writes for all connections of the thread; one whose socket takes no more gets
 * a fiber of its own until it does. A quiet connection has neither fiber nor buffer. */
#pragma once

#include "fiber/timer.h"
#include "net/stream.h"

struct duplex;

struct duplex_events {
    /* Bytes came; runs on the reading fiber, and may wait. Not OK: what is still to be sent is
     * sent, then the connection is closed. */
    enum status (*receive)(struct duplex *duplex, struct slice bytes);
    /* All that had come was received. */
    void (*received)(struct duplex *duplex);
    /* Writes what is to be sent; 0: nothing. */
    size_t (*fill)(struct duplex *duplex, char *into, size_t room);
    /* Everything was sent: whether to close now. */
    bool (*is_over)(struct duplex *duplex);
    /* The connection has ended and no fiber works on it: close the stream, free what there is. */
    void (*end)(struct duplex *duplex);
};

struct duplex {
    struct stream stream;
    const struct duplex_events *events;
    int64_t write_stall; /* ns without a byte taken before it is given up */
    int64_t linger;      /* ns that the other side gets to read our last words */
    char *early;         /* bytes that were read before; the reader frees them */
    size_t early_size;
    struct list turn;         /* of the thread: it has something to say */
    char *rest;               /* a block of which the socket has not taken all … */
    size_t rest_at, rest_end; /* … but this */
    struct timer timer;       /* of the lingering, or of an end that was put off */
    bool is_reading;          /* a fiber does */
    bool is_writing;          /* its turn will come, or a fiber of its own writes */
    bool is_closing;          /* what is to be sent is sent, nothing more is received */
    bool is_lingering;        /* our side is shut */
    bool is_ending;
};

/* Takes a stream over (it is moved) that no fiber waits on; `early` are bytes of it that were read
 * already. The struct is zero but for events and times. */
void duplex_start(struct duplex *duplex, struct stream *stream, struct slice early);
/* There is something for fill(): it is asked at the end of this turn of the loop. Never calls end()
 * itself. */
void duplex_send(struct duplex *duplex);
/* Sends what is to be sent, then closes. Never calls end() itself. */
void duplex_close(struct duplex *duplex);
/* Ends it now. end() is called at once, or when the fiber that is at work has noticed. */
void duplex_end(struct duplex *duplex);
