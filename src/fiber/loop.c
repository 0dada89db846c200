/* SPDX-License-Identifier: Apache-2.0 */
/* Events carry {slot, generation} instead of a pointer: an event that was already fetched for a
 * watch that is gone finds another generation in its slot and is dropped. */
#include "fiber/loop.h"

#include "base/arena.h"
#include "base/check.h"
#include "fiber/fiber.h"
#include "fiber/poll.h"
#include "fiber/thread.h"

#include <stdlib.h>

enum {
    EVENTS_MAX = 256,
    TURN_END_MAX = 8,
    /* Thousands of deadlines of one moment (an attack that runs into its timeout) end connections
     * whose buffers the kernel takes a tenth of a millisecond to free: others must not wait for
     * all. A few in each turn, and one more for every few events of others. */
    TIMERS_PER_TURN = 4,
    EVENTS_PER_TIMER = 4,
};

struct slot {
    struct watch *watch; /* NULL: free, then next_free holds */
    uint32_t generation;
    uint32_t next_free;
};

struct loop {
    int poll;
    bool is_stopped;
    struct slot *slots; /* slot 0 is never given out */
    uint32_t slots_count, slots_capacity, first_free;
    void **free_later;
    size_t free_count, free_capacity;
    struct {
        void (*fn)(void *argument);
        void *argument;
    } turn_end[TURN_END_MAX];
    size_t turn_end_count;
    struct epoll_event events[EVENTS_MAX];
};

enum status loop_init(struct thread *thread)
{
    int poll = poll_open();
    if (poll < 0)
        return ERR_SYSTEM;
    struct loop *loop = memory_zero(sizeof *loop);
    loop->poll = poll;
    loop->slots_count = 1;
    thread->loop = loop;
    return OK;
}

static void free_what_is_due(struct loop *loop)
{
    for (size_t i = 0; i < loop->free_count; i++)
        free(loop->free_later[i]);
    loop->free_count = 0;
}

void loop_done(struct thread *thread)
{
    struct loop *loop = thread->loop;
    free_what_is_due(loop);
    poll_close(loop->poll);
    free(loop->free_later);
    free(loop->slots);
    free(loop);
    thread->loop = NULL;
}

static uint32_t take_slot(struct loop *loop)
{
    if (loop->first_free != 0) {
        uint32_t slot = loop->first_free;
        loop->first_free = loop->slots[slot].next_free;
        return slot;
    }
    if (loop->slots_count >= loop->slots_capacity) {
        loop->slots_capacity = loop->slots_capacity == 0 ? 64 : loop->slots_capacity * 2;
        loop->slots = memory_resize(loop->slots, loop->slots_capacity * sizeof *loop->slots);
    }
    loop->slots[loop->slots_count] = (struct slot){0};
    return loop->slots_count++;
}

static void give_slot(struct loop *loop, uint32_t slot)
{
    loop->slots[slot].watch = NULL;
    loop->slots[slot].generation++;
    loop->slots[slot].next_free = loop->first_free;
    loop->first_free = slot;
}

static enum status add(struct watch *watch, int fd, uint32_t events)
{
    struct loop *loop = thread_self()->loop;
    check(watch->slot == 0 && fd >= 0);
    uint32_t slot = take_slot(loop);
    if (!poll_add(loop->poll, fd, events, (uint64_t)loop->slots[slot].generation << 32 | slot)) {
        give_slot(loop, slot);
        return ERR_SYSTEM;
    }
    loop->slots[slot].watch = watch;
    watch->fd = fd;
    watch->slot = slot;
    watch->ready = 0;
    watch->reader = NULL;
    watch->writer = NULL;
    return OK;
}

enum status loop_watch(struct watch *watch, int fd)
{
    return add(watch, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
}

enum status loop_watch_level(struct watch *watch, int fd)
{
    return add(watch, fd, EPOLLIN);
}

void loop_forget(struct watch *watch, bool keep_fd)
{
    if (watch->slot == 0)
        return;
    struct loop *loop = thread_self()->loop;
    check(loop->slots[watch->slot].watch == watch);
    check(watch->reader == NULL && watch->writer == NULL);
    if (keep_fd)
        poll_remove(loop->poll, watch->fd);
    give_slot(loop, watch->slot);
    watch->slot = 0;
}

void loop_disown(struct thread *owner, int fd)
{
    poll_remove(owner->loop->poll, fd);
}

void loop_forget_taken(struct watch *watch)
{
    give_slot(thread_self()->loop, watch->slot);
    watch->slot = 0;
}

void loop_relocate(struct watch *to, struct watch *from)
{
    check(to->slot != 0 && to->reader == NULL && to->writer == NULL);
    thread_self()->loop->slots[to->slot].watch = to;
    from->slot = 0;
}

static enum status wait_for(struct watch *watch, struct fiber **place, unsigned bits,
                            int64_t deadline)
{
    check(*place == NULL && watch->slot != 0);
    while ((watch->ready & bits) == 0) {
        *place = fiber_self();
        enum status status = fiber_wait(deadline);
        *place = NULL;
        TRY(status);
    }
    return OK;
}

enum status loop_wait_readable(struct watch *watch, int64_t deadline)
{
    return wait_for(watch, &watch->reader, READY_READ | READY_CLOSED | READY_BROKEN, deadline);
}

enum status loop_wait_writable(struct watch *watch, int64_t deadline)
{
    return wait_for(watch, &watch->writer, READY_WRITE | READY_BROKEN, deadline);
}

/* NULL: it was forgotten since. */
static struct watch *watch_of(const struct loop *loop, const struct epoll_event *event)
{
    uint32_t slot = (uint32_t)event->data.u64;
    bool is_stale = loop->slots[slot].generation != event->data.u64 >> 32;
    return is_stale ? NULL : loop->slots[slot].watch;
}

/* Many connections do not fit into the processor's cache: what the next events need is fetched
 * while this one is served, each step of the way one event earlier. */
static void fetch_ahead(const struct loop *loop, int i, int count)
{
    const struct watch *watch;
    if (i + 3 < count && (watch = watch_of(loop, &loop->events[i + 3])) != NULL)
        __builtin_prefetch(watch);
    if (i + 2 < count && (watch = watch_of(loop, &loop->events[i + 2])) != NULL &&
        watch->reader != NULL)
        __builtin_prefetch(watch->reader);
    if (i + 1 < count && (watch = watch_of(loop, &loop->events[i + 1])) != NULL &&
        watch->reader != NULL)
        fiber_fetch_ahead(watch->reader);
}

static void deliver(struct loop *loop, const struct epoll_event *event)
{
    struct watch *watch = watch_of(loop, event);
    if (watch == NULL)
        return;
    unsigned bits = 0;
    if (event->events & EPOLLIN)
        bits |= READY_READ;
    if (event->events & EPOLLOUT)
        bits |= READY_WRITE;
    if (event->events & EPOLLRDHUP)
        bits |= READY_CLOSED;
    if (event->events & (EPOLLHUP | EPOLLERR))
        bits |= READY_BROKEN;
    watch->ready |= (uint8_t)bits;
    bool is_claimed = false;
    if (watch->reader != NULL && (bits & (READY_READ | READY_CLOSED | READY_BROKEN))) {
        fiber_wake(watch->reader);
        is_claimed = true;
    }
    if (watch->writer != NULL && (bits & (READY_WRITE | READY_BROKEN))) {
        fiber_wake(watch->writer);
        is_claimed = is_claimed || (bits & ~(unsigned)READY_WRITE) == 0;
    }
    if (!is_claimed && watch->on_ready != NULL)
        watch->on_ready(watch);
    fiber_run_ready();
}

/* How long the kernel may let us sleep, in its milliseconds, rounded up. */
static int sleep_ms(struct thread *thread, int64_t until)
{
    int64_t next = timers_next(&thread->timers);
    if (next < until)
        until = next;
    if (until == CLOCK_NEVER)
        return -1;
    int64_t left = until - thread->now;
    if (left <= 0)
        return 0;
    int64_t ms = (left + MILLISECONDS(1) - 1) / MILLISECONDS(1);
    return ms > 60000 ? 60000 : (int)ms;
}

void loop_turn(int64_t until)
{
    struct thread *thread = thread_self();
    struct loop *loop = thread->loop;
    int timeout = thread->timers.count == 0 && until == CLOCK_NEVER ? -1 : 0;
    if (timeout == 0) {
        /* The clock was read when this turn's work began; a sleep is counted from now. */
        thread->now = clock_monotonic();
        timeout = sleep_ms(thread, until);
    }
    if (thread->yielded != NULL)
        timeout = 0;
    int count = poll_wait(loop->poll, loop->events, EVENTS_MAX, timeout);
    thread->now = clock_monotonic();
    for (int i = 0; i < count; i++) {
        fetch_ahead(loop, i, count);
        deliver(loop, &loop->events[i]);
    }
    timers_run(&thread->timers, thread->now,
               TIMERS_PER_TURN + (unsigned)(count > 0 ? count : 0) / EVENTS_PER_TIMER);
    fiber_wake_yielded();
    fiber_run_ready();
    for (size_t i = 0; i < loop->turn_end_count; i++)
        loop->turn_end[i].fn(loop->turn_end[i].argument);
    fiber_trim_stacks();
    free_what_is_due(loop);
}

void loop_run(void)
{
    struct loop *loop = thread_self()->loop;
    loop->is_stopped = false;
    fiber_run_ready();
    while (!loop->is_stopped)
        loop_turn(CLOCK_NEVER);
}

void loop_stop(void)
{
    thread_self()->loop->is_stopped = true;
}

void loop_free_later(void *memory)
{
    struct loop *loop = thread_self()->loop;
    if (loop->free_count >= loop->free_capacity) {
        loop->free_capacity = loop->free_capacity == 0 ? 64 : loop->free_capacity * 2;
        loop->free_later =
            memory_resize(loop->free_later, loop->free_capacity * sizeof *loop->free_later);
    }
    loop->free_later[loop->free_count++] = memory;
}

void loop_at_turn_end(void (*fn)(void *argument), void *argument)
{
    struct loop *loop = thread_self()->loop;
    check(loop->turn_end_count < TURN_END_MAX);
    loop->turn_end[loop->turn_end_count].fn = fn;
    loop->turn_end[loop->turn_end_count++].argument = argument;
}
