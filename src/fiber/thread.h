/* SPDX-License-Identifier: Apache-2.0 */
/* One thread of weir: a worker or control. All per-thread state hangs here and is reached through
 * thread_self() alone, so that a simulated world can run several of them in one real thread. */
#pragma once

#include "base/list.h"
#include "base/random.h"
#include "base/status.h"
#include "fiber/timer.h"

#include <stdbool.h>
#include <stddef.h>

struct block;
struct block_store;
struct compressors;
struct fiber;
struct loop;

struct thread {
    const char *name;
    int index;   /* of the worker, from 0; −1: control */
    int64_t now; /* monotonic, as of this turn of the loop */
    struct loop *loop;
    struct timers timers;
    struct fiber *running; /* NULL: the loop itself */
    struct fiber *ready_first, *ready_last;
    struct fiber *yielded;     /* ready in the next turn; last one first */
    void *loop_sp;             /* where the loop's own stack was left */
    bool is_outside;           /* the running fiber has borrowed that stack: it cannot wait */
    struct fiber *fibers_free; /* ended ones, their stacks still mapped */
    size_t fibers_free_count;
    struct fiber *fibers_all; /* every mapped one, for debuggers */
    size_t fibers_count;      /* alive */
    size_t fibers_max;
    struct block *blocks_free;
    struct block_store *blocks;
    size_t blocks_free_count;
    size_t blocks_taken;
    int64_t
        *committed; /* NULL, or shared: bytes of blocks and stacks that may be resident; atomic */
    struct pipes *pipes;             /* of net/pipe: empty ones for splice */
    struct tunnels *tunnels;         /* of net/tunnel */
    struct file_cache *files;        /* of exchange/file_cache: what is served */
    struct compressors *compressors; /* of steps/compressors */
    struct aparts *aparts;           /* of exchange/apart: exchanges that no client waits for */
    struct list duplexes;            /* of net/duplex: who has something to say in this turn */
    bool duplexes_are_asked;         /* a fiber will ask them */
    struct random random;
    struct mailbox *mailbox;
    void *worker;             /* what control hangs here; lower floors do not look */
    int locks_held;           /* mutexes of ours; none may be held across a wait */
    void *sanitizer_fiber;    /* the loop's own stack, for TSan */
    const void *stack_bottom; /* and for ASan */
    size_t stack_size;
};

/* The calling thread's; never NULL after thread_init. */
struct thread *thread_self(void);
/* What thread_self() answers from now on: for one real thread that plays several in turn. */
void thread_become(struct thread *thread);

/* Makes the calling thread one of weir's: storage of the caller, with a loop of its own. */
enum status thread_init(struct thread *thread, const char *name, int index);
void thread_done(struct thread *thread);

/* Runs fn(argument) on the loop of another thread (or this one), in the order posted. The only way
 * threads talk. Does not wait; false when that thread's mailbox (65,536) is full. */
bool thread_post(struct thread *thread, void (*fn)(void *argument), void *argument);
/* Runs what was posted to the calling thread until now, of which its loop may not have been told
 * yet: for one that ends. */
void thread_take_posts(void);

/* Books pages that may become resident from now on, or (less than 0) that are none any more. */
static inline void thread_commit(const struct thread *thread, int64_t bytes)
{
    if (thread->committed != NULL)
        __atomic_add_fetch(thread->committed, bytes, __ATOMIC_RELAXED);
}

/* The time of this turn of the loop: nanoseconds, monotonic. Costs nothing. */
static inline int64_t loop_now(void)
{
    return thread_self()->now;
}
