/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/crowd.h"

#include "base/arena.h"
#include "base/clock.h"
#include "fiber/fiber.h"
#include "fiber/thread.h"

#include <stdlib.h>

enum {
    LOOK_S =
        1, /* a letter may not have found room in a mailbox: so often waiters look by themselves */
};

/* Those of one thread. The list is that thread's alone. */
struct crowd_group {
    struct crowd_group *next;
    struct thread *thread;
    struct list waiters;
    uint32_t references; /* of the crowd and of a letter; atomic */
    bool is_written_to;  /* a letter is on its way; atomic */
};

struct waiter {
    struct list link;
    struct fiber *fiber;
};

void crowd_init(struct crowd *crowd)
{
    pthread_mutex_init(&crowd->mutex, NULL);
    crowd->groups = NULL;
}

static void leave(struct crowd_group *group)
{
    if (__atomic_sub_fetch(&group->references, 1, __ATOMIC_ACQ_REL) == 0)
        free(group);
}

void crowd_done(struct crowd *crowd)
{
    for (struct crowd_group *group = crowd->groups, *next; group != NULL; group = next) {
        next = group->next;
        leave(group);
    }
    crowd->groups = NULL;
    pthread_mutex_destroy(&crowd->mutex);
}

static struct crowd_group *group_of_thread(struct crowd *crowd)
{
    struct thread *thread = thread_self();
    pthread_mutex_lock(&crowd->mutex);
    struct crowd_group *group = crowd->groups;
    while (group != NULL && group->thread != thread)
        group = group->next;
    if (group == NULL) {
        group = memory_zero(sizeof *group);
        group->thread = thread;
        group->references = 1;
        list_init(&group->waiters);
        group->next = crowd->groups;
        crowd->groups = group;
    }
    pthread_mutex_unlock(&crowd->mutex);
    return group;
}

enum status crowd_wait(struct crowd *crowd, bool (*is_there)(void *argument), void *argument,
                       int64_t deadline)
{
    if (is_there(argument))
        return OK;
    struct crowd_group *group = group_of_thread(crowd);
    struct waiter waiter = {.fiber = fiber_self()};
    list_append(&group->waiters, &waiter.link);
    enum status status = OK;
    while (!is_there(argument)) {
        int64_t look = loop_now() + SECONDS(LOOK_S);
        status = fiber_wait(look < deadline ? look : deadline);
        if (status == ERR_CANCELLED || (status == ERR_TIMEOUT && loop_now() >= deadline))
            break;
        status = OK;
    }
    list_remove(&waiter.link);
    return is_there(argument) && status != ERR_CANCELLED ? OK : status;
}

static void wake_here(struct crowd_group *group)
{
    LIST_EACH(link, &group->waiters)
    {
        fiber_wake(LIST_ENTRY(link, struct waiter, link)->fiber);
    }
}

static void on_letter(void *argument)
{
    struct crowd_group *group = argument;
    __atomic_store_n(&group->is_written_to, false, __ATOMIC_SEQ_CST);
    wake_here(group);
    leave(group);
}

static void write_to(struct crowd_group *group)
{
    if (__atomic_exchange_n(&group->is_written_to, true, __ATOMIC_SEQ_CST))
        return;
    __atomic_add_fetch(&group->references, 1, __ATOMIC_RELAXED);
    if (thread_post(group->thread, on_letter, group))
        return;
    __atomic_store_n(&group->is_written_to, false, __ATOMIC_SEQ_CST);
    leave(group);
}

void crowd_wake(struct crowd *crowd)
{
    const struct thread *thread = thread_self();
    pthread_mutex_lock(&crowd->mutex);
    for (struct crowd_group *group = crowd->groups; group != NULL; group = group->next)
        if (group->thread == thread)
            wake_here(group);
        else
            write_to(group);
    pthread_mutex_unlock(&crowd->mutex);
}
