/* SPDX-License-Identifier: Apache-2.0 */
/* Fibers of any thread that wait for the same thing. Who waits is listed on its own thread; a
 * letter wakes the others, one for each thread. */
#pragma once

#include "base/list.h"
#include "base/status.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct crowd_group;

struct crowd {
    pthread_mutex_t mutex;
    struct crowd_group *groups; /* one for each thread that has waited */
};

void crowd_init(struct crowd *crowd);
/* Nobody waits any more. */
void crowd_done(struct crowd *crowd);

/* Waits until is_there(argument), which is asked on this fiber: before, and after each wake. What
 * it looks at is to be changed atomically, before crowd_wake(). OK, ERR_TIMEOUT, ERR_CANCELLED. */
MAY_WAIT MUST_CHECK enum status crowd_wait(struct crowd *crowd, bool (*is_there)(void *argument),
                                           void *argument, int64_t deadline);
/* From any thread. */
void crowd_wake(struct crowd *crowd);
