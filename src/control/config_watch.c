/* SPDX-License-Identifier: Apache-2.0 */
#include "control/config_watch.h"

#include "base/hash.h"
#include "fiber/file.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* A file, or a pattern of files. */
struct noted {
    struct noted *next;
    bool is_pattern;
    uint64_t print; /* when the file was changed; which files there were */
    char path[];
};

/* A configuration is read on a thread of its own, and looked after on control's. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct noted *all;

static uint64_t print_of(const char *path, bool is_pattern)
{
    static const struct hash_key KEY = {1, 1};
    uint64_t print = 0;
    struct arena arena;
    if (!is_pattern)
        return (uint64_t)file_changed(path);
    arena_init(&arena, NULL, 0);
    struct slice_list paths = {0};
    file_match(path, &arena, &paths.items, &paths.count);
    for (size_t i = 0; i < paths.count; i++)
        print = print * 31 + hash_text(KEY, paths.items[i]);
    arena_done(&arena);
    return print;
}

static void note(const char *path, bool is_pattern)
{
    size_t size = strlen(path) + 1;
    struct noted *noted = memory_zero(sizeof *noted + size);
    memcpy(noted->path, path, size);
    noted->is_pattern = is_pattern;
    noted->print = print_of(path, is_pattern);
    pthread_mutex_lock(&mutex);
    noted->next = all;
    all = noted;
    pthread_mutex_unlock(&mutex);
}

static const char *environment(const char *name)
{
    return CONFIG_SYSTEM.environment(name);
}

/* Noted first: what changes while it is read has changed. */
static enum status read_noted(const char *path, size_t size_max, struct arena *arena,
                              struct slice *text, const char **why)
{
    note(path, false);
    return CONFIG_SYSTEM.read(path, size_max, arena, text, why);
}

static void match_noted(const char *pattern, struct arena *arena, struct slice_list *paths)
{
    note(pattern, true);
    CONFIG_SYSTEM.match(pattern, arena, paths);
}

const struct config_source CONFIG_WATCHED = {
    .environment = environment,
    .read = read_noted,
    .match = match_noted,
};

void config_watch_begin(void)
{
    pthread_mutex_lock(&mutex);
    while (all != NULL) {
        struct noted *noted = all;
        all = noted->next;
        free(noted);
    }
    pthread_mutex_unlock(&mutex);
}

bool config_watch_has_changed(void)
{
    bool has_changed = false;
    pthread_mutex_lock(&mutex);
    for (const struct noted *noted = all; noted != NULL && !has_changed; noted = noted->next)
        has_changed = print_of(noted->path, noted->is_pattern) != noted->print;
    pthread_mutex_unlock(&mutex);
    return has_changed;
}
