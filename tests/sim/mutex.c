/* SPDX-License-Identifier: Apache-2.0 */
/* The mutexes of the product, linked with --wrap: nothing waits for one here, but each is made
 * before it is used, unlocked only by who has locked it, and destroyed. */
#include "mutex.h"

#include "world.h"

#include <pthread.h>
#include <stdint.h>

enum {
    MADE_MAX = 4096,
    HELD_MAX = 16,
};

int __wrap_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes);
int __wrap_pthread_mutex_destroy(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_trylock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex);

static const pthread_mutex_t *made[MADE_MAX];
static unsigned made_count;
static const pthread_mutex_t *held[HELD_MAX];
static unsigned held_count;

/* Of the program's own data: those are made as they are declared. */
extern char __data_start, _end;

static unsigned find(const pthread_mutex_t *const *list, unsigned count,
                     const pthread_mutex_t *mutex)
{
    unsigned at = count;
    while (at > 0 && list[at - 1] != mutex)
        at--;
    return at;
}

static bool is_static(const pthread_mutex_t *mutex)
{
    return (const char *)mutex >= &__data_start && (const char *)mutex < &_end;
}

int __wrap_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes)
{
    (void)attributes;
    if (find(made, made_count, mutex) > 0)
        world_broken("locks", "a mutex is made twice");
    if (made_count == MADE_MAX)
        world_broken("world", "too many mutexes");
    made[made_count++] = mutex;
    return 0;
}

int __wrap_pthread_mutex_destroy(pthread_mutex_t *mutex)
{
    unsigned at = find(made, made_count, mutex);
    if (find(held, held_count, mutex) > 0)
        world_broken("locks", "a mutex is destroyed while it is held");
    if (at == 0)
        world_broken("locks", "a mutex is destroyed that nobody made");
    made[at - 1] = made[--made_count];
    return 0;
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
    if (!is_static(mutex) && find(made, made_count, mutex) == 0)
        world_broken("locks", "a mutex is locked that nobody made");
    if (find(held, held_count, mutex) > 0)
        world_broken("locks", "a mutex is locked that is held already");
    if (held_count == HELD_MAX)
        world_broken("locks", "more mutexes are held than anybody needs");
    held[held_count++] = mutex;
    return 0;
}

int __wrap_pthread_mutex_trylock(pthread_mutex_t *mutex)
{
    return __wrap_pthread_mutex_lock(mutex);
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    unsigned at = find(held, held_count, mutex);
    if (at == 0)
        world_broken("locks", "a mutex is unlocked that nobody holds");
    held[at - 1] = held[--held_count];
    return 0;
}

unsigned mutexes_made(void)
{
    return made_count;
}

unsigned mutexes_held(void)
{
    return held_count;
}
