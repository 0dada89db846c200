/* SPDX-License-Identifier: Apache-2.0 */
#include "support/stream_faulty.h"

#include "fiber/fiber.h"
#include "fiber/thread.h"

static struct {
    const struct stream_operations *real;
    enum fault fault;
    int left; /* calls that still go well */
    bool was_reached;
    struct fiber *victim;
} faulty;

/* Nothing happens until the deadline, or until the owner breaks the stream. */
static enum status stall(const struct stream *stream, int64_t deadline)
{
    while (loop_now() < deadline) {
        if (stream->watch.ready & READY_BROKEN)
            return ERR_SYSTEM;
        TRY(fiber_sleep(loop_now() + MILLISECONDS(2)));
    }
    return ERR_TIMEOUT;
}

/* OK: this call is made as usual. */
static enum status fail(struct stream *stream, int64_t deadline)
{
    if (faulty.left-- > 0)
        return OK;
    faulty.left = 0;
    faulty.was_reached = true;
    switch (faulty.fault) {
    case FAULT_BROKEN:
        stream_break(stream); /* as the kernel would tell the other direction */
        return ERR_SYSTEM;
    case FAULT_CLOSED:
        stream_break(stream);
        return ERR_CLOSED;
    case FAULT_TIMEOUT:
        return stall(stream, deadline);
    case FAULT_CANCEL:
        fiber_cancel(faulty.victim);
        return faulty.victim == fiber_self() ? ERR_CANCELLED : OK;
    case FAULT_ONE_BYTE:
    case FAULTS:
        break;
    }
    return OK;
}

static bool is_small(void)
{
    return faulty.was_reached && faulty.fault == FAULT_ONE_BYTE;
}

static enum status faulty_read(struct stream *stream, void *into, size_t size, size_t *got,
                               int64_t deadline)
{
    TRY(fail(stream, deadline));
    return faulty.real->read(stream, into, is_small() ? 1 : size, got, deadline);
}

static enum status faulty_wait(struct stream *stream, int64_t deadline)
{
    TRY(fail(stream, deadline));
    return faulty.real->wait(stream, deadline);
}

static enum status faulty_write(struct stream *stream, struct iovec *parts, int count,
                                int64_t stall_ns, int64_t deadline)
{
    TRY(fail(stream, stream_stall_deadline(stall_ns, deadline)));
    if (!is_small())
        return faulty.real->write(stream, parts, count, stall_ns, deadline);
    for (int i = 0; i < count; i++)
        for (size_t at = 0; at < parts[i].iov_len; at++) {
            struct iovec byte = {(char *)parts[i].iov_base + at, 1};
            TRY(faulty.real->write(stream, &byte, 1, stall_ns, deadline));
        }
    return OK;
}

static void faulty_shutdown(struct stream *stream)
{
    faulty.real->shutdown(stream);
}

static void faulty_close(struct stream *stream, bool reset)
{
    faulty.real->close(stream, reset);
}

static const struct stream_operations FAULTY = {
    .read = faulty_read,
    .wait = faulty_wait,
    .write = faulty_write,
    .shutdown = faulty_shutdown,
    .close = faulty_close,
};

void stream_faulty(struct stream *stream, enum fault fault, int at)
{
    faulty.real = stream->operations;
    faulty.fault = fault;
    faulty.left = at;
    faulty.was_reached = false;
    stream->operations = &FAULTY;
}

void stream_faulty_cancels(struct fiber *victim)
{
    faulty.victim = victim;
}

bool stream_faulty_was_reached(void)
{
    return faulty.was_reached;
}
