/* SPDX-License-Identifier: Apache-2.0 */
#include "control/access_log.h"

#include "base/buffer.h"
#include "base/check.h"
#include "base/log.h"
#include "base/metric.h"
#include "fiber/file.h"
#include "fiber/thread.h"

#include <stdlib.h>

enum {
    LINE_MAX_BYTES = 96 * 1024, /* the longest line: seven fields at their bound, all escaped */
};

struct access_log {
    enum access_log_format format;
    uint32_t owners; /* atomic */
    struct slice to; /* as it was configured; its own */
    char *path;      /* NULL: a standard stream */
    int fd;          /* atomic: replaced by a reopen */
    size_t buffer;
    int64_t flush;
};

struct access_log_worker {
    struct access_log *log;
    struct timer timer;
    struct buffer pending;
    uint64_t dropped; /* lines */
    uint64_t lines;   /* in the buffer */
};

enum status access_log_new(const struct access_log_config *config, struct access_log **made,
                           const char **why)
{
    struct access_log *log = memory_zero(sizeof *log);
    char *to = memory_alloc(config->to.size + 1);
    memcpy(to, config->to.data, config->to.size);
    log->to = slice_of(to, config->to.size);
    log->owners = 1;
    log->format = config->format;
    log->buffer = config->buffer;
    log->flush = config->flush;
    if (slice_equal(config->to, SLICE("stdout"))) {
        log->fd = 1;
    } else if (slice_equal(config->to, SLICE("stderr"))) {
        log->fd = 2;
    } else {
        struct slice path = slice_from(config->to, sizeof "file:" - 1);
        log->path = memory_zero(path.size + 1);
        memcpy(log->path, path.data, path.size);
        enum status status = file_open_append(log->path, &log->fd, why);
        if (status != OK) {
            free(log->path);
            log->path = NULL;
            access_log_free(log);
            return ERR_CONFIG;
        }
    }
    *made = log;
    return OK;
}

struct access_log *access_log_share(struct access_log *log)
{
    __atomic_add_fetch(&log->owners, 1, __ATOMIC_RELAXED);
    return log;
}

bool access_log_is(const struct access_log *log, const struct access_log_config *config)
{
    return log->format == config->format && log->buffer == config->buffer &&
           log->flush == config->flush && slice_equal(log->to, config->to);
}

void access_log_free(struct access_log *log)
{
    if (log == NULL || __atomic_sub_fetch(&log->owners, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    free((void *)(uintptr_t)log->to.data);
    if (log->path != NULL)
        file_close(log->fd);
    free(log->path);
    free(log);
}

void access_log_reopen(struct access_log *log)
{
    const char *why = "";
    int fd;
    if (log == NULL || log->path == NULL)
        return;
    if (file_open_append(log->path, &fd, &why) != OK) {
        log_write(LOG_ERROR, "log_reopen_failed", "cannot open %s: %s; the old file is kept",
                  log->path, why);
        return;
    }
    /* The number stays the same for all workers, whatever they are writing at this moment. */
    file_replace(fd, log->fd);
}

static void flush(struct access_log_worker *worker)
{
    if (worker->pending.size == 0)
        return;
    if (!file_write_now(worker->log->fd, worker->pending.data, worker->pending.size)) {
        counter_add(&worker->dropped, worker->lines);
        log_write(LOG_ERROR, "log_dropped",
                  "the access log does not take what is written: %llu lines were dropped so far",
                  (unsigned long long)worker->dropped);
    }
    worker->pending.size = 0;
    worker->lines = 0;
}

static void on_timer(struct timer *timer)
{
    flush(LIST_ENTRY(timer, struct access_log_worker, timer));
}

struct access_log_worker *access_log_worker_new(struct access_log *log)
{
    if (log == NULL)
        return NULL;
    struct access_log_worker *worker = memory_zero(sizeof *worker);
    worker->log = log;
    worker->timer.on_fire = on_timer;
    worker->pending =
        buffer_fixed(memory_alloc(log->buffer + LINE_MAX_BYTES), log->buffer + LINE_MAX_BYTES);
    return worker;
}

void access_log_worker_free(struct access_log_worker *worker)
{
    if (worker == NULL)
        return;
    timer_clear(&thread_self()->timers, &worker->timer);
    flush(worker);
    free(worker->pending.data);
    free(worker);
}

uint64_t access_log_dropped(const struct access_log_worker *worker)
{
    return worker == NULL ? 0 : counter_read(&worker->dropped);
}

void access_log_write(struct access_log_worker *worker, const struct exchange *x)
{
    if (worker == NULL || (x->site != NULL && !x->site->access_log))
        return;
    access_log_format_line(worker->log->format, x, loop_now(), &worker->pending);
    worker->lines++;
    if (worker->pending.size >= worker->log->buffer)
        flush(worker);
    else if (!timer_is_set(&worker->timer))
        timer_set(&thread_self()->timers, &worker->timer, loop_now() + worker->log->flush);
}
