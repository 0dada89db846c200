/* SPDX-License-Identifier: Apache-2.0 */
/* A line for each exchange that has ended, in every access log that is configured. Each worker
 * gathers lines in buffers of its own and hands them to the logs' targets when they are full or a
 * second old; what those do not take is dropped and counted, so that a slow disk never holds a
 * worker. Where the configuration wants that instead, the fibers of exchanges wait. */
#pragma once

#include "control/access_log_format.h"
#include "control/log_condition.h"
#include "control/log_target.h"

enum {
    ACCESS_LOGS_MAX = 8,
};

struct access_log_config {
    struct slice to;     /* what log_target_look() found good */
    struct slice format; /* as it is written; the shape says the same */
    struct access_log_shape shape;
    struct log_condition only;
    int64_t sample; /* one of so many */
    int64_t buffer; /* bytes per worker */
    int64_t flush;  /* ns */
    struct log_rotation rotation;
    bool may_hold; /* exchanges wait for a target that is behind */
};

/* All of a configuration. */
struct access_log;
struct access_log_worker;

/* Opens what `previous` (NULL: none) has not open already; when it is the same altogether that one
 * is shared. NULL for none. ERR_CONFIG: a target cannot be opened: *bad is which, *why a text. */
MUST_CHECK enum status access_log_new(const struct access_log_config *configs, size_t count,
                                      struct access_log *previous, struct access_log **log,
                                      size_t *bad, const char **why);
/* access_log_free() must follow for each that was made or shared. */
void access_log_free(struct access_log *log);
/* Opens files anew, after they were renamed. */
void access_log_reopen(struct access_log *log);

/* Per worker, on its thread; NULL for no log. */
struct access_log_worker *access_log_worker_new(struct access_log *log);
void access_log_worker_free(struct access_log_worker *worker); /* hands over what is left */
void access_log_write(struct access_log_worker *worker, const struct exchange *x);
/* On the exchange's fiber, while its response's head is there: keeps what the logs want of it. */
void access_log_keep(const struct access_log_worker *worker, struct exchange *x);
bool access_log_wants_fields(const struct access_log *log); /* whether that is ever anything */
/* What the first of the logs does not show is for nobody else's eyes. */
const struct access_log_shape *access_log_hiding(const struct access_log_worker *worker);
