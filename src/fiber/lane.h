/* SPDX-License-Identifier: Apache-2.0 */
/* A thread of its own for what may stall as long as it likes, such as a disk that logs go to: jobs
 * are done one after the other, and nobody waits for any of them. */
#pragma once

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lane;

/* The first member of what is handed over; the job owns and frees that. */
struct lane_job {
    struct lane_job *next;
    void (*run)(struct lane_job *job);
    size_t size; /* what it counts against the bound; 0: there is always room for it */
};

/* At most `size_max` wait, by their sizes. The thread is started with the first job. */
struct lane *lane_new(size_t size_max);
/* From any thread. False: too much waits, or the system has no thread; the job is still the
 * caller's. */
bool lane_post(struct lane *lane, struct lane_job *job);
/* For a job, on the lane's thread: waits so long (ns). False, and at once: the lane is to end. */
bool lane_pause(struct lane *lane, int64_t duration);
/* No more jobs: those that wait are done, then the lane is gone by itself. Waits for nothing. */
void lane_end(struct lane *lane);
/* Waits until every lane that was ended is gone; false: the deadline (monotonic) came first, and
 * what stalls is left to the end of the process. */
bool lanes_finish(int64_t deadline);
