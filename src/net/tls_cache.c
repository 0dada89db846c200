/* SPDX-License-Identifier: Apache-2.0 */
#include "net/tls_cache.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/list.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct session {
    struct session *next; /* of the same bucket */
    struct list age;
    int64_t put;
    size_t size;
    unsigned char id[TLS_CACHE_ID_SIZE];
    unsigned char text[];
};

struct tls_cache {
    pthread_mutex_t mutex;
    unsigned owners;
    size_t max;
    size_t buckets_count; /* a power of two */
    struct session **buckets;
    struct list by_age; /* the oldest first; all are kept equally long */
    struct tls_cache_figures figures;
};

struct tls_cache *tls_cache_new(size_t sessions_max)
{
    struct tls_cache *cache = memory_zero(sizeof *cache);
    pthread_mutex_init(&cache->mutex, NULL);
    cache->owners = 1;
    cache->max = sessions_max;
    cache->buckets_count = 1;
    while (cache->buckets_count < sessions_max)
        cache->buckets_count *= 2;
    cache->buckets = memory_zero(cache->buckets_count * sizeof *cache->buckets);
    list_init(&cache->by_age);
    return cache;
}

/* Ids are random and made here: nobody can choose one that is kept, so their first bytes will do.
 */
static struct session **bucket_of(const struct tls_cache *cache, const char *id)
{
    uint64_t number;
    memcpy(&number, id, sizeof number);
    return &cache->buckets[number & (cache->buckets_count - 1)];
}

/* Where what points to that session stands; what stands there is NULL if there is none. */
static struct session **place_of(const struct tls_cache *cache, const char *id)
{
    struct session **place = bucket_of(cache, id);
    while (*place != NULL && memcmp((*place)->id, id, TLS_CACHE_ID_SIZE) != 0)
        place = &(*place)->next;
    return place;
}

/* It holds a secret. */
static void forget(struct tls_cache *cache, struct session **place)
{
    struct session *session = *place;
    *place = session->next;
    list_remove(&session->age);
    cache->figures.sessions--;
    explicit_bzero(session, sizeof *session + session->size);
    free(session);
}

static struct session *oldest(const struct tls_cache *cache)
{
    return list_is_empty(&cache->by_age) ? NULL
                                         : LIST_ENTRY(cache->by_age.next, struct session, age);
}

static bool is_over(const struct session *session, int64_t now)
{
    return now - session->put >= SECONDS(TLS_CACHE_KEPT_S);
}

static void make_room(struct tls_cache *cache, int64_t now)
{
    struct session *first;
    while ((first = oldest(cache)) != NULL) {
        if (!is_over(first, now)) {
            if (cache->figures.sessions < cache->max)
                return;
            cache->figures.evicted++;
        }
        forget(cache, place_of(cache, (const char *)first->id));
    }
}

struct tls_cache *tls_cache_share(struct tls_cache *cache)
{
    if (cache != NULL)
        __atomic_add_fetch(&cache->owners, 1, __ATOMIC_RELAXED);
    return cache;
}

void tls_cache_free(struct tls_cache *cache)
{
    if (cache == NULL || __atomic_sub_fetch(&cache->owners, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    cache->max = 0;
    make_room(cache, 0);
    pthread_mutex_destroy(&cache->mutex);
    free(cache->buckets);
    free(cache);
}

void tls_cache_put(struct tls_cache *cache, struct slice id, struct slice text, int64_t now)
{
    if (cache->max == 0 || id.size != TLS_CACHE_ID_SIZE || text.size == 0 ||
        text.size > TLS_CACHE_SESSION_MAX)
        return;
    struct session *made = memory_alloc(sizeof *made + text.size);
    made->put = now;
    made->size = text.size;
    memcpy(made->id, id.data, sizeof made->id);
    memcpy(made->text, text.data, text.size);
    pthread_mutex_lock(&cache->mutex);
    struct session **place = place_of(cache, id.data);
    if (*place != NULL)
        forget(cache, place);
    make_room(cache, now);
    place = bucket_of(cache, id.data);
    made->next = *place;
    *place = made;
    list_append(&cache->by_age, &made->age);
    cache->figures.sessions++;
    cache->figures.stored++;
    pthread_mutex_unlock(&cache->mutex);
}

size_t tls_cache_get(struct tls_cache *cache, struct slice id, int64_t now, unsigned char *into)
{
    size_t size = 0;
    if (cache->max == 0 || id.size != TLS_CACHE_ID_SIZE)
        return 0;
    pthread_mutex_lock(&cache->mutex);
    struct session **place = place_of(cache, id.data);
    if (*place != NULL && is_over(*place, now)) {
        forget(cache, place);
    } else if (*place != NULL) {
        size = (*place)->size;
        memcpy(into, (*place)->text, size);
    }
    if (size > 0)
        cache->figures.found++;
    else
        cache->figures.missed++;
    pthread_mutex_unlock(&cache->mutex);
    return size;
}

void tls_cache_remove(struct tls_cache *cache, struct slice id)
{
    if (cache->max == 0 || id.size != TLS_CACHE_ID_SIZE)
        return;
    pthread_mutex_lock(&cache->mutex);
    struct session **place = place_of(cache, id.data);
    if (*place != NULL) {
        forget(cache, place);
        cache->figures.removed++;
    }
    pthread_mutex_unlock(&cache->mutex);
}

void tls_cache_look(struct tls_cache *cache, struct tls_cache_figures *figures)
{
    pthread_mutex_lock(&cache->mutex);
    *figures = cache->figures;
    pthread_mutex_unlock(&cache->mutex);
}
