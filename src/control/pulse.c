/* SPDX-License-Identifier: Apache-2.0 */
#include "control/pulse.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "control/starved.h"
#include "fiber/child.h"
#include "fiber/crash.h"

#include <stdlib.h>

enum {
    BEAT_MS = 500,
    LATE_MS = 250,   /* control itself did not get to run: nothing can be told from that */
    STUCK_BEATS = 4, /* without a sign */
};

/* Of one worker. A letter is on its way from when it is posted until the worker has read it. */
struct sign {
    int is_asked;  /* atomic */
    int thread_id; /* atomic; 0: not known yet */
    int missed;
    struct starved starved; /* since the first time */
};

static struct {
    const struct serve_shared *shared; /* NULL: not started */
    void (*on_beat)(void);
    struct sign *signs;
    struct timer timer;
    int64_t due;
    int64_t until; /* draining; 0: not */
} pulse;

/* On the worker's thread. */
static void give_sign(void *argument)
{
    struct sign *sign = argument;
    __atomic_store_n(&sign->thread_id, crash_thread_id(), __ATOMIC_RELAXED);
    __atomic_store_n(&sign->is_asked, 0, __ATOMIC_RELEASE);
}

static void end_stuck(unsigned i, const struct sign *sign)
{
    int id = __atomic_load_n(&sign->thread_id, __ATOMIC_RELAXED);
    log_write(LOG_ERROR, "worker_stuck", "worker %u has not turned for %d ms: the process ends", i,
              STUCK_BEATS * BEAT_MS);
    crash_thread(id == 0 ? crash_thread_id() : id);
}

/* Whether it is well all the same: it waits for a core. */
static bool on_missed(unsigned i, struct sign *sign, bool is_late)
{
    int id = __atomic_load_n(&sign->thread_id, __ATOMIC_RELAXED);
    if (is_late || sign->missed == 0) {
        starved_begin(&sign->starved, process_id(), id);
        sign->missed = is_late ? 0 : 1;
        return false;
    }
    if (id != 0 && starved_is(&sign->starved))
        return true;
    if (++sign->missed >= STUCK_BEATS)
        end_stuck(i, sign);
    return false;
}

/* Whether all workers have given the sign they were asked for half a second ago. */
static bool ask_all(bool is_late)
{
    bool all = true;
    for (unsigned i = 0; i < pulse.shared->workers_count; i++) {
        struct sign *sign = &pulse.signs[i];
        if (__atomic_load_n(&sign->is_asked, __ATOMIC_ACQUIRE)) {
            all = on_missed(i, sign, is_late) && all;
            continue;
        }
        sign->missed = 0;
        __atomic_store_n(&sign->is_asked, 1, __ATOMIC_RELAXED);
        if (!thread_post(&pulse.shared->workers[i]->thread, give_sign, sign))
            __atomic_store_n(&sign->is_asked, 0, __ATOMIC_RELAXED);
    }
    return all;
}

static void beat(struct timer *timer)
{
    int64_t now = clock_monotonic();
    bool is_late = now - pulse.due > MILLISECONDS(LATE_MS);
    bool is_well = pulse.until != 0 ? now < pulse.until : ask_all(is_late);
    if (is_well)
        pulse.on_beat();
    pulse.due = now + MILLISECONDS(BEAT_MS);
    timer_set(&thread_self()->timers, timer, pulse.due);
}

void pulse_start(const struct serve_shared *shared, void (*on_beat)(void))
{
    pulse.shared = shared;
    pulse.on_beat = on_beat;
    pulse.signs = memory_zero(shared->workers_count * sizeof *pulse.signs);
    pulse.timer.on_fire = beat;
    pulse.due = clock_monotonic();
    beat(&pulse.timer);
}

void pulse_drain(int64_t until)
{
    pulse.until = until;
}

void pulse_stop(void)
{
    if (pulse.shared == NULL)
        return;
    timer_clear(&thread_self()->timers, &pulse.timer);
    free(pulse.signs);
    pulse.shared = NULL;
}
