/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/disk_inside.h"

#include "base/check.h"
#include "fiber/file_at.h"

#include <stdlib.h>

enum {
    BUCKETS_AT_ONCE = 1024, /* under one lock */
};

static enum status write_header(struct disk_file *file, const char **why)
{
    uint32_t blocks = file->header.blocks;
    disk_form_write(&file->header, &file->tail, blocks, NULL);
    return file_at_write(file->fd, 0, &file->header, sizeof file->header, why);
}

/* The new tail goes where the old one is not: a process that is killed has one or the other. */
static enum status write_tail(struct disk_file *file, struct slice meta, const char **why)
{
    uint64_t end = DISK_HEADER + file->header.body_size;
    uint64_t old = file->header.tail_offset;
    uint64_t old_size = file->header.tail_size;
    char *bytes;
    file->tail.meta = meta;
    disk_form_write(&file->header, &file->tail, file->header.blocks, &bytes);
    file->header.tail_offset = old - end >= file->header.tail_size ? end : old + old_size;
    file->header.flags &= ~(uint32_t)DISK_IS_STALE;
    enum status status =
        file_at_write(file->fd, file->header.tail_offset, bytes, file->header.tail_size, why);
    if (status == OK)
        status = write_header(file, why);
    free(bytes);
    return status;
}

/* Other meta, or (NULL) the mark that it is stale. */
static enum status change(struct disk *disk, uint64_t id, const struct slice *meta)
{
    struct disk_file file;
    enum disk_form form;
    const char *why = "";
    pthread_mutex_lock(&disk->change);
    enum status status = disk_file_open(disk, id, true, &file, &form, &why);
    if (status == OK && meta != NULL) {
        status = write_tail(&file, *meta, &why);
    } else if (status == OK) {
        file.header.flags |= DISK_IS_STALE;
        status = write_header(&file, &why);
    }
    uint64_t end = file.header.tail_offset + file.header.tail_size;
    disk_file_close(&file);
    pthread_mutex_lock(&disk->mutex);
    struct disk_entry *entry = status == OK ? disk_entry_of(disk, id) : NULL;
    if (entry != NULL && meta != NULL && entry->item.bytes < disk_pages(end))
        evict_resize(&disk->evict, &entry->item, disk_pages(end));
    pthread_mutex_unlock(&disk->mutex);
    pthread_mutex_unlock(&disk->change);
    if (status == ERR_PROTOCOL)
        disk_damaged(disk, id, "torn");
    else if (status == ERR_UNREACHABLE)
        disk_drop(disk, id);
    else if (status != OK)
        disk_failed(disk, true, status, why);
    return status;
}

enum status disk_update(struct disk *disk, uint64_t id, struct slice meta)
{
    if (meta.size > DISK_META_MAX)
        return ERR_LIMIT;
    pthread_mutex_lock(&disk->mutex);
    struct disk_entry *entry = disk->state == DISK_ON ? disk_entry_of(disk, id) : NULL;
    bool is_known = entry != NULL && !entry->is_dead;
    if (is_known)
        entry->is_stale = false;
    pthread_mutex_unlock(&disk->mutex);
    if (!is_known)
        return ERR_UNREACHABLE;
    enum status status = change(disk, id, &meta);
    disk_make_room(disk);
    return status == OK || status == ERR_SYSTEM ? status : ERR_UNREACHABLE;
}

/* What a purge has found and does away with. */
struct found {
    uint64_t *ids;
    size_t count, room;
};

static void add(struct found *found, uint64_t id)
{
    if (found->count == found->room) {
        found->room = found->room == 0 ? 64 : 2 * found->room;
        found->ids = memory_resize(found->ids, found->room * sizeof *found->ids);
    }
    found->ids[found->count++] = id;
}

/* Hides one, or marks it stale; then its file. Either way nobody finds it fresh after this. */
static enum status do_away(struct disk *disk, uint64_t id, bool soft, uint64_t *count,
                           uint64_t *bytes)
{
    pthread_mutex_lock(&disk->mutex);
    struct disk_entry *entry = disk_entry_of(disk, id);
    if (entry != NULL) {
        *count += !entry->is_dead;
        *bytes += entry->is_dead ? 0 : entry->item.bytes;
        if (soft)
            entry->is_stale = true;
        else
            disk_take(disk, entry);
    }
    pthread_mutex_unlock(&disk->mutex);
    if (entry == NULL)
        return OK;
    if (!soft)
        return disk_remove_file(disk, entry);
    enum status status = change(disk, id, NULL);
    return status == ERR_PROTOCOL || status == ERR_UNREACHABLE ? OK : status;
}

static enum status do_away_all(struct disk *disk, struct found *found, bool soft, uint64_t *count,
                               uint64_t *bytes)
{
    enum status status = OK;
    *count = *bytes = 0;
    for (size_t i = 0; i < found->count; i++)
        if (do_away(disk, found->ids[i], soft, count, bytes) != OK)
            status = ERR_SYSTEM;
    free(found->ids);
    return status;
}

/* With the mutex held: who is between name and index gets into the index. */
static void wait_for_commits(struct disk *disk)
{
    while (disk->committing > 0)
        pthread_cond_wait(&disk->is_quiet, &disk->mutex);
}

/* The rebuild is to know of it when it comes to the files of that key. */
static void remember(struct disk *disk, uint64_t hash, bool soft)
{
    if (disk->counters.is_rebuilt || disk->dropped_count == DISK_DROPPED_MAX)
        return;
    if (disk->dropped == NULL)
        disk->dropped = memory_alloc(DISK_DROPPED_MAX * sizeof *disk->dropped);
    disk->dropped[disk->dropped_count++] = (struct disk_dropped){hash, soft};
}

enum status disk_drop_key(struct disk *disk, struct slice key, bool soft, uint64_t *count)
{
    uint64_t hash = disk_hash(disk, key, NULL);
    uint64_t bytes;
    struct found found = {0};
    pthread_mutex_lock(&disk->mutex);
    disk->moment++;
    disk->drops[disk->moment % DISK_DROPS_MAX] = (struct disk_drop){hash, disk->moment};
    bool is_written = false;
    LIST_EACH(link, &disk->puts)
    is_written = is_written || LIST_ENTRY(link, struct disk_put, link)->hash == hash;
    if (is_written)
        wait_for_commits(disk);
    remember(disk, hash, soft);
    for (struct disk_entry *e = disk_entry_next(disk, hash, NULL); e != NULL;
         e = disk_entry_next(disk, hash, e))
        add(&found, e->id);
    pthread_mutex_unlock(&disk->mutex);
    return do_away_all(disk, &found, soft, count, &bytes);
}

enum status disk_purge(struct disk *disk, const struct tags_wanted *wanted, bool soft,
                       uint64_t *count, uint64_t *bytes)
{
    struct found found = {0};
    pthread_mutex_lock(&disk->work);
    while (disk_is_open(disk) && disk_rebuild(disk))
        continue;
    pthread_mutex_lock(&disk->mutex);
    disk->purged_at = ++disk->moment;
    disk->drops[disk->moment % DISK_DROPS_MAX] = (struct disk_drop){0, disk->moment};
    wait_for_commits(disk);
    bool is_complete = disk->counters.is_rebuilt;
    for (uint64_t i = 0; i < disk->buckets; i++) {
        for (struct disk_entry *e = disk->by_id[i]; e != NULL; e = e->next_of_id)
            if (tags_match(e->tags, wanted))
                add(&found, e->id);
        if (i % BUCKETS_AT_ONCE == BUCKETS_AT_ONCE - 1) {
            pthread_mutex_unlock(&disk->mutex);
            pthread_mutex_lock(&disk->mutex);
        }
    }
    pthread_mutex_unlock(&disk->mutex);
    pthread_mutex_unlock(&disk->work);
    enum status status = do_away_all(disk, &found, soft, count, bytes);
    return is_complete ? status : ERR_SYSTEM;
}
