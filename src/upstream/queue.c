/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/queue.h"

#include "base/check.h"
#include "upstream/server.h"

#include <stdlib.h>

/* On the heap, because the letter that wakes it may come after its fiber has given up. */
struct waiter {
    struct list link;
    struct thread *thread;
    struct fiber *fiber; /* NULL: gave up; the letter frees it */
    bool is_called;      /* taken off the queue: a letter is under way (under the mutex) */
    bool is_woken;
};

static void on_turn(void *argument)
{
    struct waiter *waiter = argument;
    if (waiter->fiber == NULL) {
        free(waiter);
        return;
    }
    waiter->is_woken = true;
    fiber_wake(waiter->fiber);
}

void upstream_queue_wake(struct upstream *upstream)
{
    pthread_mutex_lock(&upstream->queue_mutex);
    if (!list_is_empty(&upstream->queue)) {
        struct waiter *waiter = LIST_ENTRY(upstream->queue.next, struct waiter, link);
        /* Off the queue before the letter goes: once it is read the waiter may be gone. */
        list_remove(&waiter->link);
        waiter->is_called = true;
        __atomic_sub_fetch(&upstream->waiting, 1, __ATOMIC_RELAXED);
        if (!thread_post(waiter->thread, on_turn, waiter)) {
            /* A full mailbox leaves it in the queue for the next one that leaves. */
            waiter->is_called = false;
            list_push(&upstream->queue, &waiter->link);
            __atomic_add_fetch(&upstream->waiting, 1, __ATOMIC_RELAXED);
        }
    }
    pthread_mutex_unlock(&upstream->queue_mutex);
}

enum status upstream_queue_wait(struct upstream *upstream, int64_t deadline)
{
    uint32_t waiting = __atomic_add_fetch(&upstream->waiting, 1, __ATOMIC_RELAXED);
    if (waiting > upstream->config.queue) {
        __atomic_sub_fetch(&upstream->waiting, 1, __ATOMIC_RELAXED);
        return ERR_LIMIT;
    }
    struct waiter *waiter = memory_zero(sizeof *waiter);
    waiter->thread = thread_self();
    waiter->fiber = fiber_self();
    pthread_mutex_lock(&upstream->queue_mutex);
    list_append(&upstream->queue, &waiter->link);
    pthread_mutex_unlock(&upstream->queue_mutex);
    enum status status = OK;
    while (!waiter->is_woken && status == OK)
        status = fiber_wait(deadline);
    if (waiter->is_woken) {
        free(waiter);
        return status == ERR_CANCELLED ? status : OK;
    }
    pthread_mutex_lock(&upstream->queue_mutex);
    bool is_called = waiter->is_called;
    if (!is_called) {
        list_remove(&waiter->link);
        __atomic_sub_fetch(&upstream->waiting, 1, __ATOMIC_RELAXED);
    }
    pthread_mutex_unlock(&upstream->queue_mutex);
    if (is_called) {
        waiter->fiber = NULL;
        upstream_queue_wake(upstream); /* the turn that came too late is for the next */
    } else {
        free(waiter);
    }
    return status;
}
