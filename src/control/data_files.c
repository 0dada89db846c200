/* SPDX-License-Identifier: Apache-2.0 */
#include "control/data_files.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/log.h"
#include "fiber/fiber.h"
#include "fiber/file.h"
#include "fiber/loop.h"
#include "fiber/offload.h"
#include "fiber/thread.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LOOK_S = 1,
    READ_S = 60,       /* how long one file may take */
    RETIRED_S = 10,    /* after which nobody looks at what was replaced: no turn lasts that long */
    SETTLED_MS = 2000, /* a file that changed just now may change again within its time stamp */
    WHY_SIZE = 256,
};

struct known_file {
    struct data_file file;
    struct list link;
    char *path;
    unsigned references;
    int64_t changed; /* when, as it was read last … */
    uint64_t digest; /* … and of what was read */
    bool was_refused;
    void *retired; /* what it said before; NULL: nobody can look at it any more */
    int64_t retired_since;
};

/* A configuration may be tried on a thread of its own while the files are looked after. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct list all = {&all, &all};
static struct fiber_scope scope;
static bool is_watching;

/* One look into a file. */
struct reading {
    struct known_file *known; /* with a reference of its own; NULL: it is not known yet */
    int64_t changed;
    uint64_t digest; /* of what it said before, and then of what it says; 0: of nothing */
    bool is_same;    /* it says what it said before */
    void *parsed;    /* NULL otherwise: `why` */
    char why[WHY_SIZE];
};

static void read_file(const struct data_file_kind *kind, const char *path, struct reading *reading)
{
    struct arena arena;
    arena_init(&arena, NULL, 0);
    struct slice text;
    const char *reason = "";
    if (file_read(path, kind->size_max, &arena, &text, &reason) == OK) {
        uint64_t digest = hash_text((struct hash_key){1, 1}, text) | 1;
        reading->is_same = digest == reading->digest;
        reading->digest = digest;
        if (!reading->is_same)
            reading->parsed = kind->parse(text, reading->why, WHY_SIZE);
    } else {
        (void)snprintf(reading->why, WHY_SIZE, "%s", reason);
    }
    arena_done(&arena);
}

static struct known_file *find(const struct data_file_kind *kind, const char *path)
{
    LIST_EACH(link, &all)
    {
        struct known_file *known = LIST_ENTRY(link, struct known_file, link);
        if (known->file.kind == kind && strcmp(known->path, path) == 0)
            return known;
    }
    return NULL;
}

/* Puts what was read in the place of what stands there. With the mutex. */
static void replace(struct known_file *known, const struct reading *reading)
{
    if (known->retired != NULL) /* replaced twice in a short time: looked at by nobody since */
        known->file.kind->release(known->retired);
    known->retired = (void *)(uintptr_t)known->file.parsed;
    known->retired_since = clock_monotonic();
    known->changed = reading->changed;
    known->digest = reading->digest;
    known->was_refused = false;
    __atomic_store_n(&known->file.parsed, reading->parsed, __ATOMIC_RELEASE);
}

/* The file as it is known, with one more reference, unless it has to be read; with the mutex. */
static struct known_file *take_fresh(const struct data_file_kind *kind, const char *path,
                                     int64_t changed)
{
    struct known_file *known = find(kind, path);
    if (known == NULL || changed == 0 || known->changed != changed)
        return NULL;
    known->references++;
    return known;
}

struct data_file *data_file_open(const struct data_file_kind *kind, const char *path,
                                 struct arena *arena, struct slice *why)
{
    struct reading reading = {.changed = file_changed(path)};
    pthread_mutex_lock(&mutex);
    struct known_file *known = take_fresh(kind, path, reading.changed);
    pthread_mutex_unlock(&mutex);
    if (known != NULL)
        return &known->file;
    read_file(kind, path, &reading);
    if (reading.parsed == NULL) {
        *why = arena_format(arena, "%s", reading.why);
        return NULL;
    }
    pthread_mutex_lock(&mutex);
    known = find(kind, path);
    if (known == NULL) {
        known = memory_zero(sizeof *known);
        known->file = (struct data_file){kind, reading.parsed};
        known->path = strdup(path);
        known->changed = reading.changed;
        known->digest = reading.digest;
        list_append(&all, &known->link);
    } else {
        replace(known, &reading);
    }
    known->references++;
    pthread_mutex_unlock(&mutex);
    return &known->file;
}

static void release(struct known_file *known)
{
    if (known->retired != NULL)
        known->file.kind->release(known->retired);
    known->file.kind->release((void *)(uintptr_t)known->file.parsed);
    free(known->path);
    free(known);
}

void data_file_leave(void *file)
{
    struct known_file *known = LIST_ENTRY(file, struct known_file, file);
    pthread_mutex_lock(&mutex);
    bool is_last = --known->references == 0;
    if (is_last)
        list_remove(&known->link);
    pthread_mutex_unlock(&mutex);
    if (is_last)
        release(known);
}

static void run_reading(void *job)
{
    struct reading *reading = job;
    read_file(reading->known->file.kind, reading->known->path, reading);
}

static void free_reading(void *job)
{
    struct reading *reading = job;
    if (reading->parsed != NULL)
        reading->known->file.kind->release(reading->parsed);
    data_file_leave(&reading->known->file);
    free(reading);
}

/* What was read takes its place, unless it is wrong or says the same. */
static void consider(struct known_file *known, struct reading *reading)
{
    const struct data_file_kind *kind = known->file.kind;
    bool is_read = reading->parsed != NULL;
    pthread_mutex_lock(&mutex);
    bool was_refused = known->was_refused;
    if (is_read)
        replace(known, reading);
    known->changed = reading->changed;
    known->was_refused = !is_read && !reading->is_same;
    reading->parsed = NULL;
    pthread_mutex_unlock(&mutex);
    if (is_read)
        log_write(LOG_INFO, "file_replaced", "the %s %s was read again", kind->what, known->path);
    else if (!was_refused && !reading->is_same)
        log_write(LOG_ERROR, "file_refused", "the %s %s stays as it was: %s", kind->what,
                  known->path, reading->why);
}

static void read_again(struct known_file *known, int64_t changed)
{
    struct reading *reading = memory_zero(sizeof *reading);
    reading->known = known;
    reading->changed = changed;
    reading->digest = known->digest;
    if (offload(run_reading, reading, free_reading, loop_now() + SECONDS(READ_S)) != OK)
        return; /* the next look tries again */
    consider(known, reading);
    free_reading(reading);
}

/* The next from number *at on that may not be what it was when it was read last, with a reference;
 * NULL: none. Frees what was replaced long ago. */
static struct known_file *find_changed(size_t *at, int64_t *changed)
{
    struct known_file *found = NULL;
    size_t number = 0;
    int64_t now = clock_monotonic();
    pthread_mutex_lock(&mutex);
    LIST_EACH(link, &all)
    {
        struct known_file *known = LIST_ENTRY(link, struct known_file, link);
        if (number++ < *at)
            continue;
        if (known->retired != NULL && now - known->retired_since > SECONDS(RETIRED_S)) {
            known->file.kind->release(known->retired);
            known->retired = NULL;
        }
        *changed = file_changed(known->path);
        bool is_settled = clock_wall() - *changed > MILLISECONDS(SETTLED_MS);
        if (*changed == known->changed && is_settled)
            continue;
        known->references++;
        found = known;
        break;
    }
    *at = number;
    pthread_mutex_unlock(&mutex);
    return found;
}

void data_files_look(void)
{
    size_t at = 0;
    int64_t changed;
    for (struct known_file *known = find_changed(&at, &changed); known != NULL;
         known = find_changed(&at, &changed))
        read_again(known, changed);
}

static void watch(void *unused)
{
    (void)unused;
    while (fiber_sleep(loop_now() + SECONDS(LOOK_S)) == OK)
        data_files_look();
}

enum status data_files_watch(void)
{
    fiber_scope_init(&scope);
    TRY(fiber_start(&scope, "data_files", watch, NULL, NULL));
    is_watching = true;
    return OK;
}

void data_files_unwatch(void)
{
    if (is_watching)
        fiber_scope_cancel_soon(&scope);
    while (is_watching && scope.count > 0) /* it may hold a file that is being read */
        loop_turn(loop_now() + MILLISECONDS(10));
    is_watching = false;
}
