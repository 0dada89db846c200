/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/queue.h"

#include "base/check.h"
#include "upstream/server.h"

#include <stdlib.h>

/* On the heap, because the letter that tells it may come after its fiber has gone. */
struct queue_place {
    struct list link; /* under the mutex, as is_called */
    struct upstream *upstream;
    struct thread *thread;
    struct fiber *fiber; /* NULL: gone; the letter frees it */
    bool is_called;      /* a letter is under way */
    bool is_told;        /* of its own thread */
};

static void on_call(void *argument)
{
    struct queue_place *place = argument;
    if (place->fiber == NULL) {
        free(place);
        return;
    }
    pthread_mutex_lock(&place->upstream->queue_mutex);
    place->is_called = false;
    pthread_mutex_unlock(&place->upstream->queue_mutex);
    place->is_told = true;
    fiber_wake(place->fiber);
}

void upstream_queue_wake(struct upstream *upstream)
{
    pthread_mutex_lock(&upstream->queue_mutex);
    if (!list_is_empty(&upstream->queue)) {
        struct queue_place *first = LIST_ENTRY(upstream->queue.next, struct queue_place, link);
        /* When its mailbox is full, the next exchange that ends calls again. */
        first->is_called = first->is_called || thread_post(first->thread, on_call, first);
    }
    pthread_mutex_unlock(&upstream->queue_mutex);
}

enum status upstream_queue_join(struct upstream *upstream, struct queue_place **joined)
{
    /* Counted before it looks again, as server_leave() counts out before it looks at this: one of
     * the two sees the other. */
    uint32_t waiting = __atomic_add_fetch(&upstream->waiting, 1, __ATOMIC_SEQ_CST);
    if (waiting > upstream_rules(upstream)->queue) {
        __atomic_sub_fetch(&upstream->waiting, 1, __ATOMIC_RELAXED);
        return ERR_LIMIT;
    }
    struct queue_place *place = memory_zero(sizeof *place);
    place->upstream = upstream;
    place->thread = thread_self();
    place->fiber = fiber_self();
    pthread_mutex_lock(&upstream->queue_mutex);
    list_append(&upstream->queue, &place->link);
    pthread_mutex_unlock(&upstream->queue_mutex);
    *joined = place;
    return OK;
}

bool upstream_queue_is_first(const struct queue_place *place)
{
    struct upstream *upstream = place->upstream;
    pthread_mutex_lock(&upstream->queue_mutex);
    bool is_first = upstream->queue.next == &place->link;
    pthread_mutex_unlock(&upstream->queue_mutex);
    return is_first;
}

enum status upstream_queue_wait(struct queue_place *place, int64_t deadline)
{
    while (!place->is_told)
        TRY(fiber_wait(deadline));
    place->is_told = false;
    return OK;
}

void upstream_queue_leave(struct queue_place *place)
{
    struct upstream *upstream = place->upstream;
    pthread_mutex_lock(&upstream->queue_mutex);
    list_remove(&place->link);
    bool is_called = place->is_called;
    place->fiber = NULL;
    pthread_mutex_unlock(&upstream->queue_mutex);
    if (!is_called)
        free(place);
    if (__atomic_sub_fetch(&upstream->waiting, 1, __ATOMIC_SEQ_CST) > 0)
        upstream_queue_wake(upstream);
}
