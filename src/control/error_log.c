/* SPDX-License-Identifier: Apache-2.0 */
#include "control/error_log.h"

#include "control/config.h"
#include "control/log_target.h"

#include <stdlib.h>

/* Of one kind: NULL targets are stderr, by the way that needs no thread. */
struct place {
    struct slice to;
    struct log_target *target;
};

struct error_log {
    struct arena arena;
    enum log_level level;
    struct place errors, audit;
};

static bool open_place(struct error_log *log, struct place *place, enum log_name name,
                       const struct config_item *item, const struct place *previous,
                       const char **why)
{
    if (item == NULL)
        return true;
    const struct log_config *config = item->config;
    struct log_target_settings settings = {.rotation = config_log_rotation(item)};
    place->to = arena_copy(&log->arena, config->to);
    if (name == LOG_ERRORS && slice_equal(place->to, SLICE("stderr")))
        return true;
    if (previous != NULL && previous->target != NULL && slice_equal(previous->to, place->to)) {
        place->target = log_target_share(previous->target);
        log_target_set(place->target, &settings);
        return true;
    }
    return log_target_open(place->to, name, &settings, &place->target, why) == OK;
}

struct error_log *error_log_new(const struct config *config, const struct error_log *previous,
                                const struct config_item **bad, const char **why)
{
    struct error_log *log = memory_zero(sizeof *log);
    arena_init(&log->arena, NULL, 0);
    log->level = LOG_INFO;
    if (config->error_log != NULL)
        log->level = (enum log_level)((const struct log_config *)config->error_log->config)->level;
    *bad = config->error_log;
    if (open_place(log, &log->errors, LOG_ERRORS, config->error_log,
                   previous == NULL ? NULL : &previous->errors, why)) {
        *bad = config->audit_log;
        if (open_place(log, &log->audit, LOG_AUDIT, config->audit_log,
                       previous == NULL ? NULL : &previous->audit, why))
            return log;
    }
    error_log_free(log);
    return NULL;
}

void error_log_free(struct error_log *log)
{
    if (log == NULL)
        return;
    log_target_free(log->errors.target);
    log_target_free(log->audit.target);
    arena_done(&log->arena);
    free(log);
}

void error_log_reopen(struct error_log *log)
{
    log_target_reopen(log->errors.target);
    log_target_reopen(log->audit.target);
}

static bool take(void *argument, enum log_level level, const char *event, struct slice line)
{
    const struct error_log *log = argument;
    struct log_target *target = log->errors.target;
    if (log->audit.target != NULL && strcmp(event, "audit") == 0)
        target = log->audit.target;
    if (target == NULL)
        return false;
    log_target_write(target, level, line, 1);
    return true;
}

void error_log_use(struct error_log *log)
{
    if (log != NULL)
        log_set_level(log->level);
    log_set_taker(log == NULL ? NULL : take, log);
}
