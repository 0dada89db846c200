/* SPDX-License-Identifier: Apache-2.0 */
#include "net/pipe.h"

#include "base/arena.h"
#include "fiber/thread.h"
#include "net/socket.h"

#include <stdlib.h>

struct pipes {
    struct pipe *free;
};

static int in_use;

enum status pipe_take(struct pipe **taken)
{
    struct thread *thread = thread_self();
    if (thread->pipes == NULL)
        thread->pipes = memory_zero(sizeof *thread->pipes);
    if (__atomic_add_fetch(&in_use, 1, __ATOMIC_RELAXED) > PIPES_IN_USE_MAX) {
        __atomic_sub_fetch(&in_use, 1, __ATOMIC_RELAXED);
        return ERR_LIMIT;
    }
    struct pipe *pipe = thread->pipes->free;
    if (pipe != NULL) {
        thread->pipes->free = pipe->next;
        *taken = pipe;
        return OK;
    }
    pipe = memory_zero(sizeof *pipe);
    enum status status = socket_pipe(PIPE_SIZE, pipe->ends);
    if (status != OK) {
        __atomic_sub_fetch(&in_use, 1, __ATOMIC_RELAXED);
        free(pipe);
        return status;
    }
    *taken = pipe;
    return OK;
}

static void close_pipe(struct pipe *pipe)
{
    socket_close(pipe->ends[0], false);
    socket_close(pipe->ends[1], false);
    free(pipe);
}

void pipe_give(struct pipe *pipe)
{
    __atomic_sub_fetch(&in_use, 1, __ATOMIC_RELAXED);
    if (pipe->filled > 0) {
        close_pipe(pipe);
        return;
    }
    struct pipes *pipes = thread_self()->pipes;
    pipe->next = pipes->free;
    pipes->free = pipe;
}

void pipe_release_all(void)
{
    struct thread *thread = thread_self();
    if (thread->pipes == NULL)
        return;
    while (thread->pipes->free != NULL) {
        struct pipe *pipe = thread->pipes->free;
        thread->pipes->free = pipe->next;
        close_pipe(pipe);
    }
    free(thread->pipes);
    thread->pipes = NULL;
}
