/* SPDX-License-Identifier: Apache-2.0 */
#include "fiber/offload.h"

#include "base/arena.h"
#include "base/check.h"
#include "base/list.h"
#include "fiber/fiber.h"
#include "fiber/loop.h"
#include "fiber/thread.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

enum {
    JOBS_MAX = 1024,
    THREADS_MAX = 64,
};

/* One call. The fiber that waits and the thread that works both look at it; it is freed by whoever
 * is last: on the loop of the fiber's thread, unless that has left. */
struct call {
    struct list link; /* in calls, then in running */
    void (*run)(void *job);
    void (*free_job)(void *job);
    void *job;
    struct thread *thread; /* NULL: it has left; under the mutex */
    struct fiber *fiber;   /* NULL: it has given up */
    bool is_done;
};

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t has_work;
    struct list calls;   /* that wait for a thread */
    struct list running; /* that have one */
    size_t count;        /* of calls */
    pthread_t threads[THREADS_MAX];
    unsigned threads_count;
    bool is_stopped;
} pool = {.mutex = PTHREAD_MUTEX_INITIALIZER, .has_work = PTHREAD_COND_INITIALIZER};

/* On the loop of the thread that asked. */
static void on_done(void *argument)
{
    struct call *call = argument;
    call->is_done = true;
    if (call->fiber != NULL) {
        fiber_wake(call->fiber);
        return;
    }
    call->free_job(call->job);
    free(call);
}

/* Under the mutex: whoever leaves is here until then, or not asked any more. */
static void conclude(struct call *call)
{
    list_remove(&call->link);
    if (call->thread != NULL) {
        check(thread_post(call->thread, on_done, call));
        return;
    }
    call->free_job(call->job);
    free(call);
}

static void *work(void *unused)
{
    pthread_mutex_lock(&pool.mutex);
    for (;;) {
        while (list_is_empty(&pool.calls) && !pool.is_stopped)
            pthread_cond_wait(&pool.has_work, &pool.mutex);
        if (list_is_empty(&pool.calls))
            break;
        struct call *call = LIST_ENTRY(pool.calls.next, struct call, link);
        list_remove(&call->link);
        list_append(&pool.running, &call->link);
        pool.count--;
        pthread_mutex_unlock(&pool.mutex);
        call->run(call->job);
        pthread_mutex_lock(&pool.mutex);
        conclude(call);
    }
    pthread_mutex_unlock(&pool.mutex);
    return unused;
}

enum status offload_start(unsigned threads)
{
    check(pool.threads_count == 0 && threads > 0);
    list_init(&pool.calls);
    list_init(&pool.running);
    pool.is_stopped = false;
    /* Signals are for control's loop. */
    sigset_t all;
    sigset_t old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    while (pool.threads_count < threads && pool.threads_count < THREADS_MAX &&
           pthread_create(&pool.threads[pool.threads_count], NULL, work, NULL) == 0)
        pool.threads_count++;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return pool.threads_count > 0 ? OK : ERR_SYSTEM;
}

void offload_stop(void)
{
    pthread_mutex_lock(&pool.mutex);
    pool.is_stopped = true;
    pthread_cond_broadcast(&pool.has_work);
    pthread_mutex_unlock(&pool.mutex);
    for (unsigned i = 0; i < pool.threads_count; i++)
        pthread_join(pool.threads[i], NULL);
    pool.threads_count = 0;
}

static void leave(struct list *calls, const struct thread *self)
{
    LIST_EACH(link, calls)
    {
        struct call *call = LIST_ENTRY(link, struct call, link);
        if (call->thread == self)
            call->thread = NULL;
    }
}

void offload_leave(void)
{
    pthread_mutex_lock(&pool.mutex);
    if (pool.threads_count > 0) {
        leave(&pool.calls, thread_self());
        leave(&pool.running, thread_self());
    }
    pthread_mutex_unlock(&pool.mutex);
    loop_turn(loop_now()); /* what was done before */
}

enum status offload(void (*run)(void *job), void *job, void (*free_job)(void *job),
                    int64_t deadline)
{
    struct call *call = memory_zero(sizeof *call);
    *call = (struct call){.run = run,
                          .free_job = free_job,
                          .job = job,
                          .thread = thread_self(),
                          .fiber = fiber_self()};
    check(call->fiber != NULL);
    pthread_mutex_lock(&pool.mutex);
    bool is_full = pool.count >= JOBS_MAX;
    if (!is_full) {
        list_append(&pool.calls, &call->link);
        pool.count++;
        pthread_cond_signal(&pool.has_work);
    }
    pthread_mutex_unlock(&pool.mutex);
    if (is_full) {
        free(call);
        free_job(job);
        return ERR_LIMIT;
    }
    while (!call->is_done) {
        enum status status = fiber_wait(deadline);
        if (status != OK && !call->is_done) {
            call->fiber = NULL;
            return status;
        }
    }
    free(call);
    return OK;
}
