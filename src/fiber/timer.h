/* SPDX-License-Identifier: Apache-2.0 */
/* Deadlines of one thread: a hierarchical wheel of 1 ms ticks; set and clear cost the same for any
 * number of them. A timer never fires early, and one tick and one loop turn late at most, unless so
 * many are due at once that they take turns with the events of others. */
#pragma once

#include "base/clock.h"
#include "base/list.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    TIMER_LEVELS = 7,
    TIMER_SLOTS = 64,
};

struct timer {
    struct list link;
    int64_t at; /* when it fires; 0: not set */
    uint8_t level, slot;
    void (*on_fire)(struct timer *timer); /* on the loop; the timer is no longer set then */
};

struct timers {
    int64_t tick;                /* all before it has fired */
    uint64_t used[TIMER_LEVELS]; /* a bit per slot that holds timers */
    struct list slots[TIMER_LEVELS][TIMER_SLOTS];
    struct list late; /* due since a run that had fired enough */
    size_t count;
};

void timers_init(struct timers *timers, int64_t now);

/* `timer` is the caller's and must be cleared before its memory goes. Setting a set timer moves it.
 * `at` of CLOCK_NEVER clears it. */
void timer_set(struct timers *timers, struct timer *timer, int64_t at);
void timer_clear(struct timers *timers, struct timer *timer);
static inline bool timer_is_set(const struct timer *timer)
{
    return timer->at != 0;
}

/* Fires what is due at `now`, no more than `most`; the next run begins with the rest. */
void timers_run(struct timers *timers, int64_t now, unsigned most);
/* When the next one may be due, never later than it is; CLOCK_NEVER when none is set. */
int64_t timers_next(const struct timers *timers);
