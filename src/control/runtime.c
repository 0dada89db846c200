/* SPDX-License-Identifier: Apache-2.0 */
#include "control/runtime.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "control/snapshot.h"
#include "control/state.h"
#include "fiber/fiber.h"
#include "fiber/file.h"
#include "fiber/offload.h"
#include "fiber/thread.h"
#include "upstream/upstream.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    PATH_SIZE = 1152,
    FILE_MODE = 0640,
    LOCK_LOOK_MS = 5,
};

static struct {
    struct overrides overrides;
    uint64_t generation;
    size_t found; /* in the file */
    bool is_locked;
    char path[PATH_SIZE]; /* of the file; empty: there is no place for one */
} runtime;

void runtime_load(const char *config_name)
{
    struct arena arena;
    struct slice text;
    struct slice wrong;
    const char *why;
    overrides_init(&runtime.overrides);
    state_path(config_name, "overrides", ".json", runtime.path, PATH_SIZE);
    if (runtime.path[0] == '\0')
        return;
    arena_init(&arena, NULL, 0);
    enum status status = file_read(runtime.path, OVERRIDES_FILE_MAX, &arena, &text, &why);
    if (status != OK && status != ERR_UNREACHABLE)
        log_write(LOG_ERROR, "overrides_failed", "cannot read %s: %s", runtime.path, why);
    if (status == OK && !overrides_read(&runtime.overrides, text, &arena, &wrong))
        log_write(LOG_ERROR, "overrides_failed", "%s cannot be used: %.*s", runtime.path,
                  SLICE_ARG(wrong));
    runtime.found = runtime.overrides.count;
    if (runtime.found > 0)
        log_write(LOG_INFO, "overrides_found", "%zu changes that were made at run time: %s",
                  runtime.overrides.count, runtime.path);
    arena_done(&arena);
}

struct overrides *runtime_edit(void)
{
    return &runtime.overrides;
}

const struct overrides *runtime_overrides(void)
{
    return &runtime.overrides;
}

uint64_t runtime_generation(void)
{
    return runtime.generation;
}

void runtime_push(const struct overrides *overrides, const struct snapshot *snapshot)
{
    struct arena arena;
    arena_init(&arena, NULL, 0);
    for (size_t i = 0; i < snapshot->upstreams_count; i++) {
        struct upstream_setting *settings;
        size_t count;
        overrides_settings(overrides, upstream_name(snapshot->upstreams[i]), &arena, &settings,
                           &count);
        upstream_set_admin(snapshot->upstreams[i], settings, count);
    }
    arena_done(&arena);
}

enum status runtime_lock(int64_t deadline)
{
    while (runtime.is_locked) {
        if (loop_now() >= deadline)
            return ERR_TIMEOUT;
        TRY(fiber_sleep(loop_now() + MILLISECONDS(LOCK_LOOK_MS)));
    }
    runtime.is_locked = true;
    return OK;
}

void runtime_unlock(void)
{
    check(runtime.is_locked);
    runtime.is_locked = false;
}

/* A text on its way to the disk. */
struct keeping {
    char path[PATH_SIZE];
    size_t size;
    bool is_kept;
    char why[96];
    char text[];
};

static void keep(void *job)
{
    struct keeping *keeping = job;
    const char *why = "";
    char directory[PATH_SIZE];
    memcpy(directory, keeping->path, PATH_SIZE);
    *strrchr(directory, '/') = '\0';
    enum status status = file_make_directory(directory, &why);
    if (status == OK)
        status =
            file_create(keeping->path, slice_of(keeping->text, keeping->size), FILE_MODE, &why);
    keeping->is_kept = status == OK;
    (void)snprintf(keeping->why, sizeof keeping->why, "%s", why);
}

static bool has_durable(const struct overrides *overrides)
{
    for (size_t i = 0; i < overrides->count; i++)
        if (overrides->items[i].is_durable)
            return true;
    return false;
}

static struct keeping *new_keeping(void)
{
    struct arena arena;
    arena_init(&arena, NULL, 0);
    struct buffer out = buffer_in(&arena, 1024);
    overrides_write(&runtime.overrides, true, &out);
    struct keeping *job = memory_alloc(sizeof *job + out.size);
    memcpy(job->path, runtime.path, PATH_SIZE);
    memcpy(job->text, out.data, out.size);
    job->size = out.size;
    arena_done(&arena);
    return job;
}

static bool end_keeping(struct keeping *job)
{
    bool is_kept = job->is_kept;
    if (!is_kept)
        log_write(LOG_ERROR, "overrides_failed", "cannot keep %s: %s", runtime.path, job->why);
    free(job);
    return is_kept;
}

void runtime_start(void)
{
    if (runtime.overrides.count == runtime.found)
        return;
    struct keeping *job = new_keeping();
    keep(job);
    end_keeping(job);
}

/* The wait is shielded: what holds is written also when the client has gone. */
static bool write_file(void)
{
    struct keeping *job = new_keeping();
    bool was_cancelled = fiber_shield();
    enum status status = offload(keep, job, free, CLOCK_NEVER);
    fiber_unshield(was_cancelled);
    if (status != OK) {
        log_write(LOG_ERROR, "overrides_failed", "cannot keep %s: %s", runtime.path,
                  status_name(status));
        return false;
    }
    return end_keeping(job);
}

bool runtime_replace(struct overrides *overrides)
{
    bool had_durable = has_durable(&runtime.overrides);
    overrides_done(&runtime.overrides);
    runtime.overrides = *overrides;
    *overrides = (struct overrides){0};
    runtime.generation++;
    if (!has_durable(&runtime.overrides) && !had_durable)
        return true;
    return runtime.path[0] != '\0' && write_file();
}

void runtime_done(void)
{
    overrides_done(&runtime.overrides);
    runtime = (typeof(runtime)){0};
}
