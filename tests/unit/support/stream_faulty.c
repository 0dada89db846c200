/* SPDX-License-Identifier: Apache-2.0 */
#include "support/stream_faulty.h"

#include "fiber/fiber.h"

static struct {
    const struct stream_operations *real;
    enum fault fault;
    int left; /* calls that still go well */
    bool was_reached;
    struct fiber *victim;
} faulty;

/* Nothing has come and nothing is taken, until the next edge or an end. */
static ssize_t nothing(struct stream *stream, ssize_t wants)
{
    uint8_t bits = wants == STREAM_WANTS_READ ? READY_READ | READY_CLOSED : READY_WRITE;
    if (stream->watch.ready & READY_BROKEN)
        return STREAM_FAILED;
    stream->watch.ready &= (uint8_t)~bits;
    return wants;
}

/* Whether this call goes wrong, and with which answer. */
static bool fails(struct stream *stream, ssize_t wants, ssize_t *answer)
{
    if (faulty.left-- > 0)
        return false;
    faulty.left = 0;
    faulty.was_reached = true;
    switch (faulty.fault) {
    case FAULT_BROKEN:
        stream_break(stream); /* as the kernel would tell the other direction */
        *answer = STREAM_FAILED;
        return true;
    case FAULT_CLOSED:
        stream_break(stream);
        *answer = wants == STREAM_WANTS_READ ? STREAM_ENDED : STREAM_FAILED;
        return true;
    case FAULT_TIMEOUT:
        *answer = nothing(stream, wants);
        return true;
    case FAULT_CANCEL:
        fiber_cancel(faulty.victim);
        if (faulty.victim != fiber_self())
            return false;
        *answer = nothing(stream, wants);
        return true;
    case FAULT_ONE_BYTE:
    case FAULTS:
        break;
    }
    return false;
}

static bool is_small(void)
{
    return faulty.was_reached && faulty.fault == FAULT_ONE_BYTE;
}

static ssize_t faulty_receive(struct stream *stream, void *into, size_t size)
{
    ssize_t answer;
    if (fails(stream, STREAM_WANTS_READ, &answer))
        return answer;
    return faulty.real->receive(stream, into, is_small() ? 1 : size);
}

static ssize_t faulty_send(struct stream *stream, const struct iovec *parts, int count)
{
    ssize_t answer;
    if (fails(stream, STREAM_WANTS_WRITE, &answer))
        return answer;
    if (!is_small())
        return faulty.real->send(stream, parts, count);
    struct iovec byte = {parts[0].iov_base, 1};
    return faulty.real->send(stream, &byte, 1);
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
    .receive = faulty_receive,
    .send = faulty_send,
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
