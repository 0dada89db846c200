/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies that are too large for memory, on their way to the disk: each piece is written by a job of
 * offload while the fetch waits, so that the server is not read faster than the disk writes. A
 * fetch that is cancelled leaves its job behind: what they share is counted, and the file is the
 * business of one job at a time. */
#include "base/clock.h"
#include "cache/disk.h"
#include "cache/meta.h"
#include "fiber/offload.h"
#include "fiber/thread.h"
#include "steps/cache_fetch.h"

#include <pthread.h>
#include <stdlib.h>

enum {
    PIECE = 256 * 1024,
    WAITING_MAX = 4 * 1024 * 1024, /* bytes in memory while offload has no room for a job */
    BUSY_MS = 5,                   /* until it is asked again then */
};

struct cache_spill {
    uint32_t references;   /* atomic */
    pthread_mutex_t mutex; /* held by a job as long as it is at it */
    struct disk_put *put;  /* NULL: not begun, or over */
};

struct spill_job {
    struct arena arena;
    struct cache_spill *spill; /* held, as are … */
    struct cache *cache;
    struct object *object; /* … these */
    struct slice key;
    uint64_t moment;
    int64_t now, wall;
    struct disk_reader *reader;
    uint64_t id;
    enum status status;
};

static void release(struct cache_spill *spill)
{
    if (__atomic_sub_fetch(&spill->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    if (spill->put != NULL) /* begun by a job that nobody waited for: a file is removed here */
        disk_put_abort(spill->put);
    pthread_mutex_destroy(&spill->mutex);
    free(spill);
}

static void free_job(void *argument)
{
    struct spill_job *job = argument;
    if (job->reader != NULL)
        disk_close(job->reader);
    release(job->spill);
    if (job->object != NULL)
        object_release(job->object);
    cache_release(job->cache);
    arena_done(&job->arena);
    free(job);
}

static struct spill_job *new_job(struct cache_fetch *fetch, struct object *object)
{
    struct spill_job *job = memory_zero(sizeof *job);
    arena_init(&job->arena, NULL, 0);
    job->spill = fetch->spill;
    __atomic_add_fetch(&job->spill->references, 1, __ATOMIC_RELAXED);
    job->cache = cache_hold(fetch->cache);
    job->object = object == NULL ? NULL : object_hold(object);
    job->key = arena_copy(&job->arena, fetch->fill->key);
    job->moment = fetch->moment;
    job->now = loop_now();
    job->wall = clock_wall();
    return job;
}

static void run_begin(void *argument)
{
    struct spill_job *job = argument;
    struct slice variant, meta;
    int64_t length = job->object->content->length;
    meta_write(job->object, job->now, job->wall, &job->arena, &variant, &meta);
    pthread_mutex_lock(&job->spill->mutex);
    job->status = disk_put_begin(job->cache->disk, job->key, variant,
                                 length < 0 ? 0 : (uint64_t)length, &job->spill->put);
    if (job->status == OK) {
        disk_put_since(job->spill->put, job->moment);
        content_spill(job->object->content, job->spill->put);
    }
    pthread_mutex_unlock(&job->spill->mutex);
}

static void run_write(void *argument)
{
    struct spill_job *job = argument;
    pthread_mutex_lock(&job->spill->mutex);
    job->status = job->spill->put == NULL ? ERR_CLOSED : content_write(job->object->content);
    pthread_mutex_unlock(&job->spill->mutex);
}

static void run_commit(void *argument)
{
    struct spill_job *job = argument;
    struct object *object = job->object;
    struct slice variant, meta;
    struct fields fields;
    meta_write(object, job->now, job->wall, &job->arena, &variant, &meta);
    object_fields(object, &job->arena, 0, &fields);
    pthread_mutex_lock(&job->spill->mutex);
    struct disk_put *put = job->spill->put;
    job->status = put == NULL ? ERR_CLOSED : content_write(object->content);
    if (job->status == OK) {
        job->spill->put = NULL;
        job->status = disk_put_commit(put, meta, object->url, object_tag_list(&fields, &job->arena),
                                      &job->id, &job->reader);
    }
    pthread_mutex_unlock(&job->spill->mutex);
}

static void run_abort(void *argument)
{
    struct spill_job *job = argument;
    pthread_mutex_lock(&job->spill->mutex);
    if (job->spill->put != NULL)
        disk_put_abort(job->spill->put);
    job->spill->put = NULL;
    pthread_mutex_unlock(&job->spill->mutex);
}

static struct object *object_of(const struct cache_fetch *fetch)
{
    return fetch->fill->object;
}

bool cache_spill_begin(struct cache_fetch *fetch, struct object *object)
{
    if (fetch->cache->disk == NULL || fetch->was_tried || fetch->spill != NULL)
        return false;
    fetch->was_tried = true;
    if (!store_is_wanted(fetch->cache->store, fetch->fill))
        return false;
    fetch->spill = memory_zero(sizeof *fetch->spill);
    fetch->spill->references = 1;
    pthread_mutex_init(&fetch->spill->mutex, NULL);
    struct spill_job *job = new_job(fetch, object);
    enum status status = offload(run_begin, job, free_job, CLOCK_NEVER);
    if (status == OK) {
        status = job->status;
        free_job(job);
    }
    if (status == OK)
        return true;
    cache_spill_abort(fetch);
    return false;
}

/* ERR_LIMIT: offload has no room now. */
static enum status write_now(struct cache_fetch *fetch)
{
    struct spill_job *job = new_job(fetch, object_of(fetch));
    TRY(offload(run_write, job, free_job, CLOCK_NEVER));
    enum status status = job->status == ERR_LIMIT ? ERR_SYSTEM : job->status;
    free_job(job);
    content_trim_written(fetch->content);
    return status;
}

enum status cache_spill_more(struct cache_fetch *fetch)
{
    const struct content *content = fetch->content;
    if (content->size - content->written < PIECE)
        return OK;
    for (;;) {
        enum status status = write_now(fetch);
        if (status != ERR_LIMIT)
            return status;
        if (content->size - content->written < WAITING_MAX)
            return OK;
        TRY(fiber_sleep(loop_now() + MILLISECONDS(BUSY_MS)));
    }
}

void cache_spill_end(struct cache_fetch *fetch)
{
    enum status status = ERR_LIMIT;
    if (!store_is_wanted(fetch->cache->store, fetch->fill)) {
        cache_spill_abort(fetch);
        return;
    }
    while (status == ERR_LIMIT) {
        struct spill_job *job = new_job(fetch, object_of(fetch));
        status = offload(run_commit, job, free_job, CLOCK_NEVER);
        if (status == OK && job->status == OK) {
            __atomic_store_n(&object_of(fetch)->disk_id, job->id, __ATOMIC_RELAXED);
            content_land(fetch->content, job->reader);
            job->reader = NULL;
        }
        if (status == OK)
            free_job(job);
        else if (status == ERR_LIMIT && fiber_sleep(loop_now() + MILLISECONDS(BUSY_MS)) != OK)
            break;
    }
    cache_spill_abort(fetch); /* what was not committed */
}

void cache_spill_abort(struct cache_fetch *fetch)
{
    if (fetch->spill == NULL)
        return;
    bool was_cancelled = fiber_shield();
    enum status status = ERR_LIMIT;
    while (fetch->spill->put != NULL && status == ERR_LIMIT) {
        struct spill_job *job = new_job(fetch, fetch->fill->object);
        status = offload(run_abort, job, free_job, CLOCK_NEVER);
        if (status == OK)
            free_job(job);
        else if (status == ERR_LIMIT && fiber_sleep(loop_now() + MILLISECONDS(BUSY_MS)) != OK)
            was_cancelled = fiber_shield() || was_cancelled;
    }
    fiber_unshield(was_cancelled);
    release(fetch->spill);
    fetch->spill = NULL;
}
