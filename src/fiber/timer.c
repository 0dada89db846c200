/* SPDX-License-Identifier: Apache-2.0 */
/* Level L of the wheel holds timers whose tick first differs from the current one in its Lth group
 * of six bits; so every timer of a level lies ahead of the hand, and the lowest level in use holds
 * the next one. */
#include "fiber/timer.h"

#include "base/check.h"

enum {
    TICK_SHIFT = 20, /* a tick is 2^20 ns, a little more than 1 ms */
    LEVEL_BITS = 6,
};

void timers_init(struct timers *timers, int64_t now)
{
    timers->tick = now >> TICK_SHIFT;
    timers->count = 0;
    list_init(&timers->late);
    for (int level = 0; level < TIMER_LEVELS; level++) {
        timers->used[level] = 0;
        for (int slot = 0; slot < TIMER_SLOTS; slot++)
            list_init(&timers->slots[level][slot]);
    }
}

static void place(struct timers *timers, struct timer *timer)
{
    int64_t due = (timer->at >> TICK_SHIFT) + 1; /* rounded up: never early */
    if (due <= timers->tick)
        due = timers->tick + 1;
    int level = (63 - __builtin_clzll((uint64_t)(due ^ timers->tick))) / LEVEL_BITS;
    if (level >= TIMER_LEVELS) { /* beyond a century: as late as can be said */
        level = TIMER_LEVELS - 1;
        due = timers->tick | ((INT64_C(1) << (LEVEL_BITS * TIMER_LEVELS)) - 1);
    }
    unsigned slot = (unsigned)(due >> (LEVEL_BITS * level)) % TIMER_SLOTS;
    timer->level = (uint8_t)level;
    timer->slot = (uint8_t)slot;
    list_append(&timers->slots[level][slot], &timer->link);
    timers->used[level] |= UINT64_C(1) << slot;
}

void timer_set(struct timers *timers, struct timer *timer, int64_t at)
{
    timer_clear(timers, timer);
    if (at == CLOCK_NEVER)
        return;
    timer->at = at > 0 ? at : 1;
    place(timers, timer);
    timers->count++;
}

void timer_clear(struct timers *timers, struct timer *timer)
{
    if (timer->at == 0)
        return;
    list_remove(&timer->link);
    if (list_is_empty(&timers->slots[timer->level][timer->slot]))
        timers->used[timer->level] &= ~(UINT64_C(1) << timer->slot);
    timer->at = 0;
    timers->count--;
}

/* The lowest level with timers and the tick at which its next slot is due; −1: none. */
static int next_slot(const struct timers *timers, int64_t *due, unsigned *slot)
{
    for (int level = 0; level < TIMER_LEVELS; level++) {
        if (timers->used[level] == 0)
            continue;
        int shift = LEVEL_BITS * level;
        *slot = (unsigned)__builtin_ctzll(timers->used[level]);
        *due = (((timers->tick >> shift) & ~(int64_t)(TIMER_SLOTS - 1)) | *slot) << shift;
        return level;
    }
    return -1;
}

int64_t timers_next(const struct timers *timers)
{
    int64_t due;
    unsigned slot;
    if (!list_is_empty(&timers->late))
        return timers->tick << TICK_SHIFT;
    return next_slot(timers, &due, &slot) < 0 ? CLOCK_NEVER : due << TICK_SHIFT;
}

/* Moves everything in one slot: what is due to the late ones, the rest down. */
static void empty_slot(struct timers *timers, int level, unsigned slot)
{
    struct list all;
    struct list *head = &timers->slots[level][slot];
    list_insert_after(head, &all);
    list_remove(head);
    timers->used[level] &= ~(UINT64_C(1) << slot);
    while (!list_is_empty(&all)) {
        struct timer *timer = LIST_ENTRY(all.next, struct timer, link);
        list_remove(&timer->link);
        if ((timer->at >> TICK_SHIFT) + 1 > timers->tick)
            place(timers, timer);
        else
            list_append(&timers->late, &timer->link);
    }
}

void timers_run(struct timers *timers, int64_t now, unsigned most)
{
    int64_t target = now >> TICK_SHIFT;
    for (;;) {
        for (; !list_is_empty(&timers->late); most--) {
            if (most == 0)
                return;
            struct timer *timer = LIST_ENTRY(timers->late.next, struct timer, link);
            timer_clear(timers, timer);
            timer->on_fire(timer);
        }
        int64_t due;
        unsigned slot;
        int level = next_slot(timers, &due, &slot);
        if (level < 0 || due > target)
            break;
        check(due > timers->tick);
        timers->tick = due;
        empty_slot(timers, level, slot);
    }
    if (target > timers->tick)
        timers->tick = target;
}
