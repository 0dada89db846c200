/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes from socket to socket through a pipe, without copying them (splice). */
#include "fiber/thread.h"
#include "net/pipe.h"
#include "net/stream.h"

/* Fills the pipe with what the source has, waiting for the first byte only. */
static enum status fill(struct stream *from, struct pipe *pipe, uint64_t size, int64_t deadline)
{
    struct watch *watch = &from->watch;
    for (;;) {
        TRY(loop_wait_readable(watch, deadline));
        size_t want = size < PIPE_SIZE ? (size_t)size : PIPE_SIZE;
        ssize_t count = socket_splice(watch->fd, pipe->ends[1], want, false);
        if (count > 0) {
            pipe->filled = (size_t)count;
            from->bytes_in += (size_t)count;
            return OK;
        }
        if (count == 0)
            return ERR_CLOSED;
        if (count == SOCKET_FAILED)
            return ERR_SYSTEM;
        watch->ready &= (uint8_t) ~(READY_READ | READY_CLOSED);
        if (watch->ready & READY_BROKEN)
            return ERR_SYSTEM;
    }
}

static enum status drain(struct pipe *pipe, struct stream *to, bool more, int64_t stall)
{
    struct watch *watch = &to->watch;
    while (pipe->filled > 0) {
        ssize_t count = socket_splice(pipe->ends[0], watch->fd, pipe->filled, more);
        if (count > 0) {
            pipe->filled -= (size_t)count;
            to->bytes_out += (size_t)count;
            continue;
        }
        if (count != SOCKET_AGAIN)
            return ERR_CLOSED;
        watch->ready &= (uint8_t)~READY_WRITE;
        TRY(loop_wait_writable(watch, stream_stall_deadline(stall, CLOCK_NEVER)));
        if ((watch->ready & (READY_BROKEN | READY_WRITE)) == READY_BROKEN)
            return ERR_CLOSED;
    }
    return OK;
}

enum status stream_move(struct stream *from, struct stream *to, uint64_t size,
                        int64_t read_deadline, int64_t stall, struct stream_moved *moved)
{
    struct pipe *pipe;
    *moved = (struct stream_moved){0};
    TRY(pipe_take(&pipe));
    int64_t began = loop_now();
    enum status status = fill(from, pipe, size, read_deadline);
    moved->waited = loop_now() - began;
    moved->source_failed = status != OK;
    if (status == OK) {
        moved->size = pipe->filled;
        status = drain(pipe, to, moved->size < size, stall);
    }
    pipe_give(pipe);
    return status;
}

enum status stream_send_file(struct stream *to, int file, uint64_t offset, size_t size,
                             int64_t stall, size_t *sent)
{
    struct watch *watch = &to->watch;
    for (;;) {
        ssize_t count = socket_send_file(watch->fd, file, offset, size);
        if (count >= 0) {
            *sent = (size_t)count;
            to->bytes_out += (size_t)count;
            return OK;
        }
        if (count != SOCKET_AGAIN)
            return ERR_CLOSED;
        watch->ready &= (uint8_t)~READY_WRITE;
        TRY(loop_wait_writable(watch, stream_stall_deadline(stall, CLOCK_NEVER)));
        if ((watch->ready & (READY_BROKEN | READY_WRITE)) == READY_BROKEN)
            return ERR_CLOSED;
    }
}
