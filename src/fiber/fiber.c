/* SPDX-License-Identifier: Apache-2.0 */
/* Fibers of one thread. A fiber's struct stands at the top of its own stack, so that an active one
 * costs whole pages only for what it uses. The loop switches to a fiber and the fiber back to the
 * loop, never from fiber to fiber: the one switch is in resume() and leave(). */
#include "fiber/fiber.h"

#include "base/arena.h"
#include "base/check.h"
#include "fiber/loop.h"
#include "fiber/pages.h"
#include "fiber/sanitizer.h"
#include "fiber/stack.h"
#include "fiber/switch.h"
#include "fiber/thread.h"

#include <string.h>

enum {
    FIBER_MAGIC = 0x66696265,
    STACK_SIZE = 128 * 1024 * SANITIZER_STACK_FACTOR,
    FREE_MAX = 1024, /* recycled stacks kept per thread */
    COLORS = 16,     /* tops of stacks are staggered, or they would share cache sets */
    COLOR_SIZE = 192,
    CACHE_LINE = 64,
    FETCHED_LINES = 12,  /* of the stack, from where it parked upwards */
    DEEP_MARKS_MAX = 64, /* names with a high-water mark */
    SHED_MARGIN = 2048,  /* of stack that whoever sheds the rest still needs */
};

struct fiber {
    void *sp;
    struct fiber *next; /* ready or free */
    const char *name;
    void (*entry)(void *argument);
    void *argument;
    struct fiber_scope *scope;
    struct list siblings;
    struct timer timer;
    unsigned magic;
    bool is_parked;
    bool is_ready;
    bool is_cancelled;
    bool is_alive;
    enum status wake; /* what the wait it is parked in will answer */
    char *stack;
    struct fiber *next_mapped;
    struct thread *thread;
    void *fake_stack;
    void *sanitizer_fiber;
    unsigned valgrind_id;
};

/* The deepest use per name; shared by all threads of a painted build, where races do no harm. */
static struct {
    const char *name;
    size_t bytes;
} deep_marks[DEEP_MARKS_MAX];

static void mark_high_water(struct fiber *f)
{
    size_t bytes = stack_high_water(f->stack, STACK_SIZE);
    for (int i = 0; i < DEEP_MARKS_MAX; i++) {
        if (deep_marks[i].name == NULL)
            deep_marks[i].name = f->name;
        if (strcmp(deep_marks[i].name, f->name) != 0)
            continue;
        if (bytes > deep_marks[i].bytes)
            deep_marks[i].bytes = bytes;
        return;
    }
}

void fiber_each_high_water(void (*each)(const char *name, size_t bytes))
{
    for (int i = 0; i < DEEP_MARKS_MAX && deep_marks[i].name != NULL; i++)
        each(deep_marks[i].name, deep_marks[i].bytes);
}

/* From the loop to a fiber; back when it waits or ends. */
__attribute__((noinline)) static void resume(struct thread *thread, struct fiber *f)
{
    check(thread->running == NULL && f->magic == FIBER_MAGIC);
    thread->running = f;
    f->is_parked = false;
    void *fake = NULL;
    sanitizer_leave(&fake, f->stack, STACK_SIZE);
    sanitizer_switch(f->sanitizer_fiber);
    fiber_switch(&thread->loop_sp, f->sp);
    sanitizer_arrive(fake, NULL, NULL);
    thread->running = NULL;
}

/* From a fiber to the loop. `ends` for ever. */
__attribute__((noinline)) static void leave(struct fiber *f, bool ends)
{
    struct thread *thread = f->thread;
    check(thread->locks_held == 0 && !thread->is_outside);
    sanitizer_leave(ends ? NULL : &f->fake_stack, thread->stack_bottom, thread->stack_size);
    sanitizer_switch(thread->sanitizer_fiber);
    fiber_switch(&f->sp, thread->loop_sp);
    sanitizer_arrive(f->fake_stack, &thread->stack_bottom, &thread->stack_size);
}

static void recycle(struct fiber *f)
{
    struct thread *thread = f->thread;
    if (FIBER_IS_PAINTED)
        mark_high_water(f);
    f->is_alive = false;
    thread->fibers_count--;
    f->next = thread->fibers_free;
    thread->fibers_free = f;
    thread->fibers_free_count++;
}

static void fiber_main(void *argument)
{
    struct fiber *f = argument;
    sanitizer_arrive(NULL, &f->thread->stack_bottom, &f->thread->stack_size);
    f->entry(f->argument);
    struct fiber_scope *scope = f->scope;
    if (scope != NULL) {
        list_remove(&f->siblings);
        scope->count--;
        if (scope->count == 0 && scope->joiner != NULL)
            fiber_wake(scope->joiner);
    }
    recycle(f);
    leave(f, true);
    check(false);
}

static void on_deadline(struct timer *timer)
{
    struct fiber *f = LIST_ENTRY(timer, struct fiber, timer);
    if (!f->is_parked || f->is_ready)
        return;
    f->wake = ERR_TIMEOUT;
    fiber_wake(f);
}

static struct fiber *map_fiber(struct thread *thread)
{
    char *stack = stack_map(STACK_SIZE);
    if (stack == NULL)
        return NULL;
    size_t color = thread->fibers_count % COLORS * COLOR_SIZE;
    struct fiber *f =
        (struct fiber *)(void *)(stack + STACK_SIZE - color - ((sizeof *f + 63) & ~(size_t)63));
    memset(f, 0, sizeof *f);
    f->magic = FIBER_MAGIC;
    f->stack = stack;
    f->thread = thread;
    f->timer.on_fire = on_deadline;
    f->sanitizer_fiber = sanitizer_fiber_new();
    f->valgrind_id = valgrind_stack_add(stack, stack + STACK_SIZE);
    f->next_mapped = thread->fibers_all;
    thread->fibers_all = f;
    thread_commit(thread, FIBER_BYTES);
    return f;
}

static void unmap_fiber(struct fiber *f)
{
    struct fiber **link = &f->thread->fibers_all;
    while (*link != f)
        link = &(*link)->next_mapped;
    *link = f->next_mapped;
    sanitizer_fiber_free(f->sanitizer_fiber);
    valgrind_stack_remove(f->valgrind_id);
    thread_commit(f->thread, -FIBER_BYTES);
    stack_unmap(f->stack, STACK_SIZE);
}

static struct fiber *take_fiber(struct thread *thread)
{
    struct fiber *f = thread->fibers_free;
    if (f != NULL) {
        thread->fibers_free = f->next;
        thread->fibers_free_count--;
        __builtin_prefetch(f->next); /* for the one that is taken next */
    } else {
        f = map_fiber(thread);
    }
    return f;
}

static void push_ready(struct thread *thread, struct fiber *f)
{
    f->is_ready = true;
    f->next = NULL;
    if (thread->ready_last != NULL)
        thread->ready_last->next = f;
    else
        thread->ready_first = f;
    thread->ready_last = f;
}

enum status fiber_start(struct fiber_scope *scope, const char *name, void (*entry)(void *argument),
                        void *argument, struct fiber **fiber)
{
    struct thread *thread = thread_self();
    if (thread->fibers_count >= thread->fibers_max)
        return ERR_LIMIT;
    struct fiber *f = take_fiber(thread);
    if (f == NULL)
        return ERR_SYSTEM;
    if (FIBER_IS_PAINTED)
        stack_paint(f->stack, (size_t)((char *)f - f->stack));
    sanitizer_stack_clean(f->stack, (size_t)((char *)f - f->stack));
    f->name = name;
    f->entry = entry;
    f->argument = argument;
    f->scope = scope;
    f->is_cancelled = false;
    f->is_alive = true;
    f->wake = OK;
    f->fake_stack = NULL;
    f->sp = fiber_stack_prepare((char *)f - (uintptr_t)f % 16, fiber_main, f);
    list_init(&f->siblings);
    if (scope != NULL) {
        list_append(&scope->children, &f->siblings);
        scope->count++;
    }
    thread->fibers_count++;
    if (fiber != NULL)
        *fiber = f;
    if (thread->running == NULL)
        resume(thread, f);
    else
        push_ready(thread, f);
    return OK;
}

void fiber_run_ready(void)
{
    struct thread *thread = thread_self();
    check(thread->running == NULL);
    while (thread->ready_first != NULL) {
        struct fiber *f = thread->ready_first;
        thread->ready_first = f->next;
        if (thread->ready_first == NULL)
            thread->ready_last = NULL;
        else
            fiber_fetch_ahead(thread->ready_first);
        f->is_ready = false;
        resume(thread, f);
    }
}

struct errand {
    void (*fn)(void *argument);
    void *argument;
    struct fiber *fiber;
};

static void run_errand(void *argument)
{
    const struct errand *errand = argument;
    sanitizer_arrive(NULL, NULL, NULL);
    errand->fn(errand->argument);
    sanitizer_leave(NULL, errand->fiber->stack, STACK_SIZE);
}

void fiber_run_outside(void (*fn)(void *argument), void *argument)
{
    struct thread *thread = thread_self();
    struct fiber *f = thread->running;
    if (f == NULL || thread->is_outside) {
        fn(argument);
        return;
    }
    struct errand errand = {fn, argument, f};
    char *sp = thread->loop_sp;
    thread->is_outside = true;
    sanitizer_leave(&f->fake_stack, thread->stack_bottom, thread->stack_size);
    sanitizer_switch(thread->sanitizer_fiber);
    fiber_call(sp - (uintptr_t)sp % 16, run_errand, &errand);
    sanitizer_switch(f->sanitizer_fiber);
    sanitizer_arrive(f->fake_stack, NULL, NULL);
    thread->is_outside = false;
}

struct fiber *fiber_self(void)
{
    return thread_self()->running;
}

void fiber_fetch_ahead(const struct fiber *fiber)
{
    const char *at = fiber->sp;
    for (int line = 0; line < FETCHED_LINES; line++)
        __builtin_prefetch(at + line * CACHE_LINE);
}

const char *fiber_name(const struct fiber *fiber)
{
    return fiber->name;
}

void *fiber_argument(const struct fiber *fiber, void (*entry)(void *argument))
{
    return fiber->entry == entry ? fiber->argument : NULL;
}

enum status fiber_wait(int64_t deadline)
{
    struct fiber *f = fiber_self();
    check(f != NULL);
    if (f->is_cancelled)
        return ERR_CANCELLED;
    if (deadline <= f->thread->now)
        return ERR_TIMEOUT;
    f->wake = OK;
    f->is_parked = true;
    timer_set(&f->thread->timers, &f->timer, deadline);
    leave(f, false);
    timer_clear(&f->thread->timers, &f->timer);
    return f->is_cancelled ? ERR_CANCELLED : f->wake;
}

void fiber_wake(struct fiber *f)
{
    check_slow(f->thread == thread_self());
    if (f->is_parked && !f->is_ready)
        push_ready(f->thread, f);
}

void fiber_cancel(struct fiber *f)
{
    check(f->magic == FIBER_MAGIC && f->is_alive);
    f->is_cancelled = true;
    fiber_wake(f);
}

bool fiber_is_cancelled(const struct fiber *f)
{
    return f->is_cancelled;
}

bool fiber_shield(void)
{
    struct fiber *f = fiber_self();
    bool was_cancelled = f->is_cancelled;
    f->is_cancelled = false;
    return was_cancelled;
}

void fiber_unshield(bool was_cancelled)
{
    struct fiber *f = fiber_self();
    f->is_cancelled = f->is_cancelled || was_cancelled;
}

enum status fiber_yield(void)
{
    struct fiber *f = fiber_self();
    check(f != NULL);
    if (f->is_cancelled)
        return ERR_CANCELLED;
    f->is_parked = true;
    f->is_ready = true; /* no wake puts it anywhere else */
    f->next = f->thread->yielded;
    f->thread->yielded = f;
    leave(f, false);
    return f->is_cancelled ? ERR_CANCELLED : OK;
}

void fiber_wake_yielded(void)
{
    struct thread *thread = thread_self();
    struct fiber *first = NULL;
    while (thread->yielded != NULL) { /* back into the order in which they yielded */
        struct fiber *f = thread->yielded;
        thread->yielded = f->next;
        f->next = first;
        first = f;
    }
    while (first != NULL) {
        struct fiber *f = first;
        first = f->next;
        push_ready(thread, f);
    }
}

enum status fiber_sleep(int64_t deadline)
{
    for (;;) {
        enum status status = fiber_wait(deadline);
        if (status == ERR_TIMEOUT)
            return OK;
        TRY(status);
    }
}

void fiber_scope_init(struct fiber_scope *scope)
{
    list_init(&scope->children);
    scope->count = 0;
    scope->joiner = NULL;
}

static void cancel_children(struct fiber_scope *scope)
{
    LIST_EACH(link, &scope->children)
    {
        fiber_cancel(LIST_ENTRY(link, struct fiber, siblings));
    }
}

void fiber_scope_join(struct fiber_scope *scope)
{
    bool was_cancelled = false;
    scope->joiner = fiber_self();
    while (scope->count > 0) {
        enum status status = fiber_wait(CLOCK_NEVER);
        if (status == ERR_CANCELLED && scope->count > 0) {
            was_cancelled = fiber_shield() || was_cancelled;
            cancel_children(scope);
        }
    }
    scope->joiner = NULL;
    fiber_unshield(was_cancelled);
}

void fiber_scope_cancel_soon(struct fiber_scope *scope)
{
    cancel_children(scope);
}

void fiber_scope_cancel(struct fiber_scope *scope)
{
    if (scope->count == 0)
        return;
    cancel_children(scope);
    fiber_scope_join(scope);
}

void fiber_release_stacks(void)
{
    struct thread *thread = thread_self();
    while (thread->fibers_free != NULL) {
        struct fiber *f = thread->fibers_free;
        thread->fibers_free = f->next;
        unmap_fiber(f);
    }
    thread->fibers_free_count = 0;
}

void fiber_shed_stack(void)
{
    struct fiber *f = fiber_self();
    const char *here = __builtin_frame_address(0);
    if (!FIBER_IS_PAINTED)
        pages_drop_within(f->stack, f->stack + (here - f->stack) - SHED_MARGIN);
}

void fiber_trim_stacks(void)
{
    fiber_drop_stacks(FREE_MAX);
}

void fiber_drop_stacks(size_t keep)
{
    struct thread *thread = thread_self();
    while (thread->fibers_free_count > keep) {
        struct fiber *f = thread->fibers_free;
        thread->fibers_free = f->next;
        thread->fibers_free_count--;
        unmap_fiber(f);
    }
}
