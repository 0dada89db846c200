/* SPDX-License-Identifier: Apache-2.0 */
/* Writing an object: its body block by block into a file with a name of its own, then tail and
 * header, then the name by which it counts. Nothing is synced: a machine that loses power may lose
 * what was stored last, and what it tore does not match its sums. */
#include "cache/disk_inside.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/random.h"
#include "fiber/file_at.h"

#include <stdlib.h>

/* Where the bytes of a block stand in memory: behind room for the header, so that a small object is
 * one write. */
static char *block_of(const struct disk_put *put)
{
    return put->block + DISK_HEADER;
}

static void free_put(struct disk_put *put)
{
    if (put->fd >= 0)
        file_at_close(put->fd);
    pthread_mutex_destroy(&put->mutex);
    free(put->key);
    free(put->block);
    free(put->sums);
    free(put);
}

void disk_put_hold(struct disk_put *put)
{
    pthread_mutex_lock(&put->mutex);
    put->holds++;
    pthread_mutex_unlock(&put->mutex);
}

void disk_put_release(struct disk_put *put)
{
    pthread_mutex_lock(&put->mutex);
    bool is_last = --put->holds == 0;
    pthread_mutex_unlock(&put->mutex);
    if (is_last)
        free_put(put);
}

static enum status create(struct disk *disk, struct disk_put *put, const char **why)
{
    char name[DISK_NAME_MAX];
    disk_path(name, put->id, true);
    enum status status = file_at_create(disk->directory, name, &put->fd, why);
    if (status != ERR_UNREACHABLE)
        return status;
    char directory[3] = {name[0], name[1], '\0'};
    TRY(file_at_make(disk->directory, directory, why));
    return file_at_create(disk->directory, name, &put->fd, why);
}

/* Enters it among those that are being written. */
static enum status admit(struct disk *disk, struct disk_put *put, uint64_t expected)
{
    enum status status = OK;
    pthread_mutex_lock(&disk->mutex);
    if (disk->state != DISK_ON || !disk->is_open)
        status = ERR_DENIED;
    else if (expected > disk->settings.object_max || disk->puts_count >= DISK_PUTS_MAX ||
             disk_pages(expected) + disk->filling > disk->settings.bytes_max)
        status = ERR_LIMIT;
    if (status == OK) {
        list_append(&disk->puts, &put->link);
        disk->puts_count++;
        put->since = disk->moment;
    }
    pthread_mutex_unlock(&disk->mutex);
    return status;
}

/* Leaves those that are being written; with the mutex held. */
static void leave(struct disk *disk, struct disk_put *put)
{
    list_remove(&put->link);
    disk->puts_count--;
    disk->filling -= put->charged;
    put->charged = 0;
}

enum status disk_put_begin(struct disk *disk, struct slice key, struct slice variant,
                           uint64_t expected, struct disk_put **put)
{
    if (key.size + variant.size > DISK_KEY_MAX)
        return ERR_LIMIT;
    struct disk_put *p = memory_zero(sizeof *p);
    random_bytes(&p->id, sizeof p->id);
    p->fd = -1;
    p->holds = 1;
    p->hash = disk_hash(disk, key, NULL);
    p->key = memory_alloc(key.size + variant.size + 1);
    p->key_size = key.size;
    p->variant_size = variant.size;
    if (key.size > 0)
        memcpy(p->key, key.data, key.size);
    if (variant.size > 0)
        memcpy(p->key + key.size, variant.data, variant.size);
    pthread_mutex_init(&p->mutex, NULL);
    list_init(&p->link);
    enum status status = admit(disk, p, expected);
    if (status != OK) {
        free_put(p);
        return status;
    }
    p->disk = disk;
    const char *why = "";
    status = create(disk, p, &why);
    if (status != OK) {
        disk_failed(disk, true, status, why);
        disk_put_abort(p);
        return ERR_SYSTEM;
    }
    p->block_room = expected > 0 && expected < DISK_BLOCK ? (size_t)expected : DISK_BLOCK;
    p->block = memory_alloc(DISK_HEADER + p->block_room);
    *put = p;
    return OK;
}

uint64_t disk_moment(const struct disk *disk)
{
    struct disk *d = (struct disk *)(uintptr_t)disk;
    pthread_mutex_lock(&d->mutex);
    uint64_t moment = d->moment;
    pthread_mutex_unlock(&d->mutex);
    return moment;
}

void disk_put_since(struct disk_put *put, uint64_t moment)
{
    check(moment <= put->since);
    put->since = moment;
}

/* Room on the disk for so many bytes of it. */
static bool charge(struct disk_put *put, uint64_t bytes)
{
    struct disk *disk = put->disk;
    uint64_t charged = disk_pages(DISK_HEADER + bytes);
    pthread_mutex_lock(&disk->mutex);
    bool fits = bytes <= disk->settings.object_max &&
                disk->filling - put->charged + charged <= disk->settings.bytes_max;
    if (fits) {
        disk->filling += charged - put->charged;
        put->charged = charged;
    }
    pthread_mutex_unlock(&disk->mutex);
    if (fits)
        disk_make_room(disk);
    return fits;
}

/* The last block is full, or all there will be: its sum, and with `writes` its bytes. */
static enum status end_block(struct disk_put *put, bool writes)
{
    uint64_t block = (put->size - 1) / DISK_BLOCK;
    size_t size = (size_t)(put->size - block * DISK_BLOCK);
    if (block == put->sums_room) {
        put->sums_room = put->sums_room == 0 ? 1 : 2 * put->sums_room;
        put->sums = memory_resize(put->sums, put->sums_room * sizeof *put->sums);
    }
    put->sums[block] = disk_block_sum(put->id, block, block_of(put), size);
    const char *why = "";
    enum status status = OK;
    if (writes)
        status =
            file_at_write(put->fd, DISK_HEADER + block * DISK_BLOCK, block_of(put), size, &why);
    if (status != OK)
        disk_failed(put->disk, true, status, why);
    return status == OK ? OK : ERR_SYSTEM;
}

/* How much of the block in memory is taken: a block that is full stays until more comes, for those
 * who follow. */
static size_t taken(const struct disk_put *put)
{
    size_t rest = (size_t)(put->size % DISK_BLOCK);
    return rest == 0 && put->size > 0 ? DISK_BLOCK : rest;
}

static enum status append_some(struct disk_put *put, struct slice *bytes)
{
    if (taken(put) == DISK_BLOCK) {
        TRY(end_block(put, true));
        if (put->block_room < DISK_BLOCK) {
            put->block_room = DISK_BLOCK;
            put->block = memory_resize(put->block, DISK_HEADER + DISK_BLOCK);
        }
    }
    size_t at = (size_t)(put->size % DISK_BLOCK);
    size_t some = bytes->size < DISK_BLOCK - at ? bytes->size : DISK_BLOCK - at;
    if (at + some > put->block_room) {
        put->block_room = DISK_BLOCK;
        put->block = memory_resize(put->block, DISK_HEADER + DISK_BLOCK);
    }
    memcpy(block_of(put) + at, bytes->data, some);
    put->size += some;
    *bytes = slice_from(*bytes, some);
    return OK;
}

enum status disk_put_append(struct disk_put *put, struct slice bytes)
{
    check(!put->is_ended);
    while (put->failed == OK && bytes.size > 0) {
        uint64_t blocks = (put->size + DISK_BLOCK) / DISK_BLOCK;
        uint64_t size = put->size + bytes.size;
        uint64_t soon = size < blocks * DISK_BLOCK ? size : blocks * DISK_BLOCK;
        enum status status = charge(put, soon) ? OK : ERR_LIMIT;
        pthread_mutex_lock(&put->mutex);
        if (status == OK)
            status = append_some(put, &bytes);
        put->failed = status;
        pthread_mutex_unlock(&put->mutex);
    }
    return put->failed;
}

uint64_t disk_put_size(const struct disk_put *put)
{
    struct disk_put *p = (struct disk_put *)(uintptr_t)put;
    pthread_mutex_lock(&p->mutex);
    uint64_t size = p->size;
    pthread_mutex_unlock(&p->mutex);
    return size;
}

enum status disk_put_read(struct disk_put *put, uint64_t offset, void *into, size_t size,
                          struct slice *bytes)
{
    uint64_t block = offset / DISK_BLOCK;
    size_t skip = (size_t)(offset % DISK_BLOCK);
    uint32_t sum = 0;
    size_t in_memory = 0;
    check(size >= DISK_BLOCK);
    pthread_mutex_lock(&put->mutex);
    check(offset < put->size);
    if (block == (put->size - 1) / DISK_BLOCK) {
        in_memory = taken(put);
        memcpy(into, block_of(put), in_memory);
    } else {
        sum = put->sums[block];
    }
    pthread_mutex_unlock(&put->mutex);
    size_t got = in_memory;
    const char *why = "";
    if (in_memory == 0) {
        enum status status =
            file_at_read(put->fd, DISK_HEADER + block * DISK_BLOCK, into, DISK_BLOCK, &got, &why);
        if (status != OK) {
            disk_failed(put->disk, false, status, why);
            return ERR_SYSTEM;
        }
        if (got < DISK_BLOCK || disk_block_sum(put->id, block, into, DISK_BLOCK) != sum)
            return ERR_SYSTEM;
    }
    *bytes = slice_of((const char *)into + skip, got - skip);
    return OK;
}

/* Header, what of the body is in memory, and the tail. */
static enum status write_rest(struct disk_put *put, const struct disk_tail *tail,
                              struct disk_header *header, const char **why)
{
    uint32_t blocks = (uint32_t)((put->size + DISK_BLOCK - 1) / DISK_BLOCK);
    char *bytes;
    *header = (struct disk_header){.id = put->id,
                                   .stored = header->stored,
                                   .body_size = put->size,
                                   .tail_offset = DISK_HEADER + put->size};
    disk_form_write(header, tail, blocks, &bytes);
    enum status status = OK;
    size_t last = blocks == 0 ? 0 : taken(put);
    if (blocks <= 1) {
        size_t size = DISK_HEADER + last + header->tail_size;
        char *all = memory_alloc(size);
        memcpy(all, header, DISK_HEADER);
        if (last > 0)
            memcpy(all + DISK_HEADER, block_of(put), last);
        memcpy(all + DISK_HEADER + last, bytes, header->tail_size);
        status = file_at_write(put->fd, 0, all, size, why);
        free(all);
    } else {
        uint64_t at = DISK_HEADER + (uint64_t)(blocks - 1) * DISK_BLOCK;
        status = file_at_write(put->fd, at, block_of(put), last, why);
        if (status == OK)
            status = file_at_write(put->fd, header->tail_offset, bytes, header->tail_size, why);
        if (status == OK)
            status = file_at_write(put->fd, 0, header, sizeof *header, why);
    }
    free(bytes);
    return status;
}

/* Whether a purge or a drop came since it was asked for; with the mutex held. */
static bool is_meant(const struct disk *disk, const struct disk_put *put)
{
    if (disk->purged_at > put->since || disk->moment - put->since > DISK_DROPS_MAX)
        return true;
    for (uint64_t moment = put->since + 1; moment <= disk->moment; moment++)
        if (disk->drops[moment % DISK_DROPS_MAX].hash == put->hash)
            return true;
    return false;
}

/* Gives it its name, unless a purge has meant it. From here to end_commit() a purge waits. */
static enum status begin_commit(struct disk_put *put, int64_t *stored)
{
    struct disk *disk = put->disk;
    enum status status = OK;
    int64_t now = clock_wall();
    pthread_mutex_lock(&disk->mutex);
    if (disk->state != DISK_ON)
        status = ERR_DENIED;
    else if (is_meant(disk, put))
        status = ERR_CANCELLED;
    if (status == OK) {
        disk->committing++;
        disk->last_stored = now > disk->last_stored ? now : disk->last_stored + 1;
        *stored = disk->last_stored;
    }
    pthread_mutex_unlock(&disk->mutex);
    return status;
}

static void end_commit(struct disk *disk)
{
    pthread_mutex_lock(&disk->mutex);
    if (--disk->committing == 0)
        pthread_cond_broadcast(&disk->is_quiet);
    pthread_mutex_unlock(&disk->mutex);
}

/* The entry takes the place of the one with the same key and variant, or of the oldest if there are
 * too many variants; that one is returned. */
static struct disk_entry *enter(struct disk *disk, struct disk_put *put, struct disk_entry *entry)
{
    struct disk_entry *other = NULL, *oldest = NULL;
    unsigned variants = 0;
    pthread_mutex_lock(&disk->mutex);
    for (struct disk_entry *e = disk_entry_next(disk, entry->hash, NULL); e != NULL;
         e = disk_entry_next(disk, entry->hash, e)) {
        variants++;
        if (oldest == NULL || e->stored < oldest->stored)
            oldest = e;
        if (e->item.hash == entry->item.hash)
            other = e;
    }
    if (other == NULL && variants >= DISK_VARIANTS_MAX)
        other = oldest;
    if (other != NULL)
        disk_take(disk, other);
    leave(disk, put);
    disk_enter(disk, entry);
    evict_insert(&disk->evict, &entry->item, entry->item.hash, entry->item.bytes);
    disk->counters.written++;
    pthread_mutex_unlock(&disk->mutex);
    return other;
}

static enum status commit(struct disk_put *put, const struct disk_tail *tail)
{
    struct disk *disk = put->disk;
    struct disk_header header = {0};
    char new_name[DISK_NAME_MAX];
    char name[DISK_NAME_MAX];
    const char *why = "";
    TRY(begin_commit(put, &header.stored));
    disk_path(new_name, put->id, true);
    disk_path(name, put->id, false);
    enum status status = write_rest(put, tail, &header, &why);
    if (status == OK)
        status = file_at_rename(disk->directory, new_name, name, &why);
    if (status != OK) {
        disk_failed(disk, true, status, why);
        end_commit(disk);
        return ERR_SYSTEM;
    }
    struct disk_entry *entry = memory_zero(sizeof *entry);
    *entry = (struct disk_entry){.id = put->id,
                                 .hash = put->hash,
                                 .stored = header.stored,
                                 .used = clock_monotonic(),
                                 .tags = tags_new(tail->url, tail->tags)};
    entry->touched = entry->used;
    entry->item.hash = disk_hash(disk, tail->key, &tail->variant);
    entry->item.bytes = disk_pages(header.tail_offset + header.tail_size);
    struct disk_entry *other = enter(disk, put, entry);
    /* A kill before this leaves two: the later one counts. */
    if (other != NULL && disk_remove_file(disk, other) != OK)
        other = NULL; /* nobody finds it; it is tried again */
    end_commit(disk);
    return OK;
}

enum status disk_put_commit(struct disk_put *put, struct slice meta, struct slice url,
                            struct slice tags, uint64_t *id, struct disk_reader **reader)
{
    struct disk_tail tail = {.key = slice_of(put->key, put->key_size),
                             .variant = slice_of(put->key + put->key_size, put->variant_size),
                             .meta = meta,
                             .url = url,
                             .tags = slice_first(tags, TAGS_TEXT_MAX + 1)};
    check(!put->is_ended);
    enum status status = put->failed;
    if (meta.size > DISK_META_MAX || url.size > DISK_KEY_MAX)
        status = ERR_LIMIT;
    if (status == OK && put->size > 0) {
        pthread_mutex_lock(&put->mutex);
        status = end_block(put, false);
        pthread_mutex_unlock(&put->mutex);
    }
    tail.sums = put->sums;
    if (status == OK)
        status = commit(put, &tail);
    if (status != OK) {
        disk_put_abort(put);
        return status;
    }
    put->is_ended = true;
    struct disk *disk = put->disk;
    *id = put->id;
    disk_put_release(put);
    disk_make_room(disk);
    return reader == NULL ? OK : disk_open(disk, *id, reader);
}

void disk_put_abort(struct disk_put *put)
{
    struct disk *disk = put->disk;
    check(!put->is_ended);
    put->is_ended = true;
    char name[DISK_NAME_MAX];
    const char *why = "";
    disk_path(name, put->id, true);
    enum status status = put->fd < 0 ? OK : file_at_remove(disk->directory, name, &why);
    pthread_mutex_lock(&disk->mutex);
    leave(disk, put);
    pthread_mutex_unlock(&disk->mutex);
    if (status != OK)
        disk_failed(disk, true, status, why);
    disk_put_release(put);
}
