/* SPDX-License-Identifier: Apache-2.0 */
/* Readiness and sleep: the turn of one thread. Edge-triggered epoll; each descriptor is registered
 * once in its life. */
#pragma once

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

struct fiber;
struct thread;

/* Bits of readiness. They live in the watch and stay set until an operation finds the well dry. */
enum {
    READY_READ = 1,
    READY_WRITE = 2,
    READY_CLOSED = 4, /* the other side will send no more (RDHUP) */
    READY_BROKEN = 8, /* both directions are gone (HUP or ERR) */
};

struct watch {
    int fd;
    uint32_t slot;        /* in the loop's table; 0: not registered */
    uint8_t ready;        /* READY_ bits */
    struct fiber *reader; /* parked until READY_READ, CLOSED or BROKEN */
    struct fiber *writer; /* parked until READY_WRITE or BROKEN */
    /* Called on the loop when new bits came and no fiber was parked for them; NULL: bits are only
     * kept. It may forget the watch and free it. */
    void (*on_ready)(struct watch *watch);
};

/* Registers the descriptor for both directions with the calling thread's loop. ERR_SYSTEM. */
MUST_CHECK enum status loop_watch(struct watch *watch, int fd);
/* The same, level-triggered and for reading only: listening sockets and event descriptors. */
MUST_CHECK enum status loop_watch_level(struct watch *watch, int fd);
/* Ends that; pending events of this turn are not delivered any more. The descriptor stays open;
 * `keep_fd` says that it lives on elsewhere, so the kernel must be told (else close() tells it). */
void loop_forget(struct watch *watch, bool keep_fd);

/* Takes a descriptor out of another thread's epoll, from any thread; what hangs in that thread's
 * table stays until it calls loop_forget_taken() itself. */
void loop_disown(struct thread *owner, int fd);
void loop_forget_taken(struct watch *watch);

/* The struct has moved in memory: `to` is a copy of `from`, which is no longer registered. */
void loop_relocate(struct watch *to, struct watch *from);

/* Parks the running fiber until the watch is ready in that direction.
 * OK, ERR_TIMEOUT, ERR_CANCELLED. One fiber per direction. */
MUST_CHECK enum status loop_wait_readable(struct watch *watch, int64_t deadline);
MUST_CHECK enum status loop_wait_writable(struct watch *watch, int64_t deadline);

/* Runs turns until loop_stop() is called on this thread. */
void loop_run(void);
/* One turn: sleeps at most until `until`, delivers what is due. */
void loop_turn(int64_t until);
void loop_stop(void);

/* Frees `memory` at the end of the turn, when no pending event can point into it any more. */
void loop_free_later(void *memory);

/* Called once at the end of every turn, at most 8 of them: flush of logs, accounting. */
void loop_at_turn_end(void (*fn)(void *argument), void *argument);

enum status loop_init(struct thread *thread);
void loop_done(struct thread *thread);
