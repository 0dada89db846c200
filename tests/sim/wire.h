/* SPDX-License-Identifier: Apache-2.0 */
/* Connections of the simulated network: two ends, a stream of bytes each way that takes its time,
 * fills up, is cut into pieces, ends in halves, or breaks at any byte. */
#pragma once

#include "net/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How the path between two machines is. */
struct network {
    int64_t latency, jitter; /* ns, one way */
    uint64_t bytes_per_ms;
    uint32_t
        split; /* the first SPLIT_BYTES arrive in pieces of 1 to so many; 0: as they were sent */
    size_t send_buffer, receive_buffer;
};

struct wire {
    char *ring; /* of send_buffer + receive_buffer */
    uint64_t written, arrived, read;
    bool is_moving; /* an event for its bytes is under way */
    bool is_ended;  /* the writer will write no more … */
    bool has_ended; /* … and that has arrived */
};

struct end {
    struct end *other; /* NULL: connecting */
    struct wire in;
    const struct network *network;
    bool is_unix;
    bool is_shut;                      /* this end sends no more */
    bool is_closed;                    /* its owner has let go of it */
    bool is_broken;                    /* a reset has arrived */
    bool has_told;                     /* the error was read once */
    bool wants_room;                   /* a write came up short */
    bool is_dead;                      /* its machine is gone without a word */
    enum status error;                 /* of a connect */
    int fd;                            /* of weir; −1: an actor's */
    void (*on_event)(struct end *end); /* the actor's; comes as an event of its own */
    bool is_called;                    /* one is under way */
    uint64_t read_at_write;            /* how much of `in` was read when this end wrote last */
    bool was_seen;                     /* its owner knows that it is connected */
    void *owner;
    struct address from, to; /* who dialled whom */
};

/* Not connected yet. */
struct end *end_new(const struct network *network, bool is_unix);
/* From now on bytes flow; the other end is returned. */
struct end *end_connect(struct end *end);

/* How many bytes were taken: fewer than `size` when the buffer is full. */
size_t end_write(struct end *end, const void *data, size_t size);
size_t end_room(const struct end *end);
size_t end_read(struct end *end, void *into, size_t size);
size_t end_readable(const struct end *end);
/* How often weir has read something, anywhere. */
uint64_t wire_reads(void);
/* The other side has ended and all of it was read, or the connection is broken. */
bool end_is_over(const struct end *end);

void end_shutdown(struct end *end);
/* As close(): unread bytes make it a reset. */
void end_close(struct end *end);
void end_reset(struct end *end);
/* The network breaks it: this end knows at once, the other soon. */
void end_sever(struct end *end);
/* The machine vanishes: nothing arrives there, nothing comes from it. */
void end_vanish(struct end *end);

/* EPOLL… bits that hold. */
uint32_t end_state(const struct end *end);
/* Tells the owner of the end that these may have become true. */
void end_tell(struct end *end, uint32_t events);
