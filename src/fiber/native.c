/* SPDX-License-Identifier: Apache-2.0 */
#include "fiber/native.h"

#include "base/arena.h"
#include "fiber/crash.h"

#include <pthread.h>
#include <stdlib.h>

struct native {
    pthread_t thread;
    void (*run)(void *argument);
    void *argument;
};

struct gate {
    pthread_barrier_t barrier;
};

static void *begin(void *argument)
{
    struct native *native = argument;
    crash_thread_begin();
    native->run(native->argument);
    crash_thread_end();
    return NULL;
}

struct native *native_start(void (*run)(void *argument), void *argument)
{
    struct native *native = memory_alloc(sizeof *native);
    *native = (struct native){.run = run, .argument = argument};
    if (pthread_create(&native->thread, NULL, begin, native) == 0)
        return native;
    free(native);
    return NULL;
}

void native_join(struct native *native)
{
    pthread_join(native->thread, NULL);
    free(native);
}

struct gate *gate_new(unsigned count)
{
    struct gate *gate = memory_alloc(sizeof *gate);
    pthread_barrier_init(&gate->barrier, NULL, count);
    return gate;
}

void gate_pass(struct gate *gate)
{
    pthread_barrier_wait(&gate->barrier);
}

void gate_free(struct gate *gate)
{
    pthread_barrier_destroy(&gate->barrier);
    free(gate);
}
