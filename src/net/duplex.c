/* SPDX-License-Identifier: Apache-2.0 */
#include "net/duplex.h"

#include "base/arena.h"
#include "base/clock.h"
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

/* Of the lingering, or of an end that was put off. */
static void on_timer(struct timer *timer)
{
    duplex_end(LIST_ENTRY(timer, struct duplex, timer));
}

/* Our last word is said. What the other side has sent meanwhile is read, or its kernel would throw
 * that word away. */
static void begin_linger(struct duplex *duplex)
{
    duplex->is_lingering = true;
    stream_shutdown(&duplex->stream);
    timer_set(&thread_self()->timers, &duplex->timer, clock_after(loop_now(), duplex->linger));
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

static void has_written(struct duplex *duplex, enum status status)
{
    duplex->is_writing = false;
    if (status == OK && !duplex->is_ending &&
        (duplex->is_closing || duplex->events->is_over(duplex))) {
        duplex->is_closing = true;
        begin_linger(duplex);
    }
    leave(duplex, status);
}

static void wait_for_turn(struct duplex *duplex)
{
    list_append(&thread_self()->duplexes, &duplex->turn);
}

/* The fiber of one whose socket was full: it writes what is left, then waits for its turn again. */
static void write_rest(void *argument)
{
    struct duplex *duplex = argument;
    struct iovec part = {duplex->rest + duplex->rest_at, duplex->rest_end - duplex->rest_at};
    enum status status = stream_write(&duplex->stream, &part, 1, duplex->write_stall, CLOCK_NEVER);
    block_give(duplex->rest);
    duplex->rest = NULL;
    duplex->is_writing = false;
    if (status == OK && !duplex->is_ending)
        duplex_send(duplex);
    else
        has_written(duplex, status);
}

/* What the socket takes at once. The block is kept for what it did not take: then NULL is left. */
static void write_turn(struct duplex *duplex, char **block)
{
    enum status status = OK;
    size_t size = 0;
    while (status == OK && !duplex->is_ending &&
           (size = duplex->events->fill(duplex, *block, STREAM_PIECE)) > 0) {
        struct iovec part = {*block, size};
        status = stream_write(&duplex->stream, &part, 1, 0, CLOCK_NEVER);
        if (status == ERR_TIMEOUT) {
            duplex->rest = *block;
            duplex->rest_at = (size_t)((char *)part.iov_base - *block);
            duplex->rest_end = size;
            *block = NULL;
            if (fiber_start(NULL, "duplex_write", write_rest, duplex, NULL) == OK)
                return;
            block_give(duplex->rest);
            duplex->rest = NULL;
        }
        /* There is more than fits at once: who was relieved of his part may bring the next, or the
         * less urgent would go first. */
        if (status == OK && size > STREAM_PIECE - NEARLY) {
            wait_for_turn(duplex);
            return;
        }
    }
    has_written(duplex, status);
}

/* Whatever else has something to say in this turn says it first. */
static void write_fiber(void *argument)
{
    struct thread *thread = argument;
    while (!list_is_empty(&thread->duplexes) && fiber_yield() == OK) {
        struct list now = thread->duplexes;
        now.next->previous = now.previous->next = &now;
        list_init(&thread->duplexes);
        char *block = NULL;
        while (!list_is_empty(&now)) {
            struct duplex *duplex = LIST_ENTRY(now.next, struct duplex, turn);
            list_remove(&duplex->turn);
            if (block == NULL)
                block = block_take();
            write_turn(duplex, &block);
        }
        if (block != NULL)
            block_give(block);
    }
    thread->duplexes_are_asked = false;
}

void duplex_send(struct duplex *duplex)
{
    struct thread *thread = thread_self();
    if (duplex->is_writing || duplex->is_ending || duplex->is_lingering)
        return;
    duplex->is_writing = true;
    wait_for_turn(duplex);
    if (thread->duplexes_are_asked)
        return;
    thread->duplexes_are_asked = true;
    if (fiber_start(NULL, "duplex_turn", write_fiber, thread, NULL) == OK)
        return;
    /* No fiber is to be had. It ends, but not in here: the caller still uses what end() frees. */
    thread->duplexes_are_asked = false;
    list_remove(&duplex->turn);
    duplex->is_writing = false;
    timer_set(&thread->timers, &duplex->timer, loop_now());
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
    duplex->timer.on_fire = on_timer;
    if (early.size > 0) {
        duplex->early = memory_alloc(early.size);
        memcpy(duplex->early, early.data, early.size);
        duplex->early_size = early.size;
    }
    start_reader(duplex);
}
