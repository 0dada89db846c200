/* SPDX-License-Identifier: Apache-2.0 */
/* One line per exchange. Each worker gathers lines in a buffer of its own and hands it to the
 * kernel when it is full or a second old; what the target does not take at once is dropped and
 * counted, so that a slow disk never holds a worker. */
#pragma once

#include "base/buffer.h"
#include "exchange/exchange.h"

enum access_log_format {
    ACCESS_LOG_JSON,
    ACCESS_LOG_COMBINED,
    ACCESS_LOG_COMMON,
};

struct access_log_config {
    enum access_log_format format;
    struct slice to; /* "stdout", "stderr" or "file:PATH" */
    size_t buffer;   /* bytes per worker */
    int64_t flush;   /* ns */
};

struct access_log;
struct access_log_worker;

/* Opens the target. ERR_CONFIG and a text in *why when that fails. */
MUST_CHECK enum status access_log_new(const struct access_log_config *config,
                                      struct access_log **log, const char **why);
/* One owner more: access_log_free() of each must follow. From any thread. */
struct access_log *access_log_share(struct access_log *log);
bool access_log_is(const struct access_log *log, const struct access_log_config *config);
void access_log_free(struct access_log *log);
/* Opens a file anew, after it was renamed; the old one stays when that fails. */
void access_log_reopen(struct access_log *log);

/* Per worker, on its thread; NULL for no log. */
struct access_log_worker *access_log_worker_new(struct access_log *log);
void access_log_worker_free(struct access_log_worker *worker); /* writes what is left */
/* Lines that were lost; from any thread. */
uint64_t access_log_dropped(const struct access_log_worker *worker);
void access_log_write(struct access_log_worker *worker, const struct exchange *x);

/* The status that is logged and counted; 499: the client went away before it had an answer. */
int access_log_status(const struct exchange *x);
/* The line itself, with its newline. */
void access_log_format_line(enum access_log_format format, const struct exchange *x, int64_t now,
                            struct buffer *out);
