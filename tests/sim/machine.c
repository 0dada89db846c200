/* SPDX-License-Identifier: Apache-2.0 */
/* fiber/native.h of the simulated world. Threads are switched with the product's own switch: a
 * thread's stack may be the one of its loop or of one of its fibers, it is left where it stands. */
#include "machine.h"

#include "fiber/native.h"
#include "fiber/sanitizer.h"
#include "fiber/switch.h"
#include "fiber/thread.h"
#include "world.h"

#include <sys/mman.h>

enum {
    STACK = 16 * 1024 * 1024,
    THREADS_MAX = 32,
    TURN_NS = 20000,      /* at most that long takes a turn */
    SPIN_MAX = 200000,    /* turns without an event between them: somebody spins */
    VIRTUAL_DAYS_MAX = 3, /* a world that goes on for longer never falls silent */
};

struct native {
    void *sp;
    char *stack;
    void (*run)(void *argument);
    void *argument;
    struct thread *self;
    bool (*is_ready)(int poll); /* sleeps until then … */
    int poll;
    int64_t until; /* … or then */
    struct gate *gate;
    struct native *joined; /* waits for its end */
    bool is_ended, is_freed;
    void *fake_stack;
};

struct gate {
    unsigned size, waiting;
    uint64_t opened;
};

static struct {
    struct native threads[THREADS_MAX];
    unsigned count;
    struct native *running;
    uint64_t turns;
    void *sp; /* of the scheduler */
    const void *stack_bottom;
    size_t stack_size;
} machine;

__attribute__((noinline)) static void resume(struct native *native)
{
    machine.running = native;
    machine.turns++;
    thread_become(native->self);
    void *fake = NULL;
    sanitizer_leave(&fake, native->stack, STACK);
    fiber_switch(&machine.sp, native->sp);
    sanitizer_arrive(fake, NULL, NULL);
    native->self = thread_self();
    machine.running = NULL;
}

__attribute__((noinline)) static void leave(struct native *native)
{
    sanitizer_leave(native->is_ended ? NULL : &native->fake_stack, machine.stack_bottom,
                    machine.stack_size);
    fiber_switch(&native->sp, machine.sp);
    sanitizer_arrive(native->fake_stack, &machine.stack_bottom, &machine.stack_size);
}

static void begin(void *argument)
{
    struct native *native = argument;
    sanitizer_arrive(NULL, &machine.stack_bottom, &machine.stack_size);
    native->run(native->argument);
    native->is_ended = true;
    leave(native);
    __builtin_trap();
}

struct native *native_start(void (*run)(void *argument), void *argument)
{
    if (machine.count == THREADS_MAX)
        return NULL;
    struct native *native = &machine.threads[machine.count++];
    *native = (struct native){0}; /* of another process, perhaps */
    native->stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (native->stack == MAP_FAILED)
        world_broken("world", "no stack for a thread");
    native->run = run;
    native->argument = argument;
    native->sp = fiber_stack_prepare(native->stack + STACK - 64, begin, native);
    return native;
}

void native_join(struct native *native)
{
    machine.running->joined = native;
    while (!native->is_ended)
        leave(machine.running);
    machine.running->joined = NULL;
    native->is_freed = true;
}

struct gate *gate_new(unsigned count)
{
    struct gate *gate = world_alloc(sizeof *gate);
    gate->size = count;
    return gate;
}

void gate_pass(struct gate *gate)
{
    struct native *self = machine.running;
    if (++gate->waiting == gate->size) {
        gate->waiting = 0;
        gate->opened++;
        for (unsigned i = 0; i < machine.count; i++)
            if (machine.threads[i].gate == gate)
                machine.threads[i].gate = NULL;
        return;
    }
    self->gate = gate;
    leave(self);
}

void gate_free(struct gate *gate)
{
    if (gate->waiting > 0)
        world_broken("threads", "a gate is torn down while threads stand before it");
}

void machine_sleep(bool (*is_ready)(int poll), int poll, int64_t until)
{
    struct native *self = machine.running;
    self->is_ready = is_ready;
    self->poll = poll;
    self->until = until;
    leave(self);
    self->is_ready = NULL;
}

unsigned machine_threads(void)
{
    unsigned alive = 0;
    for (unsigned i = 0; i < machine.count; i++)
        alive += !machine.threads[i].is_freed;
    return alive;
}

uint64_t machine_turns(void)
{
    return machine.turns;
}

static bool can_run(const struct native *native)
{
    if (native->is_ended || native->gate != NULL)
        return false;
    if (native->joined != NULL)
        return native->joined->is_ended;
    return native->is_ready == NULL || native->until <= world_now() ||
           native->is_ready(native->poll);
}

static struct native *choose(void)
{
    struct native *able[THREADS_MAX];
    unsigned count = 0;
    for (unsigned i = 0; i < machine.count; i++)
        if (can_run(&machine.threads[i]))
            able[count++] = &machine.threads[i];
    return count == 0 ? NULL : able[world_below(count)];
}

/* Nobody can run: to the next event, or to the moment the next thread wakes by itself. */
static void pass_time(void)
{
    int64_t wakes = CLOCK_NEVER;
    for (unsigned i = 0; i < machine.count; i++) {
        const struct native *native = &machine.threads[i];
        if (!native->is_ended && native->is_ready != NULL && native->until < wakes)
            wakes = native->until;
    }
    int64_t next = world_next();
    if (next == CLOCK_NEVER && wakes == CLOCK_NEVER)
        world_broken("silence", "nothing will ever happen again, and weir has not ended");
    if (next <= wakes)
        world_step();
    else if (wakes > world_now())
        world_spend(wakes - world_now());
}

void machine_run(void (*run)(void *argument), void *argument)
{
    machine.count = 0;
    struct native *first = native_start(run, argument);
    int64_t latest = world_now() + SECONDS(86400) * VIRTUAL_DAYS_MAX;
    uint64_t events = 0;
    unsigned turns = 0;
    while (!first->is_ended) {
        if (world_now() > latest)
            world_broken("silence", "the world does not come to rest");
        turns = events == world_events() ? turns + 1 : 0;
        events = world_events();
        if (turns > SPIN_MAX)
            world_broken("spin", "a thread turns without end: nothing happened between its turns");
        if (world_next() <= world_now()) {
            world_step();
            continue;
        }
        struct native *native = choose();
        if (native == NULL) {
            pass_time();
            continue;
        }
        resume(native);
        world_spend(world_below(TURN_NS));
    }
}
