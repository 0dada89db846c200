/* SPDX-License-Identifier: Apache-2.0 */
#include "control/trial.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "control/snapshot.h"
#include "fiber/thread.h"
#include "upstream/upstream.h"

#include <inttypes.h>
#include <string.h>

enum {
    SAMPLES = TRIAL_WINDOW_S + 1, /* one a second */
    DOWN_MAX = 64,                /* upstreams without a server that are told apart */
};

struct sample {
    uint64_t ended, failed;
};

/* Upstreams that have no usable server, and since when. */
struct down {
    const struct upstream *upstreams[DOWN_MAX];
    int64_t since[DOWN_MAX]; /* monotonic */
    size_t count;
};

static struct {
    void (*count)(uint64_t *ended, uint64_t *failed); /* NULL: not started */
    struct timer timer;
    struct sample samples[SAMPLES]; /* one a second, the oldest is overwritten */
    size_t next, filled;
    struct trial_limits limits;
    struct down before, now;
    struct sample base;    /* nothing before it is the new one's */
    unsigned share_before; /* of failures, in percent */
    char why[TRIAL_WHY_MAX];
} trial;

static void take_sample(void)
{
    struct sample *sample = &trial.samples[trial.next];
    trial.count(&sample->ended, &sample->failed);
    trial.next = (trial.next + 1) % SAMPLES;
    if (trial.filled < SAMPLES)
        trial.filled++;
}

static void on_timer(struct timer *timer)
{
    take_sample();
    timer_set(&thread_self()->timers, timer, loop_now() + SECONDS(1));
}

void trial_start(void (*count)(uint64_t *ended, uint64_t *failed))
{
    memset(&trial, 0, sizeof trial);
    trial.count = count;
    trial.timer.on_fire = on_timer;
    on_timer(&trial.timer);
}

void trial_stop(void)
{
    if (trial.count != NULL)
        timer_clear(&thread_self()->timers, &trial.timer);
    trial.count = NULL;
}

/* What has been counted since the oldest sample, or since `base` where that is later. */
static struct sample since(const struct sample *base)
{
    struct sample now;
    struct sample from = trial.samples[trial.filled < SAMPLES ? 0 : trial.next];
    trial.count(&now.ended, &now.failed);
    if (from.ended < base->ended)
        from = *base;
    return (struct sample){now.ended - from.ended, now.failed - from.failed};
}

static unsigned percent(const struct sample *sample)
{
    return sample->ended == 0 ? 0 : (unsigned)(sample->failed * 100 / sample->ended);
}

/* Somebody who takes servers out does not want to have the configuration of before. */
static bool is_down(const struct upstream *upstream)
{
    struct server_state state;
    for (size_t i = 0; upstream_server_state(upstream, i, &state); i++)
        if (state.is_usable || state.admin == SERVER_ADMIN_DRAIN ||
            state.admin == SERVER_ADMIN_DOWN)
            return false;
    return true;
}

static size_t find(const struct down *down, const struct upstream *upstream)
{
    size_t i = 0;
    while (i < down->count && down->upstreams[i] != upstream)
        i++;
    return i;
}

static void look_at_servers(const struct snapshot *snapshot, struct down *down)
{
    struct down was = *down;
    int64_t now = loop_now();
    down->count = 0;
    for (size_t i = 0; i < snapshot->upstreams_count && down->count < DOWN_MAX; i++) {
        const struct upstream *upstream = snapshot->upstreams[i];
        if (!is_down(upstream))
            continue;
        size_t known = find(&was, upstream);
        down->since[down->count] = known < was.count ? was.since[known] : now;
        down->upstreams[down->count++] = upstream;
    }
}

void trial_prepare(const struct snapshot *before)
{
    const struct sample nothing = {0, 0};
    if (trial.count == NULL)
        return;
    struct sample sample = since(&nothing);
    trial.share_before = percent(&sample);
    trial.before.count = 0;
    look_at_servers(before, &trial.before);
}

void trial_begin(const struct trial_limits *limits)
{
    trial.limits = *limits;
    trial.now.count = 0;
    if (trial.count != NULL)
        trial.count(&trial.base.ended, &trial.base.failed);
}

/* One that was down before has not been broken by what has come since. */
static const struct upstream *find_broken(const struct snapshot *snapshot)
{
    look_at_servers(snapshot, &trial.now);
    for (size_t i = 0; i < trial.now.count; i++)
        if (loop_now() - trial.now.since[i] >= trial.limits.down &&
            find(&trial.before, trial.now.upstreams[i]) == trial.before.count)
            return trial.now.upstreams[i];
    return NULL;
}

struct slice trial_look(const struct snapshot *snapshot)
{
    struct buffer out = buffer_fixed(trial.why, sizeof trial.why);
    if (trial.count == NULL)
        return SLICE("");
    struct sample sample = since(&trial.base);
    bool is_worse = trial.limits.errors > 0 && sample.ended >= TRIAL_REQUESTS_MIN &&
                    percent(&sample) >= (unsigned)trial.limits.errors &&
                    trial.share_before < (unsigned)trial.limits.errors;
    const struct upstream *broken = trial.limits.down > 0 ? find_broken(snapshot) : NULL;
    if (is_worse)
        buffer_format(&out, "%" PRIu64 " of %" PRIu64 " requests were answered with 5xx",
                      sample.failed, sample.ended);
    else if (broken != NULL)
        buffer_format(&out, "upstream %.*s has no usable server", SLICE_ARG(upstream_name(broken)));
    return buffer_slice(&out);
}
