/* SPDX-License-Identifier: Apache-2.0 */
/* The index is rebuilt from the files while the disk is in use already: what is not known yet is a
 * miss. A file counts if its name, its header and its tail agree; the body's sums are looked at
 * when it is read. Files that are not named like ours are nobody's business. */
#include "cache/disk_inside.h"

#include "base/clock.h"
#include "fiber/file_at.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    FILES_AT_ONCE = 256,
};

/* "0123456789abcdef", with or without ".new". */
static bool read_name(struct slice name, unsigned directory, uint64_t *id, bool *is_new)
{
    *is_new = slice_ends(name, SLICE(".new"));
    if (name.size != (*is_new ? 20 : 16))
        return false;
    *id = 0;
    for (size_t i = 0; i < 16; i++) {
        char c = name.data[i];
        bool is_digit = c >= '0' && c <= '9';
        if (!is_digit && (c < 'a' || c > 'f'))
            return false;
        *id = *id << 4 | (uint64_t)(is_digit ? c - '0' : c - 'a' + 10);
    }
    return *id >> 56 == directory;
}

static bool is_being_written(struct disk *disk, uint64_t id)
{
    pthread_mutex_lock(&disk->mutex);
    bool found = disk_entry_of(disk, id) != NULL;
    LIST_EACH(link, &disk->puts)
    found = found || LIST_ENTRY(link, struct disk_put, link)->id == id;
    pthread_mutex_unlock(&disk->mutex);
    return found;
}

static void remove_stray(struct disk *disk, uint64_t id, bool is_new)
{
    char name[DISK_NAME_MAX];
    const char *why = "";
    disk_path(name, id, is_new);
    enum status status = file_at_remove(disk->directory, name, &why);
    if (status != OK)
        disk_failed(disk, true, status, why);
}

/* Whether it was dropped before it was known. */
static bool was_dropped(struct disk *disk, struct disk_entry *entry)
{
    entry->is_stale = entry->is_stale || disk->dropped_count == DISK_DROPPED_MAX;
    for (size_t i = 0; i < disk->dropped_count; i++) {
        const struct disk_dropped *dropped = &disk->dropped[i];
        if (dropped->hash != entry->hash)
            continue;
        if (!dropped->soft)
            return true;
        entry->is_stale = true;
    }
    return false;
}

/* Of two with one key and variant the later one stays: a process was killed between giving the
 * later its name and removing the other. */
static struct disk_entry *enter_found(struct disk *disk, struct disk_entry *entry)
{
    struct disk_entry *other = disk_entry_next(disk, entry->hash, NULL);
    while (other != NULL && other->item.hash != entry->item.hash)
        other = disk_entry_next(disk, entry->hash, other);
    if (was_dropped(disk, entry) || (other != NULL && other->stored >= entry->stored))
        return entry;
    if (other != NULL)
        disk_take(disk, other);
    if (disk->last_stored < entry->stored)
        disk->last_stored = entry->stored;
    disk_enter(disk, entry);
    evict_insert(&disk->evict, &entry->item, entry->item.hash, entry->item.bytes);
    return other;
}

static struct disk_entry *entry_of_file(struct disk *disk, uint64_t id,
                                        const struct disk_file *file)
{
    struct disk_entry *entry = memory_zero(sizeof *entry);
    int64_t age = clock_wall() - file->changed;
    *entry = (struct disk_entry){.id = id,
                                 .hash = disk_hash(disk, file->tail.key, NULL),
                                 .stored = file->header.stored,
                                 .used = clock_monotonic() - (age > 0 ? age : 0),
                                 .tags = tags_new(file->tail.url, file->tail.tags),
                                 .is_stale = (file->header.flags & DISK_IS_STALE) != 0};
    entry->touched = entry->used;
    entry->item.hash = disk_hash(disk, file->tail.key, &file->tail.variant);
    entry->item.bytes = disk_pages(file->size);
    return entry;
}

/* One that cannot be read stays where it is. */
static void take_in(struct disk *disk, struct slice name)
{
    uint64_t id;
    bool is_new;
    if (!read_name(name, disk->rebuild_directory, &id, &is_new) || is_being_written(disk, id))
        return;
    if (is_new) {
        remove_stray(disk, id, true);
        return;
    }
    struct disk_file file;
    enum disk_form form;
    const char *why = "";
    enum status status = disk_file_open(disk, id, false, &file, &form, &why);
    if (status == ERR_PROTOCOL) {
        remove_stray(disk, id, false);
        if (form == DISK_FORM_TORN)
            disk_damaged(disk, id, "torn");
    }
    if (status != OK && status != ERR_PROTOCOL && status != ERR_UNREACHABLE)
        disk_failed(disk, false, status, why);
    if (status != OK)
        return;
    disk_read_well(disk);
    struct disk_entry *entry = entry_of_file(disk, id, &file);
    disk_file_close(&file);
    pthread_mutex_lock(&disk->mutex);
    struct disk_entry *loser = enter_found(disk, entry);
    pthread_mutex_unlock(&disk->mutex);
    if (loser != NULL && disk_remove_file(disk, loser) != OK)
        return; /* nobody finds it; it is tried again */
}

static bool is_on(struct disk *disk)
{
    pthread_mutex_lock(&disk->mutex);
    bool on = disk->state == DISK_ON;
    pthread_mutex_unlock(&disk->mutex);
    return on;
}

static bool list_next(struct disk *disk)
{
    char name[8];
    const char *why = "";
    (void)snprintf(name, sizeof name, "%02x", disk->rebuild_directory);
    arena_done(&disk->rebuild_arena);
    arena_init(&disk->rebuild_arena, NULL, 0);
    disk->rebuild_at = 0;
    enum status status = file_at_list(disk->directory, name, &disk->rebuild_arena,
                                      &disk->rebuild_names, &disk->rebuild_count, &why);
    if (status == OK)
        return true;
    disk->rebuild_names = NULL;
    disk->rebuild_count = 0;
    if (status == ERR_UNREACHABLE)
        return true;
    disk_failed(disk, false, status, why);
    return false;
}

bool disk_rebuild(struct disk *disk)
{
    unsigned files = 0;
    while (disk->rebuild_directory < DISK_DIRECTORIES) {
        if (disk->rebuild_names == NULL && !list_next(disk))
            return false;
        for (; disk->rebuild_at < disk->rebuild_count; disk->rebuild_at++) {
            if (files++ == FILES_AT_ONCE)
                return true;
            take_in(disk, disk->rebuild_names[disk->rebuild_at]);
            if (!is_on(disk))
                return false;
        }
        disk->rebuild_names = NULL;
        disk->rebuild_directory++;
    }
    arena_done(&disk->rebuild_arena);
    arena_init(&disk->rebuild_arena, NULL, 0);
    pthread_mutex_lock(&disk->mutex);
    disk->counters.is_rebuilt = true;
    free(disk->dropped);
    disk->dropped = NULL;
    disk->dropped_count = 0;
    pthread_mutex_unlock(&disk->mutex);
    return false;
}
