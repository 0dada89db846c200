/* SPDX-License-Identifier: Apache-2.0 */
#include "net/stream.h"

#include "fiber/fiber.h"
#include "fiber/thread.h"

#include <stdlib.h>

enum {
    CROWDED_MS = 5,     /* between two looks when another fiber waits for the same direction */
    PATIENCE_MS = 1000, /* of a writer, before it counts as slow */
};

ssize_t stream_receive(struct stream *stream, void *into, size_t size)
{
    ssize_t count = stream->operations->receive(stream, into, size);
    if (count > 0)
        stream->bytes_in += (size_t)count;
    return count;
}

ssize_t stream_send(struct stream *stream, const struct iovec *parts, int count)
{
    ssize_t sent = stream->operations->send(stream, parts, count);
    if (sent > 0)
        stream->bytes_out += (size_t)sent;
    return sent;
}

bool stream_has_input(const struct stream *stream)
{
    return (stream->watch.ready & (READY_READ | READY_CLOSED | READY_BROKEN)) != 0 ||
           (stream->tls != NULL && stream->operations->has_input(stream));
}

bool stream_is_quiet(const struct stream *stream)
{
    return (stream->tls == NULL || !stream->operations->has_input(stream)) &&
           socket_is_quiet(stream->watch.fd);
}

enum status stream_wait_for(struct stream *stream, ssize_t wants, int64_t deadline)
{
    struct watch *watch = &stream->watch;
    bool is_read = wants == STREAM_WANTS_READ;
    /* Over TLS a reader may have to write and the other way round: then the place may be taken. */
    if ((is_read ? watch->reader : watch->writer) != NULL) {
        int64_t soon = loop_now() + MILLISECONDS(CROWDED_MS);
        return loop_now() >= deadline ? ERR_TIMEOUT
                                      : fiber_sleep(soon < deadline ? soon : deadline);
    }
    if (is_read)
        return loop_wait_readable(watch, deadline);
    TRY(loop_wait_writable(watch, deadline));
    return (watch->ready & (READY_BROKEN | READY_WRITE)) == READY_BROKEN ? ERR_CLOSED : OK;
}

enum status stream_read(struct stream *stream, void *into, size_t size, size_t *got,
                        int64_t deadline)
{
    for (;;) {
        ssize_t count = stream_receive(stream, into, size);
        if (count > 0) {
            *got = (size_t)count;
            return OK;
        }
        if (count == STREAM_ENDED)
            return ERR_CLOSED;
        if (count == STREAM_FAILED)
            return ERR_SYSTEM;
        TRY(stream_wait_for(stream, count, deadline));
    }
}

enum status stream_wait(struct stream *stream, int64_t deadline)
{
    return stream_has_input(stream) ? OK : loop_wait_readable(&stream->watch, deadline);
}

void stream_advance(struct iovec **parts, int *count, size_t sent)
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

/* A client that has taken nothing for a while is one of those of whom there may be thousands. */
static enum status wait_for_room(struct stream *stream, const struct iovec *part, ssize_t wants,
                                 int64_t give_up)
{
    int64_t soon = clock_after(loop_now(), MILLISECONDS(PATIENCE_MS));
    if (soon >= give_up)
        return stream_wait_for(stream, wants, give_up);
    enum status status = stream_wait_for(stream, wants, soon);
    if (status != ERR_TIMEOUT)
        return status;
    fiber_shed_stack();
    if (stream->on_slow != NULL)
        stream->on_slow(stream, slice_of(part->iov_base, part->iov_len));
    return stream_wait_for(stream, wants, give_up);
}

enum status stream_write(struct stream *stream, struct iovec *parts, int count, int64_t stall,
                         int64_t deadline)
{
    int64_t give_up = 0; /* known once we have to wait */
    stream_advance(&parts, &count, 0);
    while (count > 0) {
        ssize_t sent = stream_send(stream, parts, count);
        if (sent >= 0) {
            give_up = 0;
            stream_advance(&parts, &count, (size_t)sent);
            continue;
        }
        if (sent == STREAM_FAILED)
            return ERR_CLOSED;
        if (give_up == 0)
            give_up = stream_stall_deadline(stall, deadline);
        TRY(wait_for_room(stream, parts, sent, give_up));
    }
    return OK;
}

void stream_break(struct stream *stream)
{
    struct watch *watch = &stream->watch;
    watch->ready |= READY_BROKEN;
    if (watch->reader != NULL)
        fiber_wake(watch->reader);
    if (watch->writer != NULL)
        fiber_wake(watch->writer);
}

void stream_shutdown(struct stream *stream)
{
    stream->operations->shutdown(stream);
}

void stream_close(struct stream *stream, bool reset)
{
    stream->operations->close(stream, reset);
    free(stream->introduction);
    stream->introduction = NULL;
}

int64_t stream_stall_deadline(int64_t stall, int64_t deadline)
{
    if (stall == CLOCK_NEVER)
        return deadline;
    int64_t at = loop_now() + stall;
    return at < deadline ? at : deadline;
}

void stream_relocate(struct stream *to, struct stream *from)
{
    *to = *from;
    loop_relocate(&to->watch, &from->watch);
    from->introduction = NULL;
    from->watch.fd = -1;
}
