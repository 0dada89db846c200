/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/disk_inside.h"

#include "base/check.h"
#include "base/clock.h"
#include "fiber/file_at.h"

#include <stdlib.h>

enum {
    TRIES = 3,
};

/* The tail, out of what was read already or read now. */
static enum status read_tail(struct disk_file *file, size_t have, const char **bytes,
                             const char **why)
{
    uint64_t at = file->header.tail_offset;
    uint32_t size = file->header.tail_size;
    if (at + size <= have) {
        *bytes = file->bytes + at;
        return OK;
    }
    file->tail_bytes = memory_alloc(size + (size_t)1);
    size_t got;
    TRY(file_at_read(file->fd, at, file->tail_bytes, size, &got, why));
    *bytes = file->tail_bytes;
    return got == size ? OK : ERR_PROTOCOL;
}

static enum status read_form(struct disk_file *file, uint64_t id, enum disk_form *form,
                             const char **why)
{
    /* A large one is read in blocks, by whoever wants them. */
    size_t size = file->size <= DISK_WHOLE ? (size_t)file->size : DISK_HEADER;
    size_t got;
    *form = DISK_FORM_TORN;
    free(file->tail_bytes);
    file->tail_bytes = NULL;
    if (file->bytes == NULL)
        file->bytes = memory_alloc(size + 1);
    TRY(file_at_read(file->fd, 0, file->bytes, size, &got, why));
    if (got < DISK_HEADER)
        return ERR_PROTOCOL;
    memcpy(&file->header, file->bytes, sizeof file->header);
    *form = disk_form_header(&file->header, id, file->size);
    if (*form != DISK_FORM_GOOD)
        return ERR_PROTOCOL;
    *form = DISK_FORM_TORN;
    const char *bytes;
    TRY(read_tail(file, got, &bytes, why));
    if (!disk_form_tail(&file->header, bytes, &file->tail))
        return ERR_PROTOCOL;
    file->is_whole = file->tail_bytes == NULL;
    *form = DISK_FORM_GOOD;
    return OK;
}

enum status disk_file_open(struct disk *disk, uint64_t id, bool to_write, struct disk_file *file,
                           enum disk_form *form, const char **why)
{
    char name[DISK_NAME_MAX];
    disk_path(name, id, false);
    *file = (struct disk_file){.fd = -1};
    *form = DISK_FORM_TORN;
    enum status status = OK;
    /* An update may be writing just now: header and tail then do not agree, once. */
    for (unsigned i = 0; i < TRIES; i++) {
        struct file_at_facts facts = {0};
        status = file_at_open(disk->directory, name, to_write, &file->fd, &facts, why);
        if (status != OK)
            return status;
        file->size = facts.size;
        file->changed = facts.changed;
        status = read_form(file, id, form, why);
        if (status == OK)
            return OK;
        disk_file_close(file);
        if (status != ERR_PROTOCOL)
            break;
    }
    return status;
}

void disk_file_close(struct disk_file *file)
{
    if (file->fd >= 0)
        file_at_close(file->fd);
    free(file->bytes);
    free(file->tail_bytes);
    *file = (struct disk_file){.fd = -1};
}

/* Opens the file of an object that the index has; what goes wrong with it is dealt with. */
static enum status open_known(struct disk *disk, uint64_t id, struct disk_file *file)
{
    enum disk_form form;
    const char *why = "";
    enum status status = disk_file_open(disk, id, false, file, &form, &why);
    if (status == ERR_PROTOCOL)
        disk_damaged(disk, id, "torn");
    else if (status == ERR_UNREACHABLE)
        disk_drop(disk, id); /* somebody took it away */
    else if (status != OK)
        disk_failed(disk, false, status, why);
    else
        disk_read_well(disk);
    return status == OK ? OK : ERR_UNREACHABLE;
}

static bool may_read(const struct disk *disk)
{
    return disk->is_open && !disk->is_unreadable && disk->state != DISK_LEFT;
}

void disk_find(struct disk *disk, struct slice key, struct arena *arena, struct disk_found **found,
               size_t *count)
{
    uint64_t ids[DISK_VARIANTS_MAX];
    bool stale[DISK_VARIANTS_MAX];
    size_t ids_count = 0;
    uint64_t hash = disk_hash(disk, key, NULL);
    pthread_mutex_lock(&disk->mutex);
    struct disk_entry *entry = may_read(disk) ? disk_entry_next(disk, hash, NULL) : NULL;
    for (; entry != NULL && ids_count < DISK_VARIANTS_MAX;
         entry = disk_entry_next(disk, hash, entry)) {
        stale[ids_count] = entry->is_stale;
        ids[ids_count++] = entry->id;
    }
    pthread_mutex_unlock(&disk->mutex);
    *count = 0;
    *found = ids_count == 0 ? NULL : arena_alloc(arena, ids_count * sizeof **found);
    for (size_t i = 0; i < ids_count; i++) {
        struct disk_file file;
        if (open_known(disk, ids[i], &file) != OK)
            continue;
        if (slice_equal(file.tail.key, key))
            (*found)[(*count)++] = (struct disk_found){
                .id = ids[i],
                .variant = arena_copy(arena, file.tail.variant),
                .meta = arena_copy(arena, file.tail.meta),
                .body_size = file.header.body_size,
                .is_stale = stale[i] || (file.header.flags & DISK_IS_STALE) != 0,
            };
        disk_file_close(&file);
    }
}

static bool verify(const struct disk_reader *reader, uint64_t block, const char *data, size_t size)
{
    return disk_block_sum(reader->found.id, block, data, size) ==
           disk_sum_at(reader->tail.sums, block);
}

static size_t block_size(const struct disk_reader *reader, uint64_t block)
{
    uint64_t left = reader->header.body_size - block * DISK_BLOCK;
    return left < DISK_BLOCK ? (size_t)left : DISK_BLOCK;
}

/* Counts a use. False: there is no such object. */
static bool use(struct disk *disk, uint64_t id, bool *is_stale, bool *touches)
{
    int64_t now = clock_monotonic();
    pthread_mutex_lock(&disk->mutex);
    struct disk_entry *entry = may_read(disk) ? disk_entry_of(disk, id) : NULL;
    if (entry != NULL && entry->is_dead)
        entry = NULL;
    if (entry != NULL) {
        evict_touch(&entry->item);
        entry->used = now;
        *is_stale = entry->is_stale;
        /* What the file says decides after a restart: an eighth too old is near enough. */
        *touches = disk->settings.inactive > 0 &&
                   now - entry->touched > disk->settings.inactive / 8 + SECONDS(1);
        if (*touches)
            entry->touched = now;
        disk->counters.read++;
    }
    pthread_mutex_unlock(&disk->mutex);
    return entry != NULL;
}

enum status disk_open(struct disk *disk, uint64_t id, struct disk_reader **reader)
{
    bool is_stale, touches;
    struct disk_file file;
    if (!use(disk, id, &is_stale, &touches))
        return ERR_UNREACHABLE;
    TRY(open_known(disk, id, &file));
    if (touches)
        file_at_touch(file.fd);
    struct disk_reader *r = memory_alloc(sizeof *r);
    *r = (struct disk_reader){.disk = disk,
                              .fd = file.fd,
                              .header = file.header,
                              .tail = file.tail,
                              .whole = file.bytes,
                              .tail_bytes = file.tail_bytes};
    r->found = (struct disk_found){.id = id,
                                   .variant = file.tail.variant,
                                   .meta = file.tail.meta,
                                   .body_size = file.header.body_size,
                                   .is_stale = is_stale};
    if (!file.is_whole) {
        free(r->whole);
        r->whole = NULL;
        *reader = r;
        return OK;
    }
    file_at_close(r->fd);
    r->fd = -1;
    if (r->header.blocks > 0 && !verify(r, 0, r->whole + DISK_HEADER, block_size(r, 0))) {
        disk_close(r);
        disk_damaged(disk, id, "changed");
        return ERR_UNREACHABLE;
    }
    *reader = r;
    return OK;
}

/* The blocks that a reading is about. */
struct blocks {
    uint64_t first, offset; /* of the first, in the file */
    size_t size, skip;      /* bytes of all; of those before what is wanted */
};

static struct blocks blocks_at(const struct disk_reader *reader, uint64_t offset, size_t room)
{
    check(offset < reader->header.body_size && room >= DISK_BLOCK);
    uint64_t first = offset / DISK_BLOCK;
    uint64_t left = reader->header.body_size - first * DISK_BLOCK;
    size_t most = room / DISK_BLOCK * DISK_BLOCK;
    return (struct blocks){.first = first,
                           .offset = DISK_HEADER + first * DISK_BLOCK,
                           .size = left < most ? (size_t)left : most,
                           .skip = offset % DISK_BLOCK};
}

static bool are_good(const struct disk_reader *reader, const struct blocks *blocks,
                     const char *data)
{
    uint64_t block = blocks->first;
    for (size_t at = 0; at < blocks->size; at += DISK_BLOCK, block++)
        if (!verify(reader, block, data + at, block_size(reader, block)))
            return false;
    return true;
}

static struct slice wanted_of(const struct blocks *blocks, const char *data)
{
    return slice_of(data + blocks->skip, blocks->size - blocks->skip);
}

static struct slice rest_of_whole(const struct disk_reader *reader, uint64_t offset)
{
    return slice_of(reader->whole + DISK_HEADER + offset,
                    (size_t)(reader->header.body_size - offset));
}

enum status disk_read(struct disk_reader *reader, uint64_t offset, void *into, size_t size,
                      struct slice *bytes)
{
    struct blocks blocks = blocks_at(reader, offset, size);
    if (reader->whole != NULL) {
        *bytes = rest_of_whole(reader, offset);
        return OK;
    }
    size_t got;
    const char *why = "";
    enum status status = file_at_read(reader->fd, blocks.offset, into, blocks.size, &got, &why);
    if (status != OK) {
        disk_failed(reader->disk, false, status, why);
        return ERR_SYSTEM;
    }
    if (got != blocks.size || !are_good(reader, &blocks, into)) {
        disk_damaged(reader->disk, reader->found.id, "changed");
        return ERR_SYSTEM;
    }
    *bytes = wanted_of(&blocks, into);
    return OK;
}

bool disk_read_now(struct disk_reader *reader, uint64_t offset, void *into, size_t size,
                   struct slice *bytes)
{
    struct blocks blocks = blocks_at(reader, offset, size);
    if (reader->whole != NULL) {
        *bytes = rest_of_whole(reader, offset);
        return true;
    }
    if (!file_at_read_now(reader->fd, blocks.offset, into, blocks.size) ||
        !are_good(reader, &blocks, into))
        return false;
    *bytes = wanted_of(&blocks, into);
    return true;
}

const struct disk_found *disk_reader_object(const struct disk_reader *reader)
{
    return &reader->found;
}

bool disk_reader_is_ready(const struct disk_reader *reader)
{
    return reader->whole != NULL;
}

void disk_close(struct disk_reader *reader)
{
    if (reader->fd >= 0)
        file_at_close(reader->fd);
    free(reader->whole);
    free(reader->tail_bytes);
    free(reader);
}
