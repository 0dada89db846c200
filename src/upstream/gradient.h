/* SPDX-License-Identifier: Apache-2.0 */
/* A limit of requests in work that adapts: found by what answers take while more or fewer are in
 * work. Shared by all workers through atomics; one of them at a time closes a window. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Between which it adapts. */
struct gradient_bounds {
    int64_t least, most;
};

/* All zero at first. Times in logarithms are log2 of nanoseconds, in 1,024ths. */
struct gradient {
    uint32_t limit;    /* 0: not begun */
    uint32_t highest;  /* requests in work at a time, in this window */
    uint32_t samples;  /* in this window */
    int64_t sum;       /* of their logarithms */
    int64_t window;    /* when it begins or has begun, monotonic */
    int64_t best;      /* logarithm of what an answer takes when nothing waits; 0: not known */
    int64_t look_at;   /* no look with fewer requests in work before, monotonic */
    uint32_t resume;   /* the limit before such a look; 0: none is under way */
    uint32_t good;     /* windows in a row that let it grow */
    uint32_t low;      /* windows in a row that were slow at the lowest limit */
    bool is_past_rise; /* it has been too high once: until then it doubles */
    bool is_held;      /* by a worker that closes a window; atomic */
};

/* The limit as it is now. */
uint32_t gradient_limit(const struct gradient *gradient, struct gradient_bounds bounds);
/* So many were in work at a time. */
void gradient_note_work(struct gradient *gradient, uint32_t requests);
/* What was asked `took` nanoseconds ago was answered now, or its time has run out. */
void gradient_measure(struct gradient *gradient, struct gradient_bounds bounds, int64_t took);
