/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange/file_cache.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/random.h"
#include "exchange/file_cache_inside.h"
#include "fiber/thread.h"

#include <stdio.h>
#include <stdlib.h>

static void sweep(struct timer *timer);

static struct file_cache *cache_of_thread(void)
{
    struct thread *thread = thread_self();
    if (thread->files != NULL)
        return thread->files;
    struct file_cache *cache = memory_zero(sizeof *cache);
    random_bytes(&cache->key, sizeof cache->key);
    list_init(&cache->found);
    list_init(&cache->missing);
    for (size_t i = 0; i < FILE_ROOTS_MAX; i++)
        cache->roots[i].fd = -1;
    cache->sweep.on_fire = sweep;
    thread->files = cache;
    return cache;
}

static struct kept_file *kept_of(struct open_file *file)
{
    return LIST_ENTRY(file, struct kept_file, file);
}

static void free_kept(struct kept_file *kept)
{
    struct file_cache *cache = kept->cache;
    if (kept->file.fd >= 0) {
        open_file_close(kept->file.fd);
        cache->open--;
    }
    if (kept->file.content.data != NULL) {
        cache->memory -= kept->file.content.size;
        free((void *)(uintptr_t)kept->file.content.data);
    }
    free(kept);
    if (--cache->count == 0 && cache->is_released)
        free(cache);
}

/* Nobody finds it any more; whoever has it keeps it. */
static void drop(struct kept_file *kept)
{
    struct file_cache *cache = kept->cache;
    struct kept_file **at = &cache->buckets[kept->hash % FILE_BUCKETS];
    while (*at != kept)
        at = &(*at)->next;
    *at = kept->next;
    list_remove(&kept->link);
    if (kept->status == OK)
        cache->found_count--;
    else
        cache->missing_count--;
    kept->is_listed = false;
    if (kept->users == 0)
        free_kept(kept);
}

void file_cache_share(struct open_file *file)
{
    kept_of(file)->users++;
}

void file_cache_leave(struct open_file *file)
{
    struct kept_file *kept = kept_of(file);
    check(kept->users > 0);
    if (--kept->users == 0 && !kept->is_listed)
        free_kept(kept);
}

void file_cache_make_room(struct file_cache *cache)
{
    while (cache->missing_count > FILE_CACHE_MISSING_MAX)
        drop(LIST_ENTRY(cache->missing.previous, struct kept_file, link));
    while (cache->found_count > 0 &&
           (cache->found_count > FILE_CACHE_ENTRIES_MAX || cache->open > FILE_CACHE_OPEN_MAX ||
            cache->memory > FILE_CACHE_MEMORY_MAX)) {
        struct kept_file *oldest = LIST_ENTRY(cache->found.previous, struct kept_file, link);
        if (oldest->link.previous == &cache->found)
            break; /* the one that is being used now */
        drop(oldest);
    }
}

/* What was not asked for lately goes: a file that was deleted takes place on its disk as long as
 * somebody has it open. */
static void sweep_list(struct list *list, int64_t before)
{
    LIST_EACH(link, list)
    {
        struct kept_file *kept = LIST_ENTRY(link, struct kept_file, link);
        if (kept->used < before)
            drop(kept);
    }
}

static void sweep(struct timer *timer)
{
    struct file_cache *cache = LIST_ENTRY(timer, struct file_cache, sweep);
    int64_t before = loop_now() - FILE_KEPT_UNUSED;
    sweep_list(&cache->found, before);
    sweep_list(&cache->missing, before);
    bool has_roots = false;
    for (size_t i = 0; i < FILE_ROOTS_MAX; i++) {
        struct kept_root *root = &cache->roots[i];
        if (root->fd >= 0 && root->used < before)
            kept_root_close(root);
        has_roots = has_roots || root->fd >= 0;
    }
    if (cache->found_count + cache->missing_count > 0 || has_roots)
        timer_set(&thread_self()->timers, timer, loop_now() + FILE_SWEEP_EVERY);
}

void file_cache_release(void)
{
    struct thread *thread = thread_self();
    struct file_cache *cache = thread->files;
    if (cache == NULL)
        return;
    timer_clear(&thread->timers, &cache->sweep);
    sweep_list(&cache->found, CLOCK_NEVER);
    sweep_list(&cache->missing, CLOCK_NEVER);
    for (size_t i = 0; i < FILE_ROOTS_MAX; i++)
        if (cache->roots[i].fd >= 0)
            kept_root_close(&cache->roots[i]);
    thread->files = NULL;
    cache->is_released = true; /* a disk that was asked may still hold one */
    if (cache->count == 0)
        free(cache);
}

void file_root_init(struct file_root *root, struct slice path, enum file_links links,
                    int64_t recheck)
{
    static const struct hash_key KEY = {0x7765697266696c65, 0x726f6f74};
    *root = (struct file_root){.path = path,
                               .links = links,
                               .recheck = recheck,
                               .hash = hash_text(KEY, path) + (uint64_t)links};
}

static uint64_t hash_of(const struct file_cache *cache, const struct file_root *root,
                        struct slice path)
{
    struct hash_key key = cache->key;
    key.first ^= root->hash;
    return hash_text(key, path);
}

static struct kept_file *find(struct file_cache *cache, uint64_t hash, const struct file_root *root,
                              struct slice path)
{
    for (struct kept_file *kept = cache->buckets[hash % FILE_BUCKETS]; kept != NULL;
         kept = kept->next)
        if (kept->hash == hash && kept->links == root->links && slice_equal(kept->path, path) &&
            slice_equal(kept->root, root->path))
            return kept;
    return NULL;
}

/* Of the size, the time and the number of the file; hashed, as a number of the disk is nobody's
 * business. The same in every weir that serves this file. */
static void name_version(struct kept_file *kept)
{
    static const struct hash_key KEY = {0x7765697266696c65, 0x65746167};
    const struct file_facts *facts = &kept->file.facts;
    uint64_t parts[] = {(uint64_t)facts->changed, (uint64_t)facts->size, facts->inode};
    uint64_t version = hash_text(KEY, slice_of((const char *)parts, sizeof parts));
    int size = snprintf(kept->etag_text, sizeof kept->etag_text, "\"%016llx\"",
                        (unsigned long long)version);
    kept->file.etag = slice_of(kept->etag_text, (size_t)size);
    kept->file.modified = date_http(facts->changed, kept->modified_text);
}

static bool is_same(const struct file_facts *a, const struct file_facts *b)
{
    return a->kind == b->kind && a->size == b->size && a->changed == b->changed &&
           a->altered == b->altered && a->inode == b->inode && a->device == b->device;
}

static void add(struct file_cache *cache, uint64_t hash, const struct file_root *root,
                struct slice path, struct file_look *look)
{
    struct kept_file *kept = memory_zero(sizeof *kept + root->path.size + path.size);
    memcpy(kept->text, root->path.data, root->path.size);
    memcpy(kept->text + root->path.size, path.data, path.size);
    kept->root = slice_of(kept->text, root->path.size);
    kept->path = slice_of(kept->text + root->path.size, path.size);
    kept->links = root->links;
    kept->cache = cache;
    cache->count++;
    kept->hash = hash;
    kept->status = look->status;
    kept->file.fd = look->fd;
    kept->file.facts = look->facts;
    if (look->fd >= 0)
        cache->open++;
    look->fd = -1;
    if (kept->status == OK)
        name_version(kept);
    kept->next = cache->buckets[hash % FILE_BUCKETS];
    cache->buckets[hash % FILE_BUCKETS] = kept;
    kept->is_listed = true;
    kept->checked = kept->used = loop_now();
    list_push(kept->status == OK ? &cache->found : &cache->missing, &kept->link);
    if (kept->status == OK)
        cache->found_count++;
    else
        cache->missing_count++;
    file_cache_make_room(cache);
    if (!timer_is_set(&cache->sweep))
        timer_set(&thread_self()->timers, &cache->sweep, loop_now() + FILE_SWEEP_EVERY);
}

/* What was seen takes the place of what was there, unless that is the same. What says nothing about
 * the file itself (there are no descriptors, the disk fails) changes nothing. */
static void note(struct file_cache *cache, uint64_t hash, const struct file_root *root,
                 struct slice path, struct file_look *look)
{
    struct kept_file *kept = find(cache, hash, root, path);
    bool says_something =
        look->status == OK || look->status == ERR_UNREACHABLE || look->status == ERR_DENIED;
    if (!says_something)
        return;
    if (kept != NULL && look->status == kept->status &&
        (look->status != OK || is_same(&look->facts, &kept->file.facts))) {
        kept->checked = loop_now();
        return;
    }
    if (kept != NULL)
        drop(kept);
    if (look->status == OK && look->facts.kind != FILE_REGULAR) {
        open_file_close(look->fd);
        look->fd = -1;
    }
    add(cache, hash, root, path, look);
}

static enum status take(struct file_cache *cache, struct kept_file *kept, struct open_file **file)
{
    struct list *list = kept->status == OK ? &cache->found : &cache->missing;
    kept->used = loop_now();
    if (list->next != &kept->link) {
        list_remove(&kept->link);
        list_push(list, &kept->link);
    }
    if (kept->status != OK)
        return kept->status;
    kept->users++;
    *file = &kept->file;
    return OK;
}

enum status file_cache_open(const struct file_root *root, struct slice path, int64_t deadline,
                            struct open_file **file)
{
    struct file_cache *cache = cache_of_thread();
    if (path.size > FILE_PATH_MAX)
        return ERR_UNREACHABLE;
    uint64_t hash = hash_of(cache, root, path);
    struct kept_file *kept = find(cache, hash, root, path);
    /* Others go on with what is known while one asks the disk. */
    if (kept != NULL &&
        (loop_now() - kept->checked < root->recheck || (kept->is_checking && root->recheck > 0)))
        return take(cache, kept, file);
    struct file_look look = {.fd = -1};
    look_now(cache, root, path, &look);
    if (look.status == ERR_TIMEOUT) {
        if (kept != NULL) {
            kept->users++;
            kept->is_checking = true;
        }
        enum status status = look_apart(root, path, deadline, &look);
        if (kept != NULL) {
            kept->is_checking = false;
            file_cache_leave(&kept->file);
        }
        if (status != OK)
            return status;
    }
    enum status status = look.status;
    note(cache, hash, root, path, &look);
    if (look.fd >= 0)
        open_file_close(look.fd);
    kept = find(cache, hash, root, path);
    return kept == NULL ? status : take(cache, kept, file);
}
