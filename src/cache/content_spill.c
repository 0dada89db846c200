/* SPDX-License-Identifier: Apache-2.0 */
/* A content that is larger than what memory keeps: written to a file piece by piece as it comes.
 * Memory has what is not written yet; who follows closely copies from there, who is behind reads
 * the file. So it takes as much memory as a piece, however large it is and however slow they are.
 */
#include "cache/content_inside.h"

#include "base/arena.h"
#include "fiber/offload.h"

#include <stdlib.h>

void content_spill(struct content *content, struct disk_put *put)
{
    disk_put_hold(put);
    pthread_mutex_lock(&content->crowd.mutex);
    content->put = put;
    __atomic_store_n(&content->is_spilling, true, __ATOMIC_SEQ_CST);
    pthread_mutex_unlock(&content->crowd.mutex);
}

enum status content_write(struct content *content)
{
    const struct content_segment *segment = content->first;
    uint64_t size = __atomic_load_n(&content->size, __ATOMIC_ACQUIRE);
    enum status status = OK;
    /* Only who writes frees, and it waits for this. */
    for (; segment != NULL && status == OK && content->written < size; segment = segment->next) {
        uint64_t end = content_segment_end(segment) < size ? content_segment_end(segment) : size;
        if (end <= content->written)
            continue;
        uint64_t at = content->written - segment->offset;
        struct slice bytes = slice_of(segment->data + at, (size_t)(end - content->written));
        status = disk_put_append(content->put, bytes);
        if (status == OK)
            content->written = end;
    }
    return status;
}

/* One that read in place before it spilled. */
static bool is_pointed_at(const struct content *content, const struct content_segment *segment)
{
    LIST_EACH(link, &content->cursors)
    {
        const struct content_cursor *cursor = LIST_ENTRY(link, struct content_cursor, link);
        if (__atomic_load_n(&cursor->is_walking, __ATOMIC_SEQ_CST) ||
            __atomic_load_n(&cursor->segment, __ATOMIC_ACQUIRE) == segment)
            return true;
    }
    return false;
}

void content_free_until(struct content *content, uint64_t until)
{
    for (struct content_segment **at = &content->first; *at != content->last;) {
        struct content_segment *segment = *at;
        if (content_segment_end(segment) > until || is_pointed_at(content, segment)) {
            at = &segment->next;
            continue;
        }
        *at = segment->next;
        content->bytes -= sizeof *segment + segment->capacity;
        free(segment);
    }
}

void content_trim_written(struct content *content)
{
    pthread_mutex_lock(&content->crowd.mutex);
    content_free_until(content, content->written);
    pthread_mutex_unlock(&content->crowd.mutex);
}

void content_land(struct content *content, struct disk_reader *reader)
{
    pthread_mutex_lock(&content->crowd.mutex);
    struct disk_put *put = content->put;
    content->put = NULL;
    __atomic_store_n(&content->reader, reader, __ATOMIC_RELEASE);
    content_free_until(content, UINT64_MAX);
    if (content->first != NULL && content->first == content->last &&
        !is_pointed_at(content, content->last)) {
        content->bytes -= sizeof *content->last + content->last->capacity;
        free(content->last);
        content->first = content->last = NULL;
    }
    pthread_mutex_unlock(&content->crowd.mutex);
    disk_put_release(put);
}

/* A job of offload: what of a content is in the put, and no more in memory. */
struct spilled_job {
    struct content *content; /* held */
    struct disk_put *put;    /* held */
    uint64_t offset;
    char *block;
    struct slice bytes;
    enum status status;
};

static void run_spilled(void *argument)
{
    struct spilled_job *job = argument;
    job->status = disk_put_read(job->put, job->offset, job->block, DISK_BLOCK, &job->bytes);
}

static void free_spilled(void *argument)
{
    struct spilled_job *job = argument;
    disk_put_release(job->put);
    content_release(job->content);
    free(job->block);
    free(job);
}

static struct disk_put *hold_put(struct content *content)
{
    pthread_mutex_lock(&content->crowd.mutex);
    struct disk_put *put = content->put;
    if (put != NULL)
        disk_put_hold(put);
    pthread_mutex_unlock(&content->crowd.mutex);
    return put;
}

static enum status read_from_put(struct content_cursor *cursor, struct disk_put *put,
                                 uint64_t offset, int64_t deadline)
{
    struct spilled_job *job = memory_zero(sizeof *job);
    job->content = content_hold(cursor->content);
    job->put = put;
    job->offset = offset;
    job->block = cursor->block; /* the job's, whatever becomes of it */
    cursor->block = NULL;
    TRY(offload(run_spilled, job, free_spilled, deadline));
    enum status status = job->status;
    if (status == OK) {
        cursor->block = job->block;
        cursor->bytes = job->bytes;
        cursor->bytes_at = offset;
        job->block = NULL;
    }
    free_spilled(job);
    return status;
}

/* False: it is no more in memory. */
static bool copy_from_memory(struct content_cursor *cursor, uint64_t offset)
{
    struct content *content = cursor->content;
    bool is_found = false;
    pthread_mutex_lock(&content->crowd.mutex);
    /* What it pointed at before may go. */
    __atomic_store_n(&cursor->segment, NULL, __ATOMIC_RELEASE);
    uint64_t size = __atomic_load_n(&content->size, __ATOMIC_ACQUIRE);
    for (const struct content_segment *segment = content->first; segment != NULL;
         segment = segment->next) {
        uint64_t end = content_segment_end(segment) < size ? content_segment_end(segment) : size;
        if (offset < segment->offset || offset >= end)
            continue;
        size_t some = end - offset < DISK_BLOCK ? (size_t)(end - offset) : DISK_BLOCK;
        memcpy(cursor->block, segment->data + (offset - segment->offset), some);
        cursor->bytes = slice_of(cursor->block, some);
        cursor->bytes_at = offset;
        is_found = true;
        break;
    }
    pthread_mutex_unlock(&content->crowd.mutex);
    return is_found;
}

enum status content_read_spilled(struct content_cursor *cursor, uint64_t offset, uint64_t size,
                                 struct slice *bytes, int64_t deadline)
{
    if (content_at_hand(cursor, offset, size, bytes))
        return OK;
    cursor->bytes = SLICE("");
    if (cursor->block == NULL)
        cursor->block = memory_alloc(DISK_BLOCK);
    if (!copy_from_memory(cursor, offset)) {
        struct disk_put *put = hold_put(cursor->content);
        if (put == NULL) /* it has landed meanwhile */
            return content_read(cursor, offset, size, bytes, deadline);
        TRY(read_from_put(cursor, put, offset, deadline));
    }
    return content_at_hand(cursor, offset, size, bytes) ? OK : ERR_SYSTEM;
}
