/* SPDX-License-Identifier: Apache-2.0 */
#include "net/stream.h"

#include "fiber/fiber.h"
#include "fiber/thread.h"

enum status stream_read(struct stream *stream, void *into, size_t size, size_t *got,
                        int64_t deadline)
{
    TRY(stream->operations->read(stream, into, size, got, deadline));
    stream->bytes_in += *got;
    return OK;
}

enum status stream_wait(struct stream *stream, int64_t deadline)
{
    return stream->operations->wait(stream, deadline);
}

enum status stream_write(struct stream *stream, struct iovec *parts, int count, int64_t stall,
                         int64_t deadline)
{
    return stream->operations->write(stream, parts, count, stall, deadline);
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
    from->watch.fd = -1;
}
