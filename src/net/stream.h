/* SPDX-License-Identifier: Apache-2.0 */
/* Ordered bytes in two directions, over TCP, unix sockets or TLS; every call with a deadline. The
 * one place that loops round non-blocking I/O. */
#pragma once

#include "fiber/loop.h"
#include "net/socket.h"

struct introduction;
struct stream;
struct tls;

/* What stream_receive() and stream_send() answer in place of a count of bytes. */
enum {
    STREAM_ENDED = 0,        /* receive: the other side will send no more */
    STREAM_WANTS_READ = -1,  /* nothing goes on before the socket can be read */
    STREAM_WANTS_WRITE = -2, /* nothing goes on before it takes bytes */
    STREAM_FAILED = -3,      /* it is broken */
};

/* None of them waits. */
struct stream_operations {
    ssize_t (*receive)(struct stream *stream, void *into, size_t size);
    ssize_t (*send)(struct stream *stream, const struct iovec *parts, int count);
    bool (*has_input)(const struct stream *stream); /* beyond what the socket has */
    void (*shutdown)(struct stream *stream);
    void (*close)(struct stream *stream, bool reset);
};

enum {
    STREAM_TLS_BYTES = 16 * 1024, /* about what a connection of TLS holds beside its stream */
    /* Bytes that are best written at a time: a record of TLS with so many fills four pages. */
    STREAM_PIECE = 16 * 1024 - 32,
};

struct stream {
    const struct stream_operations *operations;
    struct watch watch; /* of the descriptor beneath */
    uint64_t bytes_in;
    uint64_t bytes_out;
    void *argument; /* for the owner's on_ready */
    /* A writer has waited for long, and will longer, for these to leave; NULL. */
    void (*on_slow)(struct stream *stream, struct slice waiting);
    bool more_follows; /* what is written now does not have to leave before what comes next */
    bool short_read_is_drained;        /* of TCP; unix sockets are read until they say no */
    struct tls *tls;                   /* of net/stream_tls; NULL: bytes travel as they are */
    struct introduction *introduction; /* what a proxy said of the client; the stream's; NULL */
};

/* Reads what can be had at once: how many bytes, or one of the above. For those who run on the
 * loop. */
ssize_t stream_receive(struct stream *stream, void *into, size_t size);
/* Writes what is taken at once. What was refused must be offered again, first and unchanged. */
ssize_t stream_send(struct stream *stream, const struct iovec *parts, int count);
/* Whether stream_receive() may have something to say. */
bool stream_has_input(const struct stream *stream);
/* Whether an idle connection is as it should be: open, with nothing to read. Asks the kernel. */
bool stream_is_quiet(const struct stream *stream);

/* Reads what is there, at least one byte. ERR_CLOSED at the end of the other side's bytes,
 * ERR_PROTOCOL never (a reset is ERR_SYSTEM), ERR_TIMEOUT, ERR_CANCELLED. */
MAY_WAIT MUST_CHECK enum status stream_read(struct stream *stream, void *into, size_t size,
                                            size_t *got, int64_t deadline);
/* Waits until stream_read() has something to say at once: bytes, an end or an error. For those who
 * take memory to read into only then. */
MAY_WAIT MUST_CHECK enum status stream_wait(struct stream *stream, int64_t deadline);
/* Writes all parts (they are modified). Gives up when no byte could be written for `stall`
 * nanoseconds, or at the deadline: ERR_TIMEOUT. ERR_CLOSED when the other side is gone. */
MAY_WAIT MUST_CHECK enum status stream_write(struct stream *stream, struct iovec *parts, int count,
                                             int64_t stall, int64_t deadline);
/* Makes the fiber that reads or writes give up with ERR_SYSTEM, for another fiber of this thread
 * that knows it is of no use any more. */
void stream_break(struct stream *stream);
void stream_shutdown(struct stream *stream); /* no more from us */
void stream_close(struct stream *stream, bool reset);

/* Over a connected, non-blocking descriptor that now belongs to the stream (also after a failure it
 * is the caller's). Keeps watch.on_ready. ERR_SYSTEM. */
MUST_CHECK enum status stream_tcp_open(struct stream *stream, int fd, bool is_unix);
/* The same two without a loop, for what stands on top of a socket. */
ssize_t stream_tcp_receive(struct stream *stream, void *into, size_t size);
ssize_t stream_tcp_send(struct stream *stream, const struct iovec *parts, int count);
void stream_tcp_close(struct stream *stream, bool reset);
/* Nothing stands on top any more. */
void stream_tcp_bare(struct stream *stream);
/* Takes what was sent off the front of the parts. */
void stream_advance(struct iovec **parts, int *count, size_t sent);
/* Waits for what STREAM_WANTS_READ or STREAM_WANTS_WRITE asked for. ERR_CLOSED: it broke. */
MAY_WAIT MUST_CHECK enum status stream_wait_for(struct stream *stream, ssize_t wants,
                                                int64_t deadline);
/* Moves a stream that no fiber waits on to other memory; `from` is empty afterwards. */
void stream_relocate(struct stream *to, struct stream *from);
/* When a wait without progress gives up. */
int64_t stream_stall_deadline(int64_t stall, int64_t deadline);
/* Whether bytes may be moved past user space on it. */
bool stream_is_plain(const struct stream *stream);
struct stream_moved {
    uint64_t size;
    int64_t waited;     /* for the source */
    bool source_failed; /* which side an error is of */
};
/* Moves up to `size` bytes from one plain stream to the other through a pipe (splice), at least
 * one. ERR_CLOSED when `from` ended; ERR_LIMIT when no pipe was free: nothing moved, copy instead.
 * `stall`: how long `to` may take nothing. */
MAY_WAIT MUST_CHECK enum status stream_move(struct stream *from, struct stream *to, uint64_t size,
                                            int64_t read_deadline, int64_t stall,
                                            struct stream_moved *moved);
/* Sends up to `size` bytes of a file past user space on a plain stream; `sent` is set to how many,
 * 0: the file has no more there. The caller knows that they are in memory, or that it may wait for
 * a disk. ERR_CLOSED, ERR_TIMEOUT (nothing was taken for `stall` ns), ERR_CANCELLED. */
MAY_WAIT MUST_CHECK enum status stream_send_file(struct stream *to, int file, uint64_t offset,
                                                 size_t size, int64_t stall, size_t *sent);

/* Says for whom the connection is, before anything else is written: a header of the PROXY protocol.
 * Waits; the failures of stream_write(). */
struct proxy_header;
MAY_WAIT MUST_CHECK enum status
stream_introduce(struct stream *stream, const struct proxy_header *header, int64_t deadline);
/* Connects to the first of the addresses that answers (RFC 8305: the next one is tried 250 ms after
 * the last, or at once when that failed). Waits. `which` says the one that answered. */
MAY_WAIT MUST_CHECK enum status stream_connect(struct stream *stream, const struct address *to,
                                               size_t count, size_t *which, int64_t deadline);
