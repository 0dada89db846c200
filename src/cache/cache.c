/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/cache.h"

#include "base/arena.h"
#include "base/buffer.h"
#include "cache/disk.h"

#include <stdlib.h>

static struct store_settings of_store(const struct cache_settings *settings)
{
    int64_t most = settings->memory / 2; /* one alone does not push all others out */
    return (struct store_settings){
        .memory = settings->memory,
        .max_object = settings->max_object < most ? settings->max_object : most,
        .min_uses = settings->min_uses,
        .inactive = settings->inactive,
    };
}

static struct slice keep(char **at, struct slice text)
{
    char *copy = *at;
    if (text.size > 0)
        memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    *at += text.size + 1;
    return slice_of(copy, text.size);
}

static struct disk_settings of_disk(const struct cache *cache,
                                    const struct cache_settings *settings)
{
    return (struct disk_settings){
        .name = cache->name.data,
        .dir = cache->dir.data,
        .bytes_max = (uint64_t)settings->max_size,
        .object_max = (uint64_t)settings->max_object,
        .inactive = settings->inactive,
    };
}

struct cache *cache_new(const struct cache_settings *settings)
{
    struct cache *cache = memory_zero(sizeof *cache + settings->name.size + settings->dir.size + 2);
    char *at = (char *)(cache + 1);
    cache->references = 1;
    cache->name = keep(&at, settings->name);
    cache->dir = keep(&at, settings->dir);
    cache->max_object = settings->max_object;
    struct store_settings store = of_store(settings);
    cache->store = store_new(&store);
    if (cache->dir.size > 0) {
        struct disk_settings disk = of_disk(cache, settings);
        cache->disk = disk_new(&disk);
    }
    return cache;
}

int64_t cache_max_object(const struct cache *cache)
{
    int64_t most = store_max_object(cache->store);
    int64_t on_disk = __atomic_load_n(&cache->max_object, __ATOMIC_RELAXED);
    return cache->disk == NULL || on_disk < most ? most : on_disk;
}

struct cache *cache_hold(struct cache *cache)
{
    __atomic_add_fetch(&cache->references, 1, __ATOMIC_RELAXED);
    return cache;
}

void cache_release(struct cache *cache)
{
    if (__atomic_sub_fetch(&cache->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    store_free(cache->store);
    if (cache->disk != NULL)
        disk_free(cache->disk);
    free(cache);
}

void cache_set(struct cache *cache, const struct cache_settings *settings)
{
    struct store_settings store = of_store(settings);
    store_set(cache->store, &store);
    __atomic_store_n(&cache->max_object, settings->max_object, __ATOMIC_RELAXED);
    if (cache->disk != NULL) {
        struct disk_settings disk = of_disk(cache, settings);
        disk_set(cache->disk, &disk);
    }
}

unsigned cache_standard_port(struct slice scheme)
{
    return slice_equal(scheme, SLICE("https")) ? 443 : 80;
}

static char *write_part(char *at, struct slice text)
{
    uint32_t size = (uint32_t)text.size;
    memcpy(at, &size, sizeof size);
    if (text.size > 0)
        memcpy(at + sizeof size, text.data, text.size);
    return at + sizeof size + text.size;
}

void cache_write_key(struct buffer *out, struct slice scheme, struct slice host, unsigned port,
                     struct slice target, struct slice body)
{
    uint16_t number = (uint16_t)(port == 0 ? cache_standard_port(scheme) : port);
    size_t size =
        4 * sizeof(uint32_t) + sizeof number + scheme.size + host.size + target.size + body.size;
    if (!buffer_reserve(out, size))
        return;
    char *at = out->data + out->size;
    at = write_part(at, scheme);
    at = write_part(at, host);
    memcpy(at, &number, sizeof number);
    at = write_part(at + sizeof number, target);
    (void)write_part(at, body);
    out->size += size;
}
