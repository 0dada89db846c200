/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/content_inside.h"

#include "base/arena.h"
#include "base/check.h"
#include "fiber/offload.h"

#include <stdlib.h>

enum {
    SEGMENT_FIRST = 4 * 1024,
    SEGMENT_MAX = 256 * 1024,
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
    if (content->put != NULL)
        disk_put_release(content->put);
    crowd_done(&content->crowd);
    free(content);
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
        if (content->last == NULL || content->size == content_segment_end(content->last))
            add_segment(content);
        struct content_segment *segment = content->last;
        size_t room = (size_t)(content_segment_end(segment) - content->size);
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
    if (content->is_spilling)
        content_free_until(content, content->written > slowest ? content->written : slowest);
    /* Who stands at a segment's end may still point at it. */
    while (!content->is_spilling && content->first != content->last &&
           content_segment_end(content->first) < slowest) {
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

bool content_at_once(const struct content *content, struct slice *bytes)
{
    if (!content_is_whole(content) || content->first != content->last || content->reader != NULL ||
        content->is_spilling)
        return false;
    *bytes = content->first == NULL ? SLICE("") : slice_of(content->first->data, content->size);
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

static struct disk_reader *reader_of(const struct content *content)
{
    return __atomic_load_n(&content->reader, __ATOMIC_ACQUIRE);
}

static bool has_come(const struct content *content, uint64_t offset)
{
    /* The state first: a body that has ended has its whole size. */
    return __atomic_load_n(&content->state, __ATOMIC_ACQUIRE) != CONTENT_GROWING ||
           __atomic_load_n(&content->size, __ATOMIC_ACQUIRE) > offset;
}

bool content_is_ready(const struct content *content, uint64_t offset)
{
    const struct disk_reader *reader = reader_of(content);
    if (reader != NULL)
        return disk_reader_is_ready(reader);
    return !__atomic_load_n(&content->is_spilling, __ATOMIC_RELAXED) && has_come(content, offset);
}

static bool is_there(void *argument)
{
    const struct wanted *wanted = argument;
    return has_come(wanted->content, wanted->offset);
}

/* A job of offload; it holds the content. */
struct disk_job {
    struct content *content;
    uint64_t offset;
    char *block; /* of DISK_BLOCK bytes */
    struct slice bytes;
    enum status status;
};

static void run_job(void *argument)
{
    struct disk_job *job = argument;
    job->status =
        disk_read(reader_of(job->content), job->offset, job->block, DISK_BLOCK, &job->bytes);
}

static void free_job(void *argument)
{
    struct disk_job *job = argument;
    content_release(job->content);
    free(job->block);
    free(job);
}

bool content_at_hand(const struct content_cursor *cursor, uint64_t offset, uint64_t size,
                     struct slice *bytes)
{
    if (offset < cursor->bytes_at || offset - cursor->bytes_at >= cursor->bytes.size)
        return false;
    *bytes = slice_from(cursor->bytes, (size_t)(offset - cursor->bytes_at));
    *bytes = slice_first(*bytes, size < bytes->size ? (size_t)size : bytes->size);
    return true;
}

static enum status fetch_block(struct content_cursor *cursor, uint64_t offset, int64_t deadline)
{
    char *block = cursor->block != NULL ? cursor->block : memory_alloc(DISK_BLOCK);
    cursor->block = block;
    cursor->bytes = SLICE("");
    cursor->bytes_at = offset;
    /* Most of what is asked for again and again is in the memory of the system. */
    if (disk_read_now(reader_of(cursor->content), offset, block, DISK_BLOCK, &cursor->bytes))
        return OK;
    struct disk_job *job = memory_alloc(sizeof *job);
    *job = (struct disk_job){
        .content = content_hold(cursor->content), .offset = offset, .block = block};
    cursor->block = NULL; /* the job's, whatever becomes of it */
    TRY(offload(run_job, job, free_job, deadline));
    enum status status = job->status;
    if (status == OK) {
        cursor->block = job->block;
        cursor->bytes = job->bytes;
        job->block = NULL;
    }
    free_job(job);
    return status;
}

static enum status read_from_disk(struct content_cursor *cursor, uint64_t offset, uint64_t size,
                                  struct slice *bytes, int64_t deadline)
{
    if (content_at_hand(cursor, offset, size, bytes))
        return OK;
    TRY(fetch_block(cursor, offset, deadline));
    check(content_at_hand(cursor, offset, size, bytes));
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

/* In memory, where it stays as long as the cursor points at it. */
static void read_in_place(struct content_cursor *cursor, uint64_t offset, uint64_t there,
                          uint64_t size, struct slice *bytes)
{
    const struct content_segment *segment = cursor->segment;
    if (segment == NULL || segment->offset > offset)
        segment = first_segment(cursor);
    while (content_segment_end(segment) <= offset)
        segment = segment->next;
    __atomic_store_n(&cursor->segment, segment, __ATOMIC_RELEASE);
    uint64_t end = content_segment_end(segment);
    uint64_t left = (end < there ? end : there) - offset;
    *bytes =
        slice_of(segment->data + (offset - segment->offset), (size_t)(left < size ? left : size));
}

/* Of one that grows: it may begin to spill at any time, and then takes memory from under those who
 * do not say that they look at it. */
static bool begin_walk(struct content_cursor *cursor)
{
    if (!cursor->is_listed)
        return !__atomic_load_n(&cursor->content->is_spilling, __ATOMIC_ACQUIRE);
    __atomic_store_n(&cursor->is_walking, true, __ATOMIC_SEQ_CST);
    if (!__atomic_load_n(&cursor->content->is_spilling, __ATOMIC_SEQ_CST))
        return true;
    __atomic_store_n(&cursor->is_walking, false, __ATOMIC_RELEASE);
    return false;
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
    if (reader_of(content) != NULL)
        return read_from_disk(cursor, offset, size, bytes, deadline);
    if (!begin_walk(cursor))
        return content_read_spilled(cursor, offset, size, bytes, deadline);
    read_in_place(cursor, offset, there, size, bytes);
    if (cursor->is_listed)
        __atomic_store_n(&cursor->is_walking, false, __ATOMIC_RELEASE);
    return OK;
}
