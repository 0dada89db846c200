/* SPDX-License-Identifier: Apache-2.0 */
#include "control/access_log.h"

#include "base/check.h"
#include "control/log_target.h"
#include "fiber/thread.h"

#include <stdlib.h>

struct one {
    struct access_log_config config;
    struct log_target *target;
};

struct access_log {
    struct arena arena; /* copies of what the configuration says */
    uint32_t owners;    /* atomic */
    size_t count;
    struct one logs[ACCESS_LOGS_MAX];
};

/* Lines of one log that a worker has gathered. */
struct gathered {
    struct timer timer;
    const struct one *log;
    struct buffer pending;
    size_t lines;
};

struct access_log_worker {
    size_t count;
    struct access_log_scratch scratch;
    struct gathered logs[];
};

static bool lists_are_equal(const struct slice_list *a, const struct slice_list *b)
{
    bool are_equal = a->count == b->count;
    for (size_t i = 0; are_equal && i < a->count; i++)
        are_equal = slice_equal(a->items[i], b->items[i]);
    return are_equal;
}

static bool are_equal(const struct access_log_config *a, const struct access_log_config *b)
{
    return slice_equal(a->to, b->to) && slice_equal(a->format, b->format) &&
           a->shape.mask_v4 == b->shape.mask_v4 && a->shape.mask_v6 == b->shape.mask_v6 &&
           lists_are_equal(&a->shape.redact, &b->shape.redact) &&
           log_condition_equal(&a->only, &b->only) && a->sample == b->sample &&
           a->buffer == b->buffer && a->flush == b->flush;
}

static bool is_same(const struct access_log *log, const struct access_log_config *configs,
                    size_t count)
{
    bool is_same = log != NULL && log->count == count;
    for (size_t i = 0; is_same && i < count; i++)
        is_same = are_equal(&log->logs[i].config, &configs[i]);
    return is_same;
}

/* The log outlives the configuration that it was made for. */
static void copy_config(struct access_log *log, struct access_log_config *config)
{
    struct slice bad;
    const char *why;
    config->to = arena_copy(&log->arena, config->to);
    config->format = arena_copy(&log->arena, config->format);
    check(access_log_shape_parse(config->format, &log->arena, &config->shape, &bad, &why));
    struct slice *names =
        arena_alloc(&log->arena, (config->shape.redact.count + 1) * sizeof *names);
    for (size_t i = 0; i < config->shape.redact.count; i++)
        names[i] = arena_copy(&log->arena, config->shape.redact.items[i]);
    config->shape.redact.items = names;
}

static struct log_target *target_of(const struct access_log *previous, struct slice to)
{
    for (size_t i = 0; previous != NULL && i < previous->count; i++)
        if (slice_equal(previous->logs[i].config.to, to))
            return log_target_share(previous->logs[i].target);
    return NULL;
}

enum status access_log_new(const struct access_log_config *configs, size_t count,
                           struct access_log *previous, struct access_log **made, size_t *bad,
                           const char **why)
{
    *made = NULL;
    if (count == 0)
        return OK;
    if (is_same(previous, configs, count)) {
        __atomic_add_fetch(&previous->owners, 1, __ATOMIC_RELAXED);
        *made = previous;
        return OK;
    }
    check(count <= ACCESS_LOGS_MAX);
    struct access_log *log = memory_zero(sizeof *log);
    arena_init(&log->arena, NULL, 0);
    log->owners = 1;
    for (size_t i = 0; i < count; i++) {
        struct one *one = &log->logs[i];
        one->config = configs[i];
        copy_config(log, &one->config);
        one->target = target_of(previous, configs[i].to);
        if (one->target == NULL)
            one->target = target_of(log, configs[i].to);
        if (one->target == NULL &&
            log_target_open(one->config.to, LOG_ACCESS, &one->target, why) != OK) {
            *bad = i;
            access_log_free(log);
            return ERR_CONFIG;
        }
        log->count++;
    }
    *made = log;
    return OK;
}

void access_log_free(struct access_log *log)
{
    if (log == NULL || __atomic_sub_fetch(&log->owners, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    for (size_t i = 0; i < log->count; i++)
        log_target_free(log->logs[i].target);
    arena_done(&log->arena);
    free(log);
}

void access_log_reopen(struct access_log *log)
{
    for (size_t i = 0; log != NULL && i < log->count; i++)
        log_target_reopen(log->logs[i].target);
}

static void flush(struct gathered *gathered)
{
    if (gathered->lines > 0)
        log_target_write(gathered->log->target, LOG_INFO, buffer_slice(&gathered->pending),
                         gathered->lines);
    gathered->pending.size = 0;
    gathered->lines = 0;
}

static void on_timer(struct timer *timer)
{
    flush(LIST_ENTRY(timer, struct gathered, timer));
}

struct access_log_worker *access_log_worker_new(struct access_log *log)
{
    if (log == NULL)
        return NULL;
    struct access_log_worker *worker =
        memory_zero(sizeof *worker + log->count * sizeof *worker->logs);
    worker->count = log->count;
    for (size_t i = 0; i < log->count; i++) {
        struct gathered *gathered = &worker->logs[i];
        size_t size = (size_t)log->logs[i].config.buffer + ACCESS_LOG_LINE_MAX;
        gathered->log = &log->logs[i];
        gathered->timer.on_fire = on_timer;
        gathered->pending = buffer_fixed(memory_alloc(size), size);
    }
    return worker;
}

void access_log_worker_free(struct access_log_worker *worker)
{
    if (worker == NULL)
        return;
    for (size_t i = 0; i < worker->count; i++) {
        timer_clear(&thread_self()->timers, &worker->logs[i].timer);
        flush(&worker->logs[i]);
        free(worker->logs[i].pending.data);
    }
    free(worker);
}

static bool is_wanted(const struct access_log_config *config, const struct exchange *x)
{
    if (!log_condition_holds(&config->only, access_log_status(x), loop_now() - x->started,
                             x->blame.status != OK))
        return false;
    return config->sample <= 1 ||
           random_below(&thread_self()->random, (uint32_t)config->sample) == 0;
}

void access_log_write(struct access_log_worker *worker, const struct exchange *x)
{
    if (worker == NULL || (x->site != NULL && !x->site->access_log))
        return;
    for (size_t i = 0; i < worker->count; i++) {
        struct gathered *gathered = &worker->logs[i];
        const struct access_log_config *config = &gathered->log->config;
        if (!is_wanted(config, x))
            continue;
        if (!access_log_format_line(&config->shape, x, loop_now(), &worker->scratch,
                                    &gathered->pending)) {
            log_lose(LOG_ACCESS, 1);
            continue;
        }
        gathered->lines++;
        if (gathered->pending.size >= (size_t)config->buffer)
            flush(gathered);
        else if (!timer_is_set(&gathered->timer))
            timer_set(&thread_self()->timers, &gathered->timer, loop_now() + config->flush);
    }
}

const struct access_log_shape *access_log_hiding(const struct access_log_worker *worker)
{
    return worker == NULL ? &ACCESS_LOG_PLAIN : &worker->logs[0].log->config.shape;
}
