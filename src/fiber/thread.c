/* SPDX-License-Identifier: Apache-2.0 */
#include "fiber/thread.h"

#include "base/arena.h"
#include "base/check.h"
#include "fiber/block.h"
#include "fiber/fiber.h"
#include "fiber/loop.h"
#include "fiber/mailbox.h"
#include "fiber/sanitizer.h"

enum {
    THREADS_MAX = 1024,
    FIBERS_MAX = 1000000, /* the configuration says how many; fibers_max */
    FIBERS_MAX_TSAN = 2000,
};

static __thread struct thread *self;

/* For debuggers: every thread of ours. */
struct thread *thread_all[THREADS_MAX];

/* Not inlined, so that no compiler keeps the address of the variable across a change of stacks. */
__attribute__((noinline)) struct thread *thread_self(void)
{
    return self;
}

void thread_become(struct thread *thread)
{
    self = thread;
}

enum status thread_init(struct thread *thread, const char *name, int index)
{
    *thread = (struct thread){.name = name, .index = index, .now = clock_monotonic()};
    thread->fibers_max = FIBERS_MAX;
#if defined(FIBER_TSAN)
    thread->fibers_max = FIBERS_MAX_TSAN;
#endif
    thread_become(thread);
    thread->sanitizer_fiber = sanitizer_fiber_current();
    random_seed(&thread->random);
    list_init(&thread->duplexes);
    timers_init(&thread->timers, thread->now);
    enum status status = loop_init(thread);
    if (status == OK && (status = mailbox_open(thread)) != OK)
        loop_done(thread);
    if (status != OK) {
        thread_become(NULL);
        return status;
    }
    for (int i = 0; i < THREADS_MAX; i++) {
        struct thread *none = NULL;
        if (__atomic_compare_exchange_n(&thread_all[i], &none, thread, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_RELAXED))
            break;
    }
    return OK;
}

void thread_done(struct thread *thread)
{
    check(self == thread && thread->running == NULL);
    for (int i = 0; i < THREADS_MAX; i++)
        if (__atomic_load_n(&thread_all[i], __ATOMIC_ACQUIRE) == thread)
            __atomic_store_n(&thread_all[i], NULL, __ATOMIC_RELEASE);
    mailbox_close(thread);
    fiber_release_stacks();
    block_release_all();
    loop_done(thread);
    thread_become(NULL);
}
