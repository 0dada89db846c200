/* SPDX-License-Identifier: Apache-2.0 */
#include "fiber/queue.h"

#include "base/check.h"
#include "fiber/fiber.h"

void queue_init(struct queue *queue, void **items, size_t capacity)
{
    check(capacity > 0);
    *queue = (struct queue){.items = items, .capacity = capacity};
}

bool queue_try_put(struct queue *queue, void *item)
{
    if (queue->is_closed || queue->count == queue->capacity)
        return false;
    queue->items[(queue->first + queue->count++) % queue->capacity] = item;
    if (queue->taker != NULL)
        fiber_wake(queue->taker);
    return true;
}

bool queue_try_take(struct queue *queue, void **item)
{
    if (queue->count == 0)
        return false;
    *item = queue->items[queue->first];
    queue->first = (queue->first + 1) % queue->capacity;
    queue->count--;
    if (queue->putter != NULL)
        fiber_wake(queue->putter);
    return true;
}

enum status queue_put(struct queue *queue, void *item, int64_t deadline)
{
    while (!queue_try_put(queue, item)) {
        if (queue->is_closed)
            return ERR_CLOSED;
        check(queue->putter == NULL);
        queue->putter = fiber_self();
        enum status status = fiber_wait(deadline);
        queue->putter = NULL;
        TRY(status);
    }
    return OK;
}

enum status queue_take(struct queue *queue, void **item, int64_t deadline)
{
    while (!queue_try_take(queue, item)) {
        if (queue->is_closed)
            return ERR_CLOSED;
        check(queue->taker == NULL);
        queue->taker = fiber_self();
        enum status status = fiber_wait(deadline);
        queue->taker = NULL;
        TRY(status);
    }
    return OK;
}

void queue_close(struct queue *queue)
{
    queue->is_closed = true;
    if (queue->taker != NULL)
        fiber_wake(queue->taker);
    if (queue->putter != NULL)
        fiber_wake(queue->putter);
}
