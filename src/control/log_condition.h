/* SPDX-License-Identifier: Apache-2.0 */
/* Which exchanges somebody wants to hear of: by status, by how long they took, or those that
 * failed. */
#pragma once

#include "base/slice.h"

enum {
    LOG_CONDITION_STATUSES_MAX = 16,
};

struct log_condition {
    struct {
        uint16_t low, high;
    } statuses[LOG_CONDITION_STATUSES_MAX];
    size_t statuses_count; /* 0: it does not ask for any */
    int64_t slow;          /* ns: at least so long; 0: it does not ask */
    bool failed;           /* with an error in the log */
    bool any;              /* one of these is enough; else all that it asks for */
};

/* Adds "404", "500-599" or "5xx". False: it is none of these, or there are too many. */
bool log_condition_add_status(struct log_condition *condition, struct slice text);
/* `took` in ns. What asks for nothing holds always. */
bool log_condition_holds(const struct log_condition *condition, int status, int64_t took,
                         bool has_failed);
bool log_condition_equal(const struct log_condition *a, const struct log_condition *b);
