/* SPDX-License-Identifier: Apache-2.0 */
/* What lies on the disk beside the memory: looked for when memory has nothing, written when an
 * answer is whole. All of it runs on offload's threads, by jobs that own what they go by. */
#include "base/clock.h"
#include "cache/disk.h"
#include "cache/meta.h"
#include "fiber/offload.h"
#include "fiber/thread.h"
#include "steps/cache_inside.h"

#include <stdlib.h>

enum {
    IN_MEMORY_MAX = 256 * 1024, /* a body up to this is taken into memory when it is found */
    LOOK_S = 2,                 /* a disk that takes longer has nothing: the server is asked */
};

struct job {
    struct arena arena;
    struct cache *cache;
    struct slice key;
    /* looking: */
    struct fields request;
    struct object *found; /* held; NULL */
    int64_t now, wall;
    /* writing, renewing: */
    struct object *object; /* held */
    uint64_t moment;
    bool is_renewal;
};

static struct job *new_job(struct cache *cache, struct slice key)
{
    struct job *job = memory_zero(sizeof *job);
    arena_init(&job->arena, NULL, 0);
    job->cache = cache_hold(cache);
    job->key = arena_copy(&job->arena, key);
    job->now = loop_now();
    job->wall = clock_wall();
    return job;
}

static void free_job(void *argument)
{
    struct job *job = argument;
    if (job->found != NULL)
        object_release(job->found);
    if (job->object != NULL)
        object_release(job->object);
    cache_release(job->cache);
    arena_done(&job->arena);
    free(job);
}

/* --- Looking --- */

static struct content *read_content(struct job *job, const struct disk_found *found)
{
    struct disk_reader *reader;
    if (disk_open(job->cache->disk, found->id, &reader) != OK)
        return NULL;
    if (found->body_size > IN_MEMORY_MAX || !store_may_take(job->cache->store, found->body_size))
        return content_of_disk(reader, found->body_size);
    struct content *content = content_new((int64_t)found->body_size);
    char *block = memory_alloc(DISK_BLOCK);
    enum status status = OK;
    while (content->size < found->body_size && status == OK) {
        struct slice bytes;
        status = disk_read(reader, content->size, block, DISK_BLOCK, &bytes);
        if (status == OK)
            content_append(content, bytes);
    }
    free(block);
    disk_close(reader);
    content_end(content, status == OK);
    if (status == OK)
        return content;
    content_release(content);
    return NULL;
}

static void run_look(void *argument)
{
    struct job *job = argument;
    struct disk_found *found;
    size_t count;
    disk_find(job->cache->disk, job->key, &job->arena, &found, &count);
    for (size_t i = 0; i < count && job->found == NULL; i++) {
        if (!meta_matches(found[i].variant, &job->request, &job->arena))
            continue;
        struct content *content = read_content(job, &found[i]);
        if (content == NULL)
            continue;
        job->found = meta_read(found[i].variant, found[i].meta, content, job->now, job->wall);
        content_release(content);
        if (job->found == NULL)
            continue;
        job->found->disk_id = found[i].id;
        job->found->is_purged = found[i].is_stale;
    }
}

bool cache_disk_look(struct cache_visit *visit)
{
    struct cache *cache = visit->config->cache;
    if (cache->disk == NULL || !disk_may_have(cache->disk, visit->key.text))
        return false;
    struct job *job = new_job(cache, visit->key.text);
    fields_init(&job->request, &job->arena, NULL, 0);
    for (uint32_t i = 0; i < visit->request.fields->count; i++) {
        const struct field *field = &visit->request.fields->items[i];
        fields_append_checked(&job->request, (enum field_id)field->id,
                              arena_copy(&job->arena, field->name),
                              arena_copy(&job->arena, field->value));
    }
    int64_t deadline = loop_now() + SECONDS(LOOK_S);
    if (visit->x->deadline < deadline)
        deadline = visit->x->deadline;
    uint64_t moment = disk_moment(cache->disk);
    if (offload(run_look, job, free_job, deadline) != OK)
        return true;
    visit->loaded = job->found;
    job->found = NULL;
    free_job(job);
    /* One that is read from its file holds that open: it is this request's alone. So is what may
     * have been dropped meanwhile. */
    if (visit->loaded != NULL && visit->loaded->content->reader == NULL &&
        disk_moment(cache->disk) == moment)
        store_keep(cache->store, &visit->key, visit->loaded, loop_now());
    return true;
}

/* --- Writing --- */

static enum status append(struct disk_put *put, struct object *object)
{
    struct content_cursor cursor;
    if (!content_open(object->content, &cursor))
        return ERR_LIMIT;
    enum status status = OK;
    for (uint64_t at = 0; at < object->content->size && status == OK;) {
        struct slice bytes;
        status = content_read(&cursor, at, UINT64_MAX, &bytes, 0); /* it is whole: no wait */
        at += bytes.size;
        if (status == OK)
            status = disk_put_append(put, bytes);
    }
    content_close(&cursor);
    return status;
}

static void run_write(void *argument)
{
    struct job *job = argument;
    struct object *object = job->object;
    struct slice variant;
    struct slice meta;
    struct disk_put *put;
    uint64_t id;
    meta_write(object, job->now, job->wall, &job->arena, &variant, &meta);
    if (job->is_renewal) {
        id = __atomic_load_n(&object->disk_id, __ATOMIC_RELAXED);
        if (disk_update(job->cache->disk, id, meta) != OK)
            __atomic_store_n(&object->disk_id, 0, __ATOMIC_RELAXED);
        return;
    }
    if (disk_put_begin(job->cache->disk, job->key, variant, object->content->size, &put) != OK)
        return;
    disk_put_since(put, job->moment);
    if (append(put, object) != OK) {
        disk_put_abort(put);
        return;
    }
    struct fields fields;
    object_fields(object, &job->arena, 0, &fields);
    if (disk_put_commit(put, meta, object->url, object_tag_list(&fields, &job->arena), &id, NULL) ==
        OK)
        __atomic_store_n(&object->disk_id, id, __ATOMIC_RELAXED);
}

void cache_disk_write(struct cache *cache, struct slice key, struct object *object, uint64_t moment)
{
    bool is_renewal = object->was_validated && object->disk_id != 0;
    if (cache->disk == NULL || (object->content->reader != NULL && !is_renewal))
        return;
    struct job *job = new_job(cache, key);
    job->object = object_hold(object);
    job->is_renewal = is_renewal;
    job->moment = moment;
    if (offload(run_write, job, free_job, CLOCK_NEVER) == OK)
        free_job(job);
}

/* --- Letting go --- */

static void run_drop(void *argument)
{
    struct job *job = argument;
    uint64_t count;
    if (disk_drop_key(job->cache->disk, job->key, false, &count) != OK) {
        /* The disk says in the log what is wrong with it, and gives nothing any more. */
    }
    /* Somebody may have taken it from the disk into memory before it was dropped there. */
    const struct store_key key = store_key_of(job->cache->store, job->key);
    (void)store_purge_key(job->cache->store, &key, false);
}

void cache_forget(struct cache *cache, const struct store_key *key)
{
    struct store_purged purged = store_purge_key(cache->store, key, false);
    /* What was in memory may be on its way to the disk. */
    if (cache->disk == NULL || (purged.objects == 0 && !disk_may_get(cache->disk, key->text)))
        return;
    struct job *job = new_job(cache, key->text);
    if (offload(run_drop, job, free_job, CLOCK_NEVER) == OK)
        free_job(job);
}
