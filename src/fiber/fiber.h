/* SPDX-License-Identifier: Apache-2.0 */
/* Straight-line concurrency: a fiber is a function with a stack of its own that can wait. Fibers
 * stay on the thread that started them. */
#pragma once

#include "base/list.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fiber;

enum {
    FIBER_BYTES = 12 * 1024, /* about what one comes to touch of its stack */
};

/* The children of one function: joined or cancelled before it returns. */
struct fiber_scope {
    struct list children;
    size_t count;
    struct fiber *joiner; /* who waits for the last to end */
};

void fiber_scope_init(struct fiber_scope *scope);

/* Starts `entry` on a stack of its own. Called on the loop it runs at once, until its first wait;
 * called on a fiber it runs when that one waits. `name` is static text, for dumps and high-water
 * marks. `scope` may be NULL for one that ends by itself (those of connections).
 * ERR_LIMIT when the thread has fibers_max of them, ERR_SYSTEM when there is no memory to map. */
MUST_CHECK enum status fiber_start(struct fiber_scope *scope, const char *name,
                                   void (*entry)(void *argument), void *argument,
                                   struct fiber **fiber);

/* Waits until all children ended, also when this fiber is cancelled (the children are then
 * cancelled too). */
MAY_WAIT void fiber_scope_join(struct fiber_scope *scope);
/* Cancels all children and waits until they ended. */
MAY_WAIT void fiber_scope_cancel(struct fiber_scope *scope);

/* Cancels all children without waiting, from the loop; they end in later turns. */
void fiber_scope_cancel_soon(struct fiber_scope *scope);

/* The running fiber; NULL on the loop. */
struct fiber *fiber_self(void);
/* Has the processor fetch what a parked fiber needs when it goes on; its struct is in the cache. */
void fiber_fetch_ahead(const struct fiber *fiber);
const char *fiber_name(const struct fiber *fiber);
/* What it was started with, if it runs `entry`; else NULL. */
void *fiber_argument(const struct fiber *fiber, void (*entry)(void *argument));

/* Parks this fiber until fiber_wake, the deadline or a cancel, whichever is first.
 * OK: woken. Wakes are not counted: a wake before the wait is lost, so set the flag you wait for
 * first and look at it in a loop. */
MAY_WAIT MUST_CHECK enum status fiber_wait(int64_t deadline);
/* Makes a parked fiber of this thread ready; it runs after the caller has waited or returned to the
 * loop. No effect on one that is not parked. */
void fiber_wake(struct fiber *fiber);
/* Wakes the fiber with ERR_CANCELLED; every later wait of it says so at once. */
void fiber_cancel(struct fiber *fiber);
bool fiber_is_cancelled(const struct fiber *fiber);
/* For cleaning up: takes the mark of a cancel away and returns whether there was one. */
bool fiber_shield(void);
void fiber_unshield(bool was_cancelled);

/* Lets others run, for work that takes long: compression, checks. */
MAY_WAIT MUST_CHECK enum status fiber_yield(void);
MAY_WAIT MUST_CHECK enum status fiber_sleep(int64_t deadline);

/* Calls fn(argument), which must not wait, on the loop's own stack: for libraries that want much of
 * it. There all fibers share what they touch, and it stays in the processor's cache. */
void fiber_run_outside(void (*fn)(void *argument), void *argument);

/* Runs every ready fiber of this thread; the loop calls it after each event. Those that yielded are
 * made ready once a turn. */
void fiber_run_ready(void);
void fiber_wake_yielded(void);

/* Frees all recycled stacks of this thread; those beyond the 1,024 that are worth keeping (the loop
 * calls that once a turn). */
void fiber_release_stacks(void);
void fiber_trim_stacks(void);
/* The same beyond any number. */
void fiber_drop_stacks(size_t keep);
/* The running fiber is about to wait for long: pages of its stack that were needed before, by it or
 * by the one that had it last, go back to the kernel. */
void fiber_shed_stack(void);

/* Calls back with the deepest use of the stack per fiber name; only in painted builds
 * (-DFIBER_PAINT). */
void fiber_each_high_water(void (*each)(const char *name, size_t bytes));
