/* SPDX-License-Identifier: Apache-2.0 */
#include "fiber/lane.h"

#include "base/arena.h"
#include "base/check.h"
#include "base/clock.h"
#include "fiber/crash.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

struct lane {
    pthread_mutex_t mutex;
    pthread_cond_t has_work;
    struct lane_job *first, *last;
    size_t size, size_max;
    bool is_started, is_ended;
};

/* All that are not gone yet. */
static struct {
    pthread_mutex_t mutex;
    pthread_cond_t one_less;
    unsigned count;
} alive = {.mutex = PTHREAD_MUTEX_INITIALIZER, .one_less = PTHREAD_COND_INITIALIZER};

static void lane_free(struct lane *lane)
{
    pthread_mutex_destroy(&lane->mutex);
    pthread_cond_destroy(&lane->has_work);
    free(lane);
}

static struct lane_job *take(struct lane *lane)
{
    pthread_mutex_lock(&lane->mutex);
    while (lane->first == NULL && !lane->is_ended)
        pthread_cond_wait(&lane->has_work, &lane->mutex);
    struct lane_job *job = lane->first;
    if (job != NULL) {
        lane->first = job->next;
        if (lane->first == NULL)
            lane->last = NULL;
    }
    pthread_mutex_unlock(&lane->mutex);
    return job;
}

static void *work(void *argument)
{
    struct lane *lane = argument;
    struct lane_job *job;
    crash_thread_begin();
    while ((job = take(lane)) != NULL) {
        size_t size = job->size;
        job->run(job);
        pthread_mutex_lock(&lane->mutex);
        lane->size -= size; /* what is being written still waits */
        pthread_mutex_unlock(&lane->mutex);
    }
    lane_free(lane);
    crash_thread_end();
    pthread_mutex_lock(&alive.mutex);
    alive.count--;
    pthread_cond_broadcast(&alive.one_less);
    pthread_mutex_unlock(&alive.mutex);
    return NULL;
}

struct lane *lane_new(size_t size_max)
{
    struct lane *lane = memory_zero(sizeof *lane);
    pthread_mutex_init(&lane->mutex, NULL);
    pthread_cond_init(&lane->has_work, NULL);
    lane->size_max = size_max;
    return lane;
}

bool lane_pause(struct lane *lane, int64_t duration)
{
    int64_t until = clock_wall() + duration; /* what the condition goes by */
    struct timespec at = {.tv_sec = until / SECONDS(1), .tv_nsec = until % SECONDS(1)};
    pthread_mutex_lock(&lane->mutex);
    while (!lane->is_ended && pthread_cond_timedwait(&lane->has_work, &lane->mutex, &at) == 0)
        continue;
    bool goes_on = !lane->is_ended;
    pthread_mutex_unlock(&lane->mutex);
    return goes_on;
}

/* Under the lane's mutex. */
static bool start(struct lane *lane)
{
    pthread_attr_t detached;
    pthread_t thread;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    /* Signals are for control's loop. */
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    pthread_mutex_lock(&alive.mutex);
    lane->is_started = pthread_create(&thread, &detached, work, lane) == 0;
    alive.count += lane->is_started;
    pthread_mutex_unlock(&alive.mutex);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&detached);
    return lane->is_started;
}

bool lane_post(struct lane *lane, struct lane_job *job)
{
    pthread_mutex_lock(&lane->mutex);
    check(!lane->is_ended);
    bool has_thread = lane->is_started || start(lane);
    bool has_room = has_thread &&
                    (lane->size + job->size <= lane->size_max || lane->size == 0 || job->size == 0);
    if (has_room) {
        job->next = NULL;
        if (lane->last == NULL)
            lane->first = job;
        else
            lane->last->next = job;
        lane->last = job;
        lane->size += job->size;
        pthread_cond_signal(&lane->has_work);
    }
    pthread_mutex_unlock(&lane->mutex);
    if (has_thread || job->size > 0)
        return has_room;
    job->run(job); /* there is no thread to be had, and nothing before it */
    return true;
}

void lane_end(struct lane *lane)
{
    pthread_mutex_lock(&lane->mutex);
    lane->is_ended = true;
    bool is_started = lane->is_started;
    pthread_cond_signal(&lane->has_work);
    pthread_mutex_unlock(&lane->mutex);
    if (!is_started)
        lane_free(lane);
}

bool lanes_finish(int64_t deadline)
{
    pthread_mutex_lock(&alive.mutex);
    while (alive.count > 0) {
        int64_t left = deadline - clock_monotonic();
        if (left <= 0)
            break;
        int64_t until = clock_wall() + left; /* what the condition goes by */
        struct timespec at = {.tv_sec = until / SECONDS(1), .tv_nsec = until % SECONDS(1)};
        pthread_cond_timedwait(&alive.one_less, &alive.mutex, &at);
    }
    bool are_gone = alive.count == 0;
    pthread_mutex_unlock(&alive.mutex);
    return are_gone;
}
