/* SPDX-License-Identifier: Apache-2.0 */
/* The index of what lies on the disk, in memory: about 200 bytes an object, each of which is
 * charged with a page of the disk at least, so its size is bounded by that of the cache. It knows
 * hashes under a secret key alone; the keys are in the files. */
#include "cache/disk_inside.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "fiber/file_at.h"

#include <stdio.h>
#include <stdlib.h>

uint64_t disk_hash(const struct disk *disk, struct slice key, const struct slice *variant)
{
    uint64_t hash = hash_text(disk->hash_key, key);
    if (variant == NULL)
        return hash;
    struct hash_key second = {disk->hash_key.first ^ hash, ~disk->hash_key.second};
    return hash_text(second, *variant);
}

uint64_t disk_pages(uint64_t bytes)
{
    return (bytes + DISK_PAGE - 1) / DISK_PAGE * DISK_PAGE;
}

void disk_path(char name[DISK_NAME_MAX], uint64_t id, bool is_new)
{
    (void)snprintf(name, DISK_NAME_MAX, "%02x/%016llx%s", (unsigned)(id >> 56),
                   (unsigned long long)id, is_new ? ".new" : "");
}

struct disk_entry *disk_entry_of(const struct disk *disk, uint64_t id)
{
    struct disk_entry *entry = disk->by_id[id & (disk->buckets - 1)];
    while (entry != NULL && entry->id != id)
        entry = entry->next_of_id;
    return entry;
}

struct disk_entry *disk_entry_next(const struct disk *disk, uint64_t hash,
                                   const struct disk_entry *entry)
{
    struct disk_entry *next =
        entry == NULL ? disk->by_key[hash & (disk->buckets - 1)] : entry->next_of_key;
    while (next != NULL && (next->hash != hash || next->is_dead))
        next = next->next_of_key;
    return next;
}

void disk_enter(struct disk *disk, struct disk_entry *entry)
{
    struct disk_entry **key = &disk->by_key[entry->hash & (disk->buckets - 1)];
    struct disk_entry **id = &disk->by_id[entry->id & (disk->buckets - 1)];
    entry->next_of_key = *key;
    entry->next_of_id = *id;
    *key = *id = entry;
    disk->counters.objects++;
}

void disk_take(struct disk *disk, struct disk_entry *entry)
{
    struct disk_entry **key = &disk->by_key[entry->hash & (disk->buckets - 1)];
    struct disk_entry **id = &disk->by_id[entry->id & (disk->buckets - 1)];
    while (*key != entry)
        key = &(*key)->next_of_key;
    *key = entry->next_of_key;
    while (*id != entry)
        id = &(*id)->next_of_id;
    *id = entry->next_of_id;
    evict_remove(&disk->evict, &entry->item);
    disk->counters.objects--;
    if (entry->is_dead)
        disk->dead--;
}

/* One whose file stays for now keeps its bytes and its id, so that nobody finds it, the rebuild
 * knows it, and disk_work() tries again. */
static void bury(struct disk *disk, struct disk_entry *entry)
{
    pthread_mutex_lock(&disk->mutex);
    entry->is_dead = true;
    disk->dead++;
    disk_enter(disk, entry);
    evict_insert(&disk->evict, &entry->item, entry->item.hash, entry->item.bytes);
    pthread_mutex_unlock(&disk->mutex);
}

enum status disk_remove_file(struct disk *disk, struct disk_entry *entry)
{
    char name[DISK_NAME_MAX];
    const char *why = "";
    disk_path(name, entry->id, false);
    enum status status = file_at_remove(disk->directory, name, &why);
    if (status != OK) {
        bury(disk, entry);
        disk_failed(disk, true, status, why);
        return status;
    }
    free(entry->tags);
    free(entry);
    return OK;
}

void disk_make_room(struct disk *disk)
{
    for (;;) {
        pthread_mutex_lock(&disk->mutex);
        struct evict_item *item = disk->state == DISK_ON || disk->state == DISK_OFF
                                      ? evict_over(&disk->evict, disk->filling)
                                      : NULL;
        struct disk_entry *entry = NULL;
        if (item != NULL) {
            entry = LIST_ENTRY(item, struct disk_entry, item);
            disk->counters.evicted += !entry->is_dead;
            disk_take(disk, entry);
        }
        pthread_mutex_unlock(&disk->mutex);
        if (entry == NULL || disk_remove_file(disk, entry) != OK)
            return;
    }
}

enum {
    RETRY_SECONDS = 10,
    RETRY_SECONDS_MAX = 300,
    READ_ERRORS_MAX = 8,
};

void disk_failed(struct disk *disk, bool was_writing, enum status status, const char *why)
{
    int64_t now = clock_monotonic();
    pthread_mutex_lock(&disk->mutex);
    disk->counters.failures++;
    bool stops_reading = !was_writing && __atomic_add_fetch(&disk->read_errors, 1,
                                                            __ATOMIC_RELAXED) >= READ_ERRORS_MAX;
    bool turns_off = disk->state == DISK_ON && (was_writing || stops_reading);
    if (turns_off) {
        bool again = disk->failed_at != 0 && now - disk->failed_at < SECONDS(RETRY_SECONDS_MAX);
        disk->retry_after = again ? disk->retry_after * 2 : SECONDS(RETRY_SECONDS);
        if (disk->retry_after > SECONDS(RETRY_SECONDS_MAX))
            disk->retry_after = SECONDS(RETRY_SECONDS_MAX);
        disk->state = DISK_OFF;
        disk->is_unreadable = stops_reading;
        disk->failed_at = now;
        disk->retry_at = now + disk->retry_after;
    }
    int64_t seconds = disk->retry_after / SECONDS(1);
    pthread_mutex_unlock(&disk->mutex);
    if (turns_off)
        log_write(LOG_ERROR, "cache_disk_off",
                  "cache %s: %s: %s (%s); %s memory alone is used, next try in %lld s", disk->name,
                  disk->dir, why, status_name(status),
                  stops_reading ? "until it can be read" : "until it can be written",
                  (long long)seconds);
}

void disk_read_well(struct disk *disk)
{
    __atomic_store_n(&disk->read_errors, 0, __ATOMIC_RELAXED);
}

void disk_drop(struct disk *disk, uint64_t id)
{
    pthread_mutex_lock(&disk->mutex);
    struct disk_entry *entry = disk_entry_of(disk, id);
    if (entry != NULL && !entry->is_dead)
        disk_take(disk, entry);
    else
        entry = NULL;
    pthread_mutex_unlock(&disk->mutex);
    if (entry != NULL && disk_remove_file(disk, entry) != OK)
        return; /* nobody finds it any more; it is tried again */
}

void disk_damaged(struct disk *disk, uint64_t id, const char *what)
{
    pthread_mutex_lock(&disk->mutex);
    disk->counters.damaged++;
    pthread_mutex_unlock(&disk->mutex);
    log_write(LOG_WARN, "cache_disk_damaged", "cache %s: %s/%02x/%016llx is %s; it is dropped",
              disk->name, disk->dir, (unsigned)(id >> 56), (unsigned long long)id, what);
    disk_drop(disk, id);
}

bool disk_may_get(const struct disk *disk, struct slice key)
{
    struct disk *d = (struct disk *)(uintptr_t)disk;
    uint64_t hash = disk_hash(disk, key, NULL);
    pthread_mutex_lock(&d->mutex);
    bool may = !d->counters.is_rebuilt || disk_entry_next(d, hash, NULL) != NULL;
    LIST_EACH(link, &d->puts)
    {
        may = may || LIST_ENTRY(link, struct disk_put, link)->hash == hash;
    }
    pthread_mutex_unlock(&d->mutex);
    return may;
}

bool disk_may_have(const struct disk *disk, struct slice key)
{
    struct disk *d = (struct disk *)(uintptr_t)disk;
    uint64_t hash = disk_hash(disk, key, NULL);
    pthread_mutex_lock(&d->mutex);
    bool has = !d->is_unreadable && (d->state == DISK_ON || d->state == DISK_OFF) &&
               disk_entry_next(d, hash, NULL) != NULL;
    pthread_mutex_unlock(&d->mutex);
    return has;
}
