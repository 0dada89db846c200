/* SPDX-License-Identifier: Apache-2.0 */
/* Streams over TCP and unix sockets. */
#include "base/check.h"
#include "fiber/thread.h"
#include "net/stream.h"

ssize_t stream_tcp_receive(struct stream *stream, void *into, size_t size)
{
    struct watch *watch = &stream->watch;
    if ((watch->ready & (READY_READ | READY_CLOSED | READY_BROKEN)) == 0)
        return STREAM_WANTS_READ;
    ssize_t count = socket_receive(watch->fd, into, size);
    if (count > 0) {
        /* A short read has emptied the socket, unless an end may stand behind it. */
        if ((size_t)count < size && (watch->ready & (READY_CLOSED | READY_BROKEN)) == 0 &&
            stream->short_read_is_drained)
            watch->ready &= (uint8_t)~READY_READ;
        return count;
    }
    if (count == 0) {
        watch->ready |= READY_CLOSED;
        return STREAM_ENDED;
    }
    if (count == SOCKET_FAILED) {
        watch->ready |= READY_BROKEN;
        return STREAM_FAILED;
    }
    watch->ready &= (uint8_t) ~(READY_READ | READY_CLOSED);
    return watch->ready & READY_BROKEN ? STREAM_FAILED : STREAM_WANTS_READ;
}

ssize_t stream_tcp_send(struct stream *stream, const struct iovec *parts, int count)
{
    struct watch *watch = &stream->watch;
    ssize_t sent = socket_send(watch->fd, parts, count, stream->more_follows);
    if (sent >= 0)
        return sent;
    if (sent == SOCKET_FAILED) {
        watch->ready |= READY_BROKEN;
        return STREAM_FAILED;
    }
    watch->ready &= (uint8_t)~READY_WRITE;
    return STREAM_WANTS_WRITE;
}

static void tcp_shutdown(struct stream *stream)
{
    socket_shutdown_send(stream->watch.fd);
}

void stream_tcp_close(struct stream *stream, bool reset)
{
    loop_forget(&stream->watch, false);
    socket_close(stream->watch.fd, reset);
    stream->watch.fd = -1;
}

static const struct stream_operations TCP = {
    .receive = stream_tcp_receive,
    .send = stream_tcp_send,
    .shutdown = tcp_shutdown,
    .close = stream_tcp_close,
};

enum status stream_tcp_open(struct stream *stream, int fd, bool is_unix)
{
    void (*on_ready)(struct watch *) = stream->watch.on_ready;
    *stream = (struct stream){.operations = &TCP, .short_read_is_drained = !is_unix};
    stream->watch.on_ready = on_ready;
    TRY(loop_watch(&stream->watch, fd));
    return OK;
}

void stream_tcp_bare(struct stream *stream)
{
    stream->operations = &TCP;
}

bool stream_is_plain(const struct stream *stream)
{
    return stream->operations == &TCP;
}
