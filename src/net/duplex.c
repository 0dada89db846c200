/* SPDX-License-Identifier: Apache-2.0 */
#include "net/duplex.h"

#include "base/arena.h"
#include "fiber/block.h"
#include "fiber/fiber.h"
#include "fiber/thread.h"

#include <stdlib.h>
#include <string.h>

enum {
    NEARLY = 1024,  /* less room than that in a block counts as none */
    ROUNDS_MAX = 8, /* blocks read before others get their turn */
};

static void settle(struct duplex *duplex)
{
    if (!duplex->is_ending || duplex->is_reading || duplex->is_writing)
        return;
    timer_clear(&thread_self()->timers, &duplex->timer);
    duplex->events->end(duplex);
}

void duplex_end(struct duplex *duplex)
{
    if (duplex->is_ending)
        return;
    duplex->is_ending = true;
    stream_break(&duplex->stream);
    settle(duplex);
}

/* A fiber's last act. */
static void leave(struct duplex *duplex, enum status status)
{
    if (status != OK && !duplex->is_ending)
        duplex_end(duplex);
    else
        settle(duplex);
}

static void on_linger_over(struct timer *timer)
{
    duplex_end(LIST_ENTRY(timer, struct duplex, timer));
}

/* Our last word is said. What the other side has sent meanwhile is read, or its kernel would throw
 * that word away. */
static void begin_linger(struct duplex *duplex)
{
    duplex->is_lingering = true;
    stream_shutdown(&duplex->stream);
    timer_set(&thread_self()->timers, &duplex->timer, loop_now() + duplex->linger);
}

static enum status receive(struct duplex *duplex, struct slice bytes)
{
    if (!duplex->is_closing && duplex->events->receive(duplex, bytes) != OK)
        duplex_close(duplex);
    return duplex->is_ending ? ERR_CLOSED : OK;
}

/* Reads until nothing is there. */
static enum status read_all(struct duplex *duplex, char *block)
{
    for (int round = 1;; round++) {
        size_t got = 0;
        enum status status = stream_read(&duplex->stream, block, BLOCK_SIZE, &got, 0);
        if (status == ERR_TIMEOUT)
            return OK;
        TRY(status);
        TRY(receive(duplex, slice_of(block, got)));
        if (round % ROUNDS_MAX == 0)
            TRY(fiber_yield());
    }
}

static enum status read_early(struct duplex *duplex)
{
    char *early = duplex->early;
    if (early == NULL)
        return OK;
    duplex->early = NULL;
    enum status status = receive(duplex, slice_of(early, duplex->early_size));
    free(early);
    return status;
}

static void read_fiber(void *argument)
{
    struct duplex *duplex = argument;
    char *block = block_take();
    enum status status = read_early(duplex);
    if (status == OK)
        status = read_all(duplex, block);
    block_give(block);
    if (status == OK && !duplex->is_closing)
        duplex->events->received(duplex);
    duplex->is_reading = false;
    leave(duplex, status);
}

/* On the loop a fiber that is started runs at once, and may have freed all of this when
 * fiber_start() returns. */
static void start_reader(struct duplex *duplex)
{
    if (duplex->is_reading || duplex->is_ending)
        return;
    duplex->is_reading = true;
    if (fiber_start(NULL, "duplex_read", read_fiber, duplex, NULL) == OK)
        return;
    duplex->is_reading = false;
    duplex_end(duplex);
}

static void on_ready(struct watch *watch)
{
    struct duplex *duplex = LIST_ENTRY(watch, struct duplex, stream.watch);
    if (watch->ready & ~(unsigned)READY_WRITE)
        start_reader(duplex);
}

static enum status write_all(struct duplex *duplex, char *block)
{
    size_t size;
    while (!duplex->is_ending && (size = duplex->events->fill(duplex, block, BLOCK_SIZE)) > 0) {
        struct iovec part = {block, size};
        TRY(stream_write(&duplex->stream, &part, 1, duplex->write_stall, CLOCK_NEVER));
        /* There is more than fits at once: who was relieved of his part may bring the next, or the
         * less urgent would go first. */
        if (size > BLOCK_SIZE - NEARLY)
            TRY(fiber_yield());
    }
    return OK;
}

static void write_fiber(void *argument)
{
    struct duplex *duplex = argument;
    /* Whatever else has something to say in this turn says it first. */
    enum status status = fiber_yield();
    char *block = block_take();
    if (status == OK)
        status = write_all(duplex, block);
    block_give(block);
    duplex->is_writing = false;
    if (status == OK && !duplex->is_ending &&
        (duplex->is_closing || duplex->events->is_over(duplex))) {
        duplex->is_closing = true;
        begin_linger(duplex);
    }
    leave(duplex, status);
}

void duplex_send(struct duplex *duplex)
{
    if (duplex->is_writing || duplex->is_ending || duplex->is_lingering)
        return;
    duplex->is_writing = true;
    if (fiber_start(NULL, "duplex_write", write_fiber, duplex, NULL) == OK)
        return;
    duplex->is_writing = false;
    duplex_end(duplex);
}

void duplex_close(struct duplex *duplex)
{
    duplex->is_closing = true;
    duplex_send(duplex);
}

void duplex_start(struct duplex *duplex, struct stream *stream, struct slice early)
{
    stream_relocate(&duplex->stream, stream);
    duplex->stream.watch.on_ready = on_ready;
    duplex->timer.on_fire = on_linger_over;
    if (early.size > 0) {
        duplex->early = memory_alloc(early.size);
        memcpy(duplex->early, early.data, early.size);
        duplex->early_size = early.size;
    }
    start_reader(duplex);
}
