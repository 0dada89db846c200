/* SPDX-License-Identifier: Apache-2.0 */
#include "control/access_log.h"

#include "base/check.h"
#include "control/access_log_redact.h"
#include "control/service.h"
#include "fiber/fiber.h"
#include "fiber/thread.h"

#include <stdlib.h>

enum {
    FIELDS_MAX = ACCESS_LOGS_MAX * ACCESS_LOG_HEADERS_MAX,
    AGAIN_MS = 20, /* until lines are offered again to a target that is behind */
};

struct one {
    struct access_log_config config;
    struct log_target *target;
};

struct access_log {
    struct arena arena; /* copies of what the configuration says */
    uint32_t owners;    /* atomic */
    size_t count;
    struct one logs[ACCESS_LOGS_MAX];
    size_t headers_count; /* of requests and responses, that any of the logs asks for */
    struct access_log_header headers[FIELDS_MAX];
};

/* Lines of one log that a worker has gathered. */
struct gathered {
    struct timer timer;
    const struct one *log;
    struct buffer pending;
    size_t lines;
    struct list held; /* of struct held: more than the buffer's size is gathered */
};

/* An exchange whose line finds no room, on its fiber's stack. */
struct held {
    struct list link;
    struct fiber *fiber;
    struct slice line;
    bool is_taken;
};

struct access_log_worker {
    const struct access_log *log;
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

static bool headers_are_equal(const struct access_log_shape *a, const struct access_log_shape *b)
{
    bool are_equal = a->headers_count == b->headers_count;
    for (size_t i = 0; are_equal && i < a->headers_count; i++)
        are_equal = slice_equal(a->headers[i].key, b->headers[i].key);
    return are_equal;
}

static bool are_equal(const struct access_log_config *a, const struct access_log_config *b)
{
    return slice_equal(a->to, b->to) && slice_equal(a->format, b->format) &&
           a->shape.shown == b->shape.shown && headers_are_equal(&a->shape, &b->shape) &&
           a->rotation.size == b->rotation.size && a->rotation.keep == b->rotation.keep &&
           a->may_hold == b->may_hold && a->shape.mask_v4 == b->shape.mask_v4 &&
           a->shape.mask_v6 == b->shape.mask_v6 &&
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
    struct access_log_header *headers =
        arena_alloc(&log->arena, (config->shape.headers_count + 1) * sizeof *headers);
    for (size_t i = 0; i < config->shape.headers_count; i++)
        headers[i] = (struct access_log_header){
            .name = arena_copy(&log->arena, config->shape.headers[i].name),
            .key = arena_copy(&log->arena, config->shape.headers[i].key),
            .is_response = config->shape.headers[i].is_response,
        };
    config->shape.headers = headers;
    log->headers_count =
        access_log_shape_headers(&config->shape, log->headers, log->headers_count, FIELDS_MAX);
}

static struct log_target *target_of(const struct access_log *previous, struct slice to)
{
    for (size_t i = 0; previous != NULL && i < previous->count; i++)
        if (slice_equal(previous->logs[i].config.to, to))
            return log_target_share(previous->logs[i].target);
    return NULL;
}

static bool open_target(struct access_log *log, size_t at, const struct access_log *previous,
                        const char **why)
{
    struct one *one = &log->logs[at];
    struct log_target_settings settings = {
        .rotation = one->config.rotation,
        .is_patient = one->config.may_hold,
    };
    one->target = target_of(log, one->config.to);
    if (one->target != NULL)
        return true; /* of another log here, which says the same */
    one->target = target_of(previous, one->config.to);
    if (one->target == NULL)
        return log_target_open(one->config.to, LOG_ACCESS, &settings, &one->target, why) == OK;
    log_target_set(one->target, &settings);
    return true;
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
        log->logs[i].config = configs[i];
        copy_config(log, &log->logs[i].config);
        if (!open_target(log, i, previous, why)) {
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

/* False: exchanges of this log may be held, and its target is behind. */
static bool hand_over(struct gathered *gathered)
{
    struct slice lines = buffer_slice(&gathered->pending);
    struct log_target *target = gathered->log->target;
    if (gathered->lines > 0 && !gathered->log->config.may_hold)
        log_target_write(target, LOG_INFO, lines, gathered->lines);
    else if (gathered->lines > 0 && !log_target_try(target, LOG_INFO, lines)) {
        if (!service_is_ending())
            return false;
        log_target_push(target, LOG_INFO, lines); /* the end waits for no log */
    }
    gathered->pending.size = 0;
    gathered->lines = 0;
    return true;
}

static bool is_full(const struct gathered *gathered)
{
    return gathered->pending.size >= (size_t)gathered->log->config.buffer;
}

/* Takes the line of the exchange that has waited longest. */
static void take_held(struct gathered *gathered)
{
    struct held *held = LIST_ENTRY(gathered->held.next, struct held, link);
    buffer_append(&gathered->pending, held->line);
    gathered->lines++;
    list_remove(&held->link);
    held->is_taken = true;
    fiber_wake(held->fiber);
}

static void flush(struct gathered *gathered)
{
    bool goes_on = hand_over(gathered);
    while (goes_on && !list_is_empty(&gathered->held)) {
        take_held(gathered);
        goes_on = !is_full(gathered) || hand_over(gathered);
    }
    if (!goes_on)
        timer_set(&thread_self()->timers, &gathered->timer, loop_now() + MILLISECONDS(AGAIN_MS));
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
    worker->log = log;
    worker->count = log->count;
    for (size_t i = 0; i < log->count; i++) {
        struct gathered *gathered = &worker->logs[i];
        size_t size =
            (size_t)log->logs[i].config.buffer + access_log_line_max(&log->logs[i].config.shape);
        gathered->log = &log->logs[i];
        list_init(&gathered->held);
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
        struct gathered *gathered = &worker->logs[i];
        timer_clear(&thread_self()->timers, &gathered->timer);
        do { /* nobody is held by a log that is no more */
            if (!hand_over(gathered)) {
                log_target_push(gathered->log->target, LOG_INFO, buffer_slice(&gathered->pending));
                gathered->pending.size = 0;
                gathered->lines = 0;
            }
            if (!list_is_empty(&gathered->held))
                take_held(gathered);
        } while (gathered->lines > 0);
        free(gathered->pending.data);
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

static void write_one(struct access_log_worker *worker, struct gathered *gathered,
                      const struct exchange *x)
{
    const struct access_log_config *config = &gathered->log->config;
    if (!access_log_format_line(&config->shape, x, loop_now(), &worker->scratch,
                                &gathered->pending)) {
        log_lose(LOG_ACCESS, 1);
        return;
    }
    gathered->lines++;
    if (is_full(gathered))
        flush(gathered);
    else if (!timer_is_set(&gathered->timer))
        timer_set(&thread_self()->timers, &gathered->timer, loop_now() + config->flush);
}

/* The line in memory of its own: what it is written to may be another one after a wait. */
static struct slice make_line(struct access_log_worker *worker, const struct gathered *gathered,
                              const struct exchange *x)
{
    const struct access_log_shape *shape = &gathered->log->config.shape;
    struct buffer line =
        buffer_fixed(memory_alloc(access_log_line_max(shape)), access_log_line_max(shape));
    if (!access_log_format_line(shape, x, loop_now(), &worker->scratch, &line))
        log_lose(LOG_ACCESS, 1);
    return buffer_slice(&line);
}

static void wait_until_taken(struct held *held, size_t count)
{
    bool was_cancelled = false;
    for (size_t i = 0; i < count; i++)
        while (!held[i].is_taken)
            if (fiber_wait(CLOCK_NEVER) == ERR_CANCELLED) { /* by a client that does not wait */
                was_cancelled = fiber_shield() || was_cancelled;
                if (!held[i].is_taken && service_is_ending()) {
                    list_remove(&held[i].link);
                    held[i].is_taken = true;
                    log_lose(LOG_ACCESS, 1);
                }
            }
    fiber_unshield(was_cancelled);
}

/* Waits until these logs have taken their lines; what runs on no fiber, the end of a tunnel, is
 * taken whatever waits. */
COLD static void write_held(struct access_log_worker *worker, struct gathered **full, size_t count,
                            const struct exchange *x)
{
    struct held held[ACCESS_LOGS_MAX];
    for (size_t i = 0; i < count; i++) {
        held[i] = (struct held){.fiber = fiber_self(), .line = make_line(worker, full[i], x)};
        held[i].is_taken = held[i].fiber == NULL || held[i].line.size == 0;
        if (!held[i].is_taken)
            list_append(&full[i]->held, &held[i].link);
        else if (held[i].line.size > 0)
            log_target_push(full[i]->log->target, LOG_INFO, held[i].line);
    }
    wait_until_taken(held, count);
    for (size_t i = 0; i < count; i++)
        free((void *)(uintptr_t)held[i].line.data);
}

void access_log_write(struct access_log_worker *worker, const struct exchange *x)
{
    struct gathered *full[ACCESS_LOGS_MAX];
    size_t full_count = 0;
    if (worker == NULL || (x->site != NULL && !x->site->access_log))
        return;
    for (size_t i = 0; i < worker->count; i++) {
        struct gathered *gathered = &worker->logs[i];
        const struct access_log_config *config = &gathered->log->config;
        if (!is_wanted(config, x))
            continue;
        if (config->may_hold && is_full(gathered))
            full[full_count++] = gathered;
        else
            write_one(worker, gathered, x);
    }
    if (full_count > 0)
        write_held(worker, full, full_count, x);
}

static struct slice value_in(const struct fields *fields, struct slice name)
{
    const struct field *field = fields_find_named(fields, name);
    return field == NULL ? SLICE("") : slice_first(field->value, ACCESS_LOG_FIELD_MAX);
}

void access_log_keep(const struct access_log_worker *worker, struct exchange *x)
{
    bool is_tunnel = x->tunnel.server != NULL && x->is_finished;
    if (worker == NULL || worker->log->headers_count == 0 || x->kept != NULL)
        return;
    const struct access_log *log = worker->log;
    struct exchange_kept *kept =
        arena_alloc(&x->arena, sizeof *kept + log->headers_count * sizeof kept->items[0]);
    kept->count = 0;
    for (size_t i = 0; i < log->headers_count; i++) {
        const struct access_log_header *header = &log->headers[i];
        if (!header->is_response && !is_tunnel)
            continue; /* the request's head stays */
        kept->items[kept->count++] = (struct exchange_kept_field){
            .name = arena_copy(&x->arena, header->name),
            .value = arena_copy(&x->arena, value_in(header->is_response ? &x->response.fields
                                                                        : &x->request.head.fields,
                                                    header->name)),
            .is_response = header->is_response,
        };
    }
    x->kept = kept;
}

bool access_log_wants_fields(const struct access_log *log)
{
    return log != NULL && log->headers_count > 0;
}

const struct access_log_shape *access_log_hiding(const struct access_log_worker *worker)
{
    return worker == NULL ? &ACCESS_LOG_PLAIN : &worker->logs[0].log->config.shape;
}
