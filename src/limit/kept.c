/* SPDX-License-Identifier: Apache-2.0 */
#include "limit/kept.h"

#include "base/arena.h"
#include "base/list.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct kept {
    struct list link;
    const char *kind;
    struct slice name;
    void *object;
    void (*release)(void *object);
    unsigned references;
};

/* A configuration may be tried on a thread of its own while another one is served. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct list all = {&all, &all};

static struct kept *find(const char *kind, struct slice name)
{
    LIST_EACH(link, &all)
    {
        struct kept *kept = LIST_ENTRY(link, struct kept, link);
        if (strcmp(kept->kind, kind) == 0 && slice_equal(kept->name, name))
            return kept;
    }
    return NULL;
}

struct kept *kept_find(const char *kind, struct slice name, void *(*make)(int64_t argument),
                       int64_t argument, void (*release)(void *object))
{
    pthread_mutex_lock(&mutex);
    struct kept *kept = find(kind, name);
    if (kept == NULL) {
        kept = memory_zero(sizeof *kept + name.size);
        if (name.size > 0)
            memcpy(kept + 1, name.data, name.size);
        kept->kind = kind;
        kept->name = slice_of((const char *)(kept + 1), name.size);
        kept->object = make(argument);
        kept->release = release;
        list_append(&all, &kept->link);
    }
    kept->references++;
    pthread_mutex_unlock(&mutex);
    return kept;
}

void *kept_object(const struct kept *kept)
{
    return kept->object;
}

void kept_again(struct kept *kept)
{
    pthread_mutex_lock(&mutex);
    kept->references++;
    pthread_mutex_unlock(&mutex);
}

void kept_leave(struct kept *kept)
{
    pthread_mutex_lock(&mutex);
    bool is_last = --kept->references == 0;
    if (is_last)
        list_remove(&kept->link);
    pthread_mutex_unlock(&mutex);
    if (!is_last)
        return;
    kept->release(kept->object);
    free(kept);
}
