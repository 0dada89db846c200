/* SPDX-License-Identifier: Apache-2.0 */
/* The generic cell rate algorithm (ITU-T I.371): a rate with a burst, told by one number per key,
 * the time at which the requests so far would have ended had they come at the rate. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct rate {
    int64_t interval; /* ns between two requests at the rate; > 0 */
    int64_t burst;    /* requests beyond it that may come at once */
};

struct rate_answer {
    bool is_allowed;
    int64_t pace;      /* ns to wait for it to come at the rate; 0: it does */
    int64_t retry;     /* not allowed: ns until one is */
    int64_t remaining; /* how many more may come now */
    int64_t reset;     /* ns until the whole burst may come again */
};

/* One request at `now`. `until` is the key's number before and after: unchanged when the request is
 * not allowed. */
struct rate_answer rate_take(const struct rate *rate, int64_t now, int64_t *until);
