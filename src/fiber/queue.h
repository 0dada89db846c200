/* SPDX-License-Identifier: Apache-2.0 */
/* A bounded queue of pointers between fibers of one thread. */
#pragma once

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fiber;

struct queue {
    void **items; /* a ring of `capacity` */
    size_t capacity, first, count;
    struct fiber *taker, *putter; /* at most one each */
    bool is_closed;
};

void queue_init(struct queue *queue, void **items, size_t capacity);
/* Both wait: for room, for an item. ERR_CLOSED after queue_close (a taker gets what is left
 * first), ERR_TIMEOUT, ERR_CANCELLED. */
MUST_CHECK enum status queue_put(struct queue *queue, void *item, int64_t deadline);
MUST_CHECK enum status queue_take(struct queue *queue, void **item, int64_t deadline);
/* Without waiting: false when full (or closed) or empty. */
bool queue_try_put(struct queue *queue, void *item);
bool queue_try_take(struct queue *queue, void **item);
void queue_close(struct queue *queue);
