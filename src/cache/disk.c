/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a cache's directory: opened and locked, its index rebuilt piece by piece, swept; off
 * when the file system fails, and on again. */
#include "cache/disk_inside.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "fiber/file_at.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    BUCKETS_MIN = 1024,
    BUCKETS_MAX = 1 << 20,
    BYTES_USUAL = 16 * 1024,
    SWEEP_SHARE = 64, /* of the index in a call: all of it about once a minute */
    EXPIRE_MAX = 256, /* files removed in a call */
    DEAD_MAX = 64,
};
static const char LOCK_NAME[] = "lock";
static const char PROBE_NAME[] = "probe.new";

struct disk *disk_new(const struct disk_settings *settings)
{
    struct disk *disk = memory_zero(sizeof *disk);
    check(strlen(settings->dir) < sizeof disk->dir);
    (void)snprintf(disk->name, sizeof disk->name, "%s", settings->name);
    (void)snprintf(disk->dir, sizeof disk->dir, "%s", settings->dir);
    disk->settings = *settings;
    disk->settings.name = disk->name;
    disk->settings.dir = disk->dir;
    random_bytes(&disk->hash_key, sizeof disk->hash_key);
    pthread_mutex_init(&disk->mutex, NULL);
    pthread_mutex_init(&disk->work, NULL);
    pthread_mutex_init(&disk->change, NULL);
    pthread_cond_init(&disk->is_quiet, NULL);
    disk->directory = disk->lock = -1;
    disk->buckets = BUCKETS_MIN;
    while (disk->buckets < BUCKETS_MAX && disk->buckets < settings->bytes_max / BYTES_USUAL)
        disk->buckets *= 2;
    disk->by_key = memory_zero(disk->buckets * sizeof *disk->by_key);
    disk->by_id = memory_zero(disk->buckets * sizeof *disk->by_id);
    evict_init(&disk->evict, settings->bytes_max, BYTES_USUAL);
    list_init(&disk->puts);
    arena_init(&disk->rebuild_arena, NULL, 0);
    return disk;
}

void disk_set(struct disk *disk, const struct disk_settings *settings)
{
    pthread_mutex_lock(&disk->mutex);
    disk->settings.bytes_max = disk->evict.bytes_max = settings->bytes_max;
    disk->settings.object_max = settings->object_max;
    disk->settings.inactive = settings->inactive;
    pthread_mutex_unlock(&disk->mutex);
}

void disk_leave(struct disk *disk)
{
    pthread_mutex_lock(&disk->work);
    pthread_mutex_lock(&disk->mutex);
    disk->state = DISK_LEFT;
    /* Who is between the file's name and the index must be through before another process may
     * believe that nobody else names files here. */
    while (disk->committing > 0)
        pthread_cond_wait(&disk->is_quiet, &disk->mutex);
    int lock = disk->lock;
    disk->lock = -1;
    pthread_mutex_unlock(&disk->mutex);
    if (lock >= 0)
        file_at_close(lock);
    pthread_mutex_unlock(&disk->work);
}

void disk_free(struct disk *disk)
{
    disk_leave(disk);
    check(list_is_empty(&disk->puts));
    for (uint64_t i = 0; i < disk->buckets; i++) {
        for (struct disk_entry *entry = disk->by_id[i], *next; entry != NULL; entry = next) {
            next = entry->next_of_id;
            free(entry->tags);
            free(entry);
        }
    }
    if (disk->directory >= 0)
        file_at_close(disk->directory);
    evict_done(&disk->evict);
    arena_done(&disk->rebuild_arena);
    pthread_mutex_destroy(&disk->mutex);
    pthread_mutex_destroy(&disk->work);
    pthread_mutex_destroy(&disk->change);
    pthread_cond_destroy(&disk->is_quiet);
    free(disk->dropped);
    free(disk->by_key);
    free(disk->by_id);
    free(disk);
}

bool disk_is_open(const struct disk *disk)
{
    struct disk *d = (struct disk *)(uintptr_t)disk;
    pthread_mutex_lock(&d->mutex);
    bool is_open = d->is_open && d->state != DISK_LEFT;
    pthread_mutex_unlock(&d->mutex);
    return is_open;
}

void disk_count(const struct disk *disk, struct disk_counters *counters)
{
    struct disk *d = (struct disk *)(uintptr_t)disk;
    pthread_mutex_lock(&d->mutex);
    *counters = d->counters;
    counters->objects -= d->dead;
    counters->bytes = evict_bytes(&d->evict) + d->filling;
    counters->bytes_max = d->settings.bytes_max;
    counters->is_on = d->state == DISK_ON;
    pthread_mutex_unlock(&d->mutex);
}

/* Opens the directory, or opens it anew: what stood under that path may have been replaced. */
static enum status open_directory(struct disk *disk, const char **why)
{
    int directory = -1;
    int lock = -1;
    TRY(file_at_directory(disk->dir, &directory, why));
    enum status status = OK;
    if (disk->lock < 0)
        status = file_at_lock(directory, LOCK_NAME, &lock, why);
    if (status != OK) {
        file_at_close(directory);
        return status;
    }
    /* Threads that use the old one meanwhile see one or the other, never a closed one. */
    if (disk->directory >= 0)
        file_at_replace(directory, disk->directory);
    pthread_mutex_lock(&disk->mutex);
    if (disk->directory < 0)
        disk->directory = directory;
    if (disk->lock < 0)
        disk->lock = lock;
    disk->is_open = true;
    pthread_mutex_unlock(&disk->mutex);
    return OK;
}

/* Whether a file can be written there. */
static enum status probe(struct disk *disk, const char **why)
{
    static const char PAGE[DISK_PAGE] = "probe";
    int fd = -1;
    TRY(open_directory(disk, why));
    TRY(file_at_remove(disk->directory, PROBE_NAME, why));
    TRY(file_at_create(disk->directory, PROBE_NAME, &fd, why));
    enum status status = file_at_write(fd, 0, PAGE, sizeof PAGE, why);
    file_at_close(fd);
    enum status removed = file_at_remove(disk->directory, PROBE_NAME, why);
    return status != OK ? status : removed;
}

/* Opens what is not open, tries what is off. False: not now. */
static bool turn_on(struct disk *disk)
{
    pthread_mutex_lock(&disk->mutex);
    enum disk_state state = disk->state;
    bool is_due = clock_monotonic() >= disk->retry_at;
    pthread_mutex_unlock(&disk->mutex);
    if (state == DISK_ON || state == DISK_LEFT || !is_due)
        return state == DISK_ON;
    const char *why = "";
    enum status status = probe(disk, &why);
    if (status == ERR_REFUSED && state == DISK_NEW) {
        /* Before an upgrade's other half has let go of it: asked for again in a second. */
        if (!disk->has_waited)
            log_write(LOG_INFO, "cache_disk_waits", "cache %s: %s: %s", disk->name, disk->dir, why);
        disk->has_waited = true;
        return false;
    }
    pthread_mutex_lock(&disk->mutex);
    bool was_told = disk->failed_at != 0;
    if (status == OK) {
        disk->state = DISK_ON;
        disk->is_unreadable = false;
        __atomic_store_n(&disk->read_errors, 0, __ATOMIC_RELAXED);
    } else if (state == DISK_NEW) {
        disk->state = DISK_ON; /* until disk_failed() turns it off, and says so */
    } else {
        disk->retry_after =
            disk->retry_after * 2 > SECONDS(300) ? SECONDS(300) : disk->retry_after * 2;
        disk->retry_at = clock_monotonic() + disk->retry_after;
    }
    pthread_mutex_unlock(&disk->mutex);
    if (status == OK && was_told)
        log_write(LOG_INFO, "cache_disk_on", "cache %s: %s is used again", disk->name, disk->dir);
    if (status != OK && state == DISK_NEW)
        disk_failed(disk, true, status, why);
    return status == OK;
}

/* What was not read for long goes; so do files that could not be removed before. */
static void sweep(struct disk *disk)
{
    int64_t now = clock_monotonic();
    for (unsigned removed = 0, looked = 0;
         removed < EXPIRE_MAX && looked < disk->buckets / SWEEP_SHARE;) {
        pthread_mutex_lock(&disk->mutex);
        int64_t inactive = disk->settings.inactive;
        struct disk_entry *entry = disk->by_id[disk->sweep];
        while (entry != NULL && (entry->is_dead || inactive == 0 || now - entry->used < inactive))
            entry = entry->next_of_id;
        if (entry == NULL) {
            disk->sweep = (disk->sweep + 1) & (disk->buckets - 1);
            looked++;
        } else {
            disk->counters.expired++;
            disk_take(disk, entry);
            removed++;
        }
        pthread_mutex_unlock(&disk->mutex);
        if (entry != NULL && disk_remove_file(disk, entry) != OK)
            return;
    }
}

static void bury_again(struct disk *disk)
{
    for (unsigned i = 0; i < DEAD_MAX; i++) {
        pthread_mutex_lock(&disk->mutex);
        struct disk_entry *entry = NULL;
        for (uint64_t b = 0; disk->dead > 0 && entry == NULL && b < disk->buckets; b++)
            for (entry = disk->by_id[b]; entry != NULL && !entry->is_dead;)
                entry = entry->next_of_id;
        if (entry != NULL)
            disk_take(disk, entry);
        pthread_mutex_unlock(&disk->mutex);
        if (entry == NULL || disk_remove_file(disk, entry) != OK)
            return;
    }
}

bool disk_work(struct disk *disk)
{
    pthread_mutex_lock(&disk->work);
    bool more = false;
    if (turn_on(disk)) {
        more = disk_rebuild(disk);
        sweep(disk);
        bury_again(disk);
        disk_make_room(disk);
    }
    pthread_mutex_unlock(&disk->work);
    return more;
}
