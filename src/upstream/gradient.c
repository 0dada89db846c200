/* SPDX-License-Identifier: Apache-2.0 */
/* Every tenth of a second the mean of the answers is held against the best: what answers take when
 * nothing waits in the servers. As long as they are alike the limit grows, when they differ by more
 * than a quarter it shrinks by the ratio, so that it stays a little above what servers do at a
 * time. Means are of logarithms: a few answers that take a hundred times longer move them little.
 *
 * The best is learnt where it can be seen: at first, when the limit is low; whenever answers are
 * faster; and where the limit is used up and answers are slower than the best, by a look every ten
 * seconds with half as many in work. Such a look costs requests, but only those who send too many
 * already. What is slow at the lowest limit has become slower itself and is the new best. When the
 * limit has shrunk, what was asked before still waits: nothing is counted until that has gone. */
#include "upstream/gradient.h"

#include "fiber/thread.h"

enum {
    WINDOW_MS = 100,
    WINDOW_LONG_MS = 1000, /* when few are answered */
    SAMPLES = 50,
    SAMPLES_FEW = 10, /* enough for a long window */
    FIRST = 8,
    GOOD_MAX = 8, /* it grows as many times faster */
    LOW_WINDOWS = 2,
    LOOK_MS = 10000,
    LOOK_AGAIN_MS = 1000, /* after one that has found something better */
    UNIT = 1024,          /* a doubling */
    TOLERANCE = 330,      /* a quarter above the best is still good */
    HIGHER = 141,         /* a tenth is worth a look */
    SHRINK_MAX = UNIT,    /* to half, in one step */
    SETTLED = 4,          /* times the mean: then what waited has gone */
    SETTLED_MAX_S = 5,
};

#define LOAD(field)         __atomic_load_n(&(field), __ATOMIC_RELAXED)
#define STORE(field, value) __atomic_store_n(&(field), (value), __ATOMIC_RELAXED)

static int64_t between(int64_t value, struct gradient_bounds bounds)
{
    value = value < bounds.least ? bounds.least : value;
    return value > bounds.most ? bounds.most : value;
}

uint32_t gradient_limit(const struct gradient *gradient, struct gradient_bounds bounds)
{
    uint32_t limit = LOAD(gradient->limit);
    return (uint32_t)between(limit == 0 ? FIRST : limit, bounds);
}

void gradient_note_work(struct gradient *gradient, uint32_t requests)
{
    if (requests > LOAD(gradient->highest))
        STORE(gradient->highest, requests);
}

/* What a chord leaves out of the curve between two powers of two. */
static int64_t bulge(int64_t part)
{
    return part * (UNIT - part) * 353 >> 20;
}

static int64_t logarithm(int64_t time)
{
    uint64_t value = time < UNIT ? UNIT : (uint64_t)time;
    int top = 63 - __builtin_clzll(value);
    int64_t part = (int64_t)(value >> (top - 10)) - UNIT;
    return (int64_t)top * UNIT + part + bulge(part);
}

/* value / 2^(by / UNIT) */
static int64_t divided(int64_t value, int64_t by)
{
    int64_t whole = (by + UNIT - 1) / UNIT;
    int64_t part = whole * UNIT - by;
    return value * (UNIT + part - bulge(part)) / UNIT >> whole;
}

static int64_t root(int64_t number)
{
    int64_t result = 1;
    while ((result + 1) * (result + 1) <= number)
        result++;
    return result;
}

static void look_after(struct gradient *gradient, int64_t now, int64_t ms)
{
    int64_t jitter = random_below(&thread_self()->random, (uint32_t)ms / 4);
    STORE(gradient->look_at, now + MILLISECONDS(ms + jitter));
}

static void set_limit(struct gradient *gradient, int64_t limit, int64_t mean, int64_t now)
{
    int64_t settled = (int64_t)SETTLED << mean / UNIT;
    if (settled > SECONDS(SETTLED_MAX_S))
        settled = SECONDS(SETTLED_MAX_S);
    STORE(gradient->limit, (uint32_t)limit);
    STORE(gradient->window, now + settled);
}

/* Half as many were in work: that is what answers take, or still too many. */
static void end_look(struct gradient *gradient, int64_t mean, int64_t now)
{
    bool is_better = mean + HIGHER < gradient->best;
    gradient->best = mean;
    set_limit(gradient, gradient->resume, mean, now);
    gradient->resume = 0;
    look_after(gradient, now, is_better ? LOOK_AGAIN_MS : LOOK_MS);
}

/* Answers are slower than the best by so much. */
static void shrink(struct gradient *gradient, struct gradient_bounds bounds, int64_t limit,
                   int64_t mean, int64_t now)
{
    int64_t by = mean - gradient->best - TOLERANCE;
    int64_t less = between(divided(limit, by > SHRINK_MAX ? SHRINK_MAX : by), bounds);
    gradient->is_past_rise = true;
    gradient->good = 0;
    gradient->low = less < limit ? 0 : gradient->low + 1;
    if (gradient->low >= LOW_WINDOWS) {
        gradient->best = mean;
        gradient->low = 0;
        look_after(gradient, now, LOOK_MS);
    }
    set_limit(gradient, less, mean, now);
}

static void grow(struct gradient *gradient, struct gradient_bounds bounds, int64_t limit)
{
    gradient->low = 0;
    if (gradient->good < GOOD_MAX)
        gradient->good++;
    int64_t step = (root(limit) + 1) / 2 * gradient->good;
    STORE(gradient->limit,
          (uint32_t)between(gradient->is_past_rise ? limit + step : 2 * limit, bounds));
}

/* What a window says of the best: a quarter of what is faster; of what is slower a 16th where so
 * few are in work that none of them can have waited. */
static void learn(struct gradient *gradient, int64_t mean, bool has_room)
{
    if (gradient->best == 0)
        gradient->best = mean;
    else if (mean < gradient->best)
        gradient->best -= (gradient->best - mean + 3) / 4;
    else if (has_room)
        gradient->best += (mean - gradient->best + 15) / 16;
}

static void adapt(struct gradient *gradient, struct gradient_bounds bounds, int64_t mean,
                  int64_t highest, int64_t now)
{
    int64_t limit = gradient_limit(gradient, bounds);
    if (gradient->resume > 0) {
        end_look(gradient, mean, now);
        return;
    }
    learn(gradient, mean, highest * 2 < limit);
    if (gradient->look_at == 0)
        look_after(gradient, now, LOOK_AGAIN_MS);
    int64_t above = mean - gradient->best;
    if (above > HIGHER && highest >= limit && now >= gradient->look_at && limit > bounds.least) {
        gradient->resume = (uint32_t)limit;
        gradient->is_past_rise = true;
        set_limit(gradient, between(limit / 2, bounds), mean, now);
    } else if (above > TOLERANCE) {
        shrink(gradient, bounds, limit, mean, now);
    } else if (highest * 2 >= limit) { /* else nothing is known of more */
        grow(gradient, bounds, limit);
    }
}

/* One worker does; another that would like to at the same moment goes its way. */
static void close_window(struct gradient *gradient, struct gradient_bounds bounds, int64_t now,
                         int64_t began)
{
    if (__atomic_exchange_n(&gradient->is_held, true, __ATOMIC_ACQUIRE))
        return;
    if (LOAD(gradient->window) == began) {
        STORE(gradient->window, now);
        uint32_t samples = __atomic_exchange_n(&gradient->samples, 0, __ATOMIC_RELAXED);
        int64_t sum = __atomic_exchange_n(&gradient->sum, 0, __ATOMIC_RELAXED);
        uint32_t highest = __atomic_exchange_n(&gradient->highest, 0, __ATOMIC_RELAXED);
        if (began != 0 && samples >= SAMPLES_FEW)
            adapt(gradient, bounds, sum / samples, highest, now);
    }
    __atomic_store_n(&gradient->is_held, false, __ATOMIC_RELEASE);
}

void gradient_measure(struct gradient *gradient, struct gradient_bounds bounds, int64_t took)
{
    int64_t now = loop_now();
    int64_t began = LOAD(gradient->window);
    if (now < began)
        return;
    __atomic_add_fetch(&gradient->sum, logarithm(took), __ATOMIC_RELAXED);
    uint32_t samples = __atomic_add_fetch(&gradient->samples, 1, __ATOMIC_RELAXED);
    int64_t length = now - began;
    if (began == 0 || (length >= MILLISECONDS(WINDOW_MS) && samples >= SAMPLES) ||
        (length >= MILLISECONDS(WINDOW_LONG_MS) && samples >= SAMPLES_FEW))
        close_window(gradient, bounds, now, began);
}
