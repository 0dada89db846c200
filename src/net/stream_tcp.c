/* SPDX-License-Identifier: Apache-2.0 */
/* Streams over TCP and unix sockets. The only retry loops round non-blocking I/O stand here and in
 * stream_move.c. */
#include "base/check.h"
#include "fiber/thread.h"
#include "net/stream.h"

static enum status tcp_read(struct stream *stream, void *into, size_t size, size_t *got,
                            int64_t deadline)
{
    struct watch *watch = &stream->watch;
    for (;;) {
        TRY(loop_wait_readable(watch, deadline));
        ssize_t count = socket_receive(watch->fd, into, size);
        if (count > 0) {
            /* A short read has emptied the socket, unless an end may stand behind it. */
            if ((size_t)count < size && (watch->ready & (READY_CLOSED | READY_BROKEN)) == 0 &&
                stream->short_read_is_drained)
                watch->ready &= (uint8_t)~READY_READ;
            *got = (size_t)count;
            return OK;
        }
        if (count == 0) {
            watch->ready |= READY_CLOSED;
            return ERR_CLOSED;
        }
        if (count == SOCKET_FAILED) {
            watch->ready |= READY_BROKEN;
            return ERR_SYSTEM;
        }
        watch->ready &= (uint8_t) ~(READY_READ | READY_CLOSED);
        if (watch->ready & READY_BROKEN)
            return ERR_SYSTEM;
    }
}

static enum status tcp_wait(struct stream *stream, int64_t deadline)
{
    return loop_wait_readable(&stream->watch, deadline);
}

/* Takes what was sent off the front of the parts. */
static void advance(struct iovec **parts, int *count, size_t sent)
{
    while (*count > 0 && sent >= (*parts)->iov_len) {
        sent -= (*parts)->iov_len;
        (*parts)++;
        (*count)--;
    }
    if (*count > 0) {
        (*parts)->iov_base = (char *)(*parts)->iov_base + sent;
        (*parts)->iov_len -= sent;
    }
}

static enum status tcp_write(struct stream *stream, struct iovec *parts, int count, int64_t stall,
                             int64_t deadline)
{
    struct watch *watch = &stream->watch;
    int64_t give_up = 0; /* known once we have to wait */
    advance(&parts, &count, 0);
    while (count > 0) {
        ssize_t sent = socket_send(watch->fd, parts, count, false);
        if (sent >= 0) {
            stream->bytes_out += (size_t)sent;
            give_up = 0;
            advance(&parts, &count, (size_t)sent);
            continue;
        }
        if (sent == SOCKET_FAILED) {
            watch->ready |= READY_BROKEN;
            return ERR_CLOSED;
        }
        watch->ready &= (uint8_t)~READY_WRITE;
        if (give_up == 0)
            give_up = stream_stall_deadline(stall, deadline);
        TRY(loop_wait_writable(watch, give_up));
        if ((watch->ready & (READY_BROKEN | READY_WRITE)) == READY_BROKEN)
            return ERR_CLOSED;
    }
    return OK;
}

static void tcp_shutdown(struct stream *stream)
{
    socket_shutdown_send(stream->watch.fd);
}

static void tcp_close(struct stream *stream, bool reset)
{
    loop_forget(&stream->watch, false);
    socket_close(stream->watch.fd, reset);
    stream->watch.fd = -1;
}

static const struct stream_operations TCP = {
    .read = tcp_read,
    .wait = tcp_wait,
    .write = tcp_write,
    .shutdown = tcp_shutdown,
    .close = tcp_close,
};

enum status stream_tcp_open(struct stream *stream, int fd, bool is_unix)
{
    void (*on_ready)(struct watch *) = stream->watch.on_ready;
    *stream = (struct stream){.operations = &TCP, .short_read_is_drained = !is_unix};
    stream->watch.on_ready = on_ready;
    TRY(loop_watch(&stream->watch, fd));
    return OK;
}

bool stream_is_plain(const struct stream *stream)
{
    return stream->operations == &TCP;
}
