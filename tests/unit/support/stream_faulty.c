/* SPDX-License-Identifier: Apache-2.0 */
#include "support/stream_faulty.h"

#include "fiber/fiber.h"

static struct {
    const struct stream_operations *real;
    enum fault fault;
    int left; /* calls that still go well */
    bool was_reached;
} faulty;

/* OK: this call is made as usual. */
static enum status fail(int64_t deadline)
{
    if (faulty.left-- > 0)
        return OK;
    faulty.left = 0;
    faulty.was_reached = true;
    switch (faulty.fault) {
    case FAULT_BROKEN:
        return ERR_SYSTEM;
    case FAULT_CLOSED:
        return ERR_CLOSED;
    case FAULT_TIMEOUT:
        TRY(fiber_sleep(deadline));
        return ERR_TIMEOUT;
    case FAULT_CANCEL:
        fiber_cancel(fiber_self());
        return ERR_CANCELLED;
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
    TRY(fail(deadline));
    return faulty.real->read(stream, into, is_small() ? 1 : size, got, deadline);
}

static enum status faulty_wait(struct stream *stream, int64_t deadline)
{
    TRY(fail(deadline));
    return faulty.real->wait(stream, deadline);
}

static enum status faulty_write(struct stream *stream, struct iovec *parts, int count,
                                int64_t stall, int64_t deadline)
{
    TRY(fail(stream_stall_deadline(stall, deadline)));
    if (!is_small())
        return faulty.real->write(stream, parts, count, stall, deadline);
    for (int i = 0; i < count; i++)
        for (size_t at = 0; at < parts[i].iov_len; at++) {
            struct iovec byte = {(char *)parts[i].iov_base + at, 1};
            TRY(faulty.real->write(stream, &byte, 1, stall, deadline));
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

bool stream_faulty_was_reached(void)
{
    return faulty.was_reached;
}
