/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/content.h"

#include "base/arena.h"
#include "base/check.h"
#include "cache/disk.h"
#include "fiber/offload.h"

#include <stdlib.h>

enum {
    SEGMENT_FIRST = 4 * 1024,
    SEGMENT_MAX = 256 * 1024,
    DISK_READ = 2 * DISK_BLOCK, /* at once: of a body on a disk */
};

struct content_segment {
    struct content_segment *next;
    uint64_t offset;
    size_t capacity;
    char data[];
};

struct content *content_new(int64_t length)
{
    struct content *content = memory_zero(sizeof *content);
    content->references = 1;
    content->length = length;
    content->bytes = sizeof *content;
    crowd_init(&content->crowd);
    list_init(&content->cursors);
    return content;
}

struct content *content_of_disk(struct disk_reader *reader, uint64_t size)
{
    struct content *content = content_new((int64_t)size);
    content->reader = reader;
    content->size = size;
    content->state = CONTENT_WHOLE;
    return content;
}

struct content *content_hold(struct content *content)
{
    __atomic_add_fetch(&content->references, 1, __ATOMIC_RELAXED);
    return content;
}

void content_release(struct content *content)
{
    if (__atomic_sub_fetch(&content->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    for (struct content_segment *segment = content->first, *next; segment != NULL; segment = next) {
        next = segment->next;
        free(segment);
    }
    if (content->reader != NULL)
        disk_close(content->reader);
    crowd_done(&content->crowd);
    free(content);
}

static uint64_t end_of(const struct content_segment *segment)
{
    return segment->offset + segment->capacity;
}

/* A body whose length is known lies in one piece, as far as pieces go. */
static size_t next_capacity(const struct content *content)
{
    if (content->length >= 0) {
        uint64_t left = (uint64_t)content->length - content->size;
        return left == 0 || left > SEGMENT_MAX ? SEGMENT_MAX : (size_t)left;
    }
    size_t capacity = content->last == NULL ? SEGMENT_FIRST : content->last->capacity * 2;
    return capacity < SEGMENT_MAX ? capacity : SEGMENT_MAX;
}

static void add_segment(struct content *content)
{
    size_t capacity = next_capacity(content);
    struct content_segment *segment = memory_alloc(sizeof *segment + capacity);
    segment->next = NULL;
    segment->offset = content->size;
    segment->capacity = capacity;
    content->bytes += sizeof *segment + capacity;
    if (content->last == NULL)
        content->first = segment;
    else
        content->last->next = segment;
    content->last = segment;
}

void content_append(struct content *content, struct slice bytes)
{
    while (bytes.size > 0) {
        if (content->last == NULL || content->size == end_of(content->last))
            add_segment(content);
        struct content_segment *segment = content->last;
        size_t room = (size_t)(end_of(segment) - content->size);
        size_t size = bytes.size < room ? bytes.size : room;
        memcpy(segment->data + (content->size - segment->offset), bytes.data, size);
        bytes = slice_from(bytes, size);
        /* Who sees the size sees the bytes, and the segments before them. */
        __atomic_store_n(&content->size, content->size + size, __ATOMIC_RELEASE);
    }
    crowd_wake(&content->crowd);
}

void content_end(struct content *content, bool is_whole)
{
    __atomic_store_n(&content->state, is_whole ? CONTENT_WHOLE : CONTENT_BROKEN, __ATOMIC_RELEASE);
    crowd_wake(&content->crowd);
}

void content_flow(struct content *content)
{
    pthread_mutex_lock(&content->crowd.mutex);
    content->is_flowing = true;
    pthread_mutex_unlock(&content->crowd.mutex);
}

bool content_trim(struct content *content, uint64_t *behind)
{
    uint64_t slowest = content->size;
    bool has_readers = false;
    pthread_mutex_lock(&content->crowd.mutex);
    LIST_EACH(link, &content->cursors)
    {
        const struct content_cursor *cursor = LIST_ENTRY(link, struct content_cursor, link);
        uint64_t offset = __atomic_load_n(&cursor->offset, __ATOMIC_ACQUIRE);
        slowest = offset < slowest ? offset : slowest;
        has_readers = true;
    }
    /* Who stands at a segment's end may still point at it. */
    while (content->first != content->last && end_of(content->first) < slowest) {
        struct content_segment *segment = content->first;
        content->first = segment->next;
        content->bytes -= sizeof *segment + segment->capacity;
        free(segment);
    }
    pthread_mutex_unlock(&content->crowd.mutex);
    *behind = content->size - slowest;
    return has_readers;
}

bool content_open(struct content *content, struct content_cursor *cursor)
{
    *cursor = (struct content_cursor){.content = content};
    if (__atomic_load_n(&content->state, __ATOMIC_ACQUIRE) == CONTENT_GROWING) {
        pthread_mutex_lock(&content->crowd.mutex);
        bool is_flowing = content->is_flowing;
        if (!is_flowing)
            list_append(&content->cursors, &cursor->link);
        pthread_mutex_unlock(&content->crowd.mutex);
        if (is_flowing)
            return false;
        cursor->is_listed = true;
    }
    content_hold(content);
    return true;
}

void content_close(struct content_cursor *cursor)
{
    struct content *content = cursor->content;
    if (cursor->is_listed) {
        pthread_mutex_lock(&content->crowd.mutex);
        list_remove(&cursor->link);
        pthread_mutex_unlock(&content->crowd.mutex);
    }
    free(cursor->block);
    content_release(content);
}

/* A question for crowd_wait(). */
struct wanted {
    const struct content *content;
    uint64_t offset;
};

bool content_is_ready(const struct content *content, uint64_t offset)
{
    if (content->reader != NULL)
        return disk_reader_is_ready(content->reader);
    /* The state first: a body that has ended has its whole size. */
    return __atomic_load_n(&content->state, __ATOMIC_ACQUIRE) != CONTENT_GROWING ||
           __atomic_load_n(&content->size, __ATOMIC_ACQUIRE) > offset;
}

static bool is_there(void *argument)
{
    const struct wanted *wanted = argument;
    if (wanted->content->reader != NULL)
        return true;
    return content_is_ready(wanted->content, wanted->offset);
}

/* A job of offload; it holds the content. */
struct disk_job {
    struct content *content;
    uint64_t offset;
    char *block;
    struct slice bytes;
    enum status status;
};

static void run_job(void *argument)
{
    struct disk_job *job = argument;
    job->status = disk_read(job->content->reader, job->offset, job->block, DISK_READ, &job->bytes);
}

static void free_job(void *argument)
{
    struct disk_job *job = argument;
    content_release(job->content);
    free(job->block);
    free(job);
}

static bool is_at_hand(const struct content_cursor *cursor, uint64_t offset)
{
    return offset >= cursor->bytes_at && offset - cursor->bytes_at < cursor->bytes.size;
}

static enum status fetch_block(struct content_cursor *cursor, uint64_t offset, int64_t deadline)
{
    struct disk_job *job = memory_zero(sizeof *job);
    job->content = content_hold(cursor->content);
    job->offset = offset;
    job->block = cursor->block != NULL ? cursor->block : memory_alloc(DISK_READ);
    cursor->block = NULL; /* the job's, whatever becomes of it */
    cursor->bytes = SLICE("");
    if (disk_reader_is_ready(cursor->content->reader))
        run_job(job);
    else
        TRY(offload(run_job, job, free_job, deadline));
    enum status status = job->status;
    if (status == OK) {
        cursor->block = job->block;
        cursor->bytes = job->bytes;
        cursor->bytes_at = offset;
        job->block = NULL;
    }
    free_job(job);
    return status;
}

static enum status read_from_disk(struct content_cursor *cursor, uint64_t offset, uint64_t size,
                                  struct slice *bytes, int64_t deadline)
{
    if (!is_at_hand(cursor, offset))
        TRY(fetch_block(cursor, offset, deadline));
    struct slice left = slice_from(cursor->bytes, (size_t)(offset - cursor->bytes_at));
    *bytes = slice_first(left, size < left.size ? (size_t)size : left.size);
    return OK;
}

/* Of one that flows the first may go at any time, but not before this reader has passed it. */
static const struct content_segment *first_segment(const struct content_cursor *cursor)
{
    struct content *content = cursor->content;
    if (!cursor->is_listed)
        return content->first;
    pthread_mutex_lock(&content->crowd.mutex);
    const struct content_segment *first = content->first;
    pthread_mutex_unlock(&content->crowd.mutex);
    return first;
}

enum status content_read(struct content_cursor *cursor, uint64_t offset, uint64_t size,
                         struct slice *bytes, int64_t deadline)
{
    struct content *content = cursor->content;
    struct wanted wanted = {content, offset};
    *bytes = SLICE("");
    __atomic_store_n(&cursor->offset, offset, __ATOMIC_RELEASE);
    TRY(crowd_wait(&content->crowd, is_there, &wanted, deadline));
    uint8_t state = __atomic_load_n(&content->state, __ATOMIC_ACQUIRE);
    uint64_t there = __atomic_load_n(&content->size, __ATOMIC_ACQUIRE);
    if (offset >= there)
        return state == CONTENT_WHOLE ? OK : ERR_CLOSED;
    if (content->reader != NULL)
        return read_from_disk(cursor, offset, size, bytes, deadline);
    const struct content_segment *segment = cursor->segment;
    if (segment == NULL || segment->offset > offset)
        segment = first_segment(cursor);
    while (end_of(segment) <= offset)
        segment = segment->next;
    cursor->segment = segment;
    uint64_t end = end_of(segment) < there ? end_of(segment) : there;
    uint64_t left = end - offset;
    *bytes =
        slice_of(segment->data + (offset - segment->offset), (size_t)(left < size ? left : size));
    return OK;
}
