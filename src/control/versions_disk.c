/* SPDX-License-Identifier: Apache-2.0 */
/* A file for each: a line of JSON behind a "#", then the configuration as text, so that the file is
 * one that weir could be started with. */
#include "control/versions_disk.h"

#include "base/clock.h"
#include "base/log.h"
#include "control/versions_file.h"
#include "fiber/file.h"
#include "fiber/offload.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    FILE_PATH_SIZE = VERSIONS_PATH_SIZE + 32,
    FILE_MODE = 0600,
    FILE_SIZE_MAX = CONFIG_FILE_MAX + VERSIONS_HEAD_MAX,
    WHY_MAX = 96,
};

static void file_path(const char *directory, uint64_t number, char into[FILE_PATH_SIZE])
{
    (void)snprintf(into, FILE_PATH_SIZE, "%s/%010llu.conf", directory, (unsigned long long)number);
}

/* The paths of all that are there. */
static size_t find_files(const char *directory, struct arena *arena, const struct slice **paths)
{
    char pattern[VERSIONS_PATH_SIZE + 16];
    size_t count;
    (void)snprintf(pattern, sizeof pattern, "%s/*.conf", directory);
    file_match(pattern, arena, paths, &count);
    return count;
}

void versions_disk_each(const char *directory,
                        void (*each)(void *argument, const struct version *version,
                                     struct slice text),
                        void *argument)
{
    struct arena arena;
    const struct slice *paths;
    arena_init(&arena, NULL, 0);
    size_t count = find_files(directory, &arena, &paths);
    for (size_t i = 0; i < count; i++) {
        struct arena own;
        struct slice file;
        struct slice text;
        struct version version;
        const char *why = "it is none";
        arena_init(&own, NULL, 0);
        enum status status =
            file_read(arena_cstring(&own, paths[i]), FILE_SIZE_MAX, &own, &file, &why);
        if (status == OK && version_file_read(file, &own, &version, &text))
            each(argument, &version, text);
        else
            log_write(LOG_WARN, "versions_failed", "%.*s is no kept configuration: %s",
                      SLICE_ARG(paths[i]), status == OK ? "it is none" : why);
        arena_done(&own);
    }
    arena_done(&arena);
}

void versions_disk_share(const char *directory, uint64_t number, const struct privileges *owner)
{
    char path[FILE_PATH_SIZE];
    file_path(directory, number, path);
    (void)file_share(path, FILE_MODE, owner->user, owner->group);
}

/* A text on its way to the disk. */
struct keeping {
    char directory[VERSIONS_PATH_SIZE];
    char path[FILE_PATH_SIZE];
    char oldest[FILE_PATH_SIZE];
    bool is_kept;
    char why[WHY_MAX];
    size_t size;
    char text[];
};

static void remove_older(const struct keeping *keeping)
{
    struct arena arena;
    const struct slice *paths;
    arena_init(&arena, NULL, 0);
    size_t count = find_files(keeping->directory, &arena, &paths);
    for (size_t i = 0; i < count; i++)
        if (slice_compare(paths[i], slice_from_cstring(keeping->oldest)) < 0)
            file_remove(arena_cstring(&arena, paths[i]));
    arena_done(&arena);
}

static void keep(void *job)
{
    struct keeping *keeping = job;
    const char *why = "";
    enum status status = file_make_directory(keeping->directory, &why);
    if (status == OK)
        status =
            file_create(keeping->path, slice_of(keeping->text, keeping->size), FILE_MODE, &why);
    keeping->is_kept = status == OK;
    (void)snprintf(keeping->why, sizeof keeping->why, "%s", why);
    if (status == OK)
        remove_older(keeping);
}

static struct keeping *keeping_new(const char *directory, const struct version *version,
                                   struct slice text, uint64_t oldest)
{
    struct arena arena;
    arena_init(&arena, NULL, 0);
    struct buffer out = buffer_in(&arena, text.size + 1024);
    version_file_write(version, text, &out);
    struct keeping *job = memory_zero(sizeof *job + out.size);
    (void)snprintf(job->directory, sizeof job->directory, "%s", directory);
    file_path(directory, version->number, job->path);
    file_path(directory, oldest, job->oldest);
    memcpy(job->text, out.data, out.size);
    job->size = out.size;
    arena_done(&arena);
    return job;
}

bool versions_disk_write(const char *directory, const struct version *version, struct slice text,
                         uint64_t oldest)
{
    uint64_t number = version->number;
    struct keeping *job = keeping_new(directory, version, text, oldest);
    enum status status = offload(keep, job, free, CLOCK_NEVER);
    bool is_kept = status == OK && job->is_kept;
    if (!is_kept)
        log_write(LOG_WARN, "versions_failed", "version %llu is not kept for a restart: %s",
                  (unsigned long long)number, status == OK ? job->why : status_name(status));
    if (status == OK)
        free(job);
    return is_kept;
}

/* A file that is read. */
struct fetching {
    char path[FILE_PATH_SIZE];
    struct arena arena;
    struct slice text;
    char why[WHY_MAX];
    enum status status;
};

static void fetch(void *job)
{
    struct fetching *fetching = job;
    const char *why = "";
    fetching->status =
        file_read(fetching->path, FILE_SIZE_MAX, &fetching->arena, &fetching->text, &why);
    (void)snprintf(fetching->why, sizeof fetching->why, "%s", why);
}

static void fetching_free(void *job)
{
    struct fetching *fetching = job;
    arena_done(&fetching->arena);
    free(fetching);
}

static struct fetching *fetching_new(const char *directory, uint64_t number)
{
    struct fetching *job = memory_zero(sizeof *job);
    arena_init(&job->arena, NULL, 0);
    file_path(directory, number, job->path);
    return job;
}

/* What has come into the arena; frees the job. */
static enum status end_fetching(struct fetching *job, struct arena *arena, struct slice *text)
{
    struct version version;
    enum status status = job->status;
    if (status != OK)
        log_write(LOG_ERROR, "versions_failed", "cannot read %s: %s", job->path, job->why);
    else if (version_file_read(job->text, &job->arena, &version, text))
        *text = arena_copy(arena, *text);
    else
        status = ERR_SYSTEM;
    fetching_free(job);
    return status == OK ? OK : ERR_SYSTEM;
}

enum status versions_disk_fetch(const char *directory, uint64_t number, struct arena *arena,
                                struct slice *text)
{
    struct fetching *job = fetching_new(directory, number);
    enum status status = offload(fetch, job, fetching_free, CLOCK_NEVER);
    return status == OK ? end_fetching(job, arena, text) : status;
}

enum status versions_disk_read(const char *directory, uint64_t number, struct arena *arena,
                               struct slice *text)
{
    struct fetching *job = fetching_new(directory, number);
    fetch(job);
    return end_fetching(job, arena, text);
}
