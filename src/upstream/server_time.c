/* SPDX-License-Identifier: Apache-2.0 */
/* How fast a server answers, as least_time sees it. */
#include "base/clock.h"
#include "upstream/server.h"

enum {
    HALF_LIFE_MS = 1000,              /* of what was measured */
    SAMPLE_MS = 32,                   /* between two values that are better than the mean … */
    PART_MIN = 8,                     /* … of which each counts an eighth at least */
    UNITS = 16,                       /* of a microsecond */
    FAILED = 1000000 * UNITS,         /* a failure counts as an answer after a second, at least */
    TIME_MAX = 120 * 1000000 * UNITS, /* two minutes */
};

/* One word holds when something was measured (milliseconds, upper half) and what the mean was
 * (sixteenths of a microsecond, lower half), so that workers need no lock to see both. */
static uint64_t pack(uint32_t at, uint32_t mean)
{
    return (uint64_t)at << 32 | mean;
}

static uint32_t milliseconds(int64_t now)
{
    return (uint32_t)(now / MILLISECONDS(1));
}

/* How much of what was measured `age` ago still counts, of 65,536: halved each half-life, between
 * two of them along a straight line. */
static uint32_t left_after(uint32_t age)
{
    uint32_t halves = age / HALF_LIFE_MS;
    if (halves >= 16)
        return 0;
    return (65536 - 32768 * (age % HALF_LIFE_MS) / HALF_LIFE_MS) >> halves;
}

static uint32_t age_of(uint64_t timing, uint32_t now)
{
    uint32_t age = now - (uint32_t)(timing >> 32);
    return age > UINT32_MAX / 2 ? 0 : age; /* another worker's clock may be a little ahead */
}

void server_timed(struct server *server, int64_t took, bool has_failed)
{
    uint32_t now = milliseconds(loop_now());
    int64_t value = took * UNITS / 1000 + 1;
    if (has_failed && value < FAILED) /* an error comes fast: it must not draw more requests */
        value = FAILED;
    if (value > TIME_MAX)
        value = TIME_MAX;
    uint64_t old = __atomic_load_n(&server->timing, __ATOMIC_RELAXED);
    uint32_t age = age_of(old, now);
    uint64_t left = left_after(age);
    uint64_t before = (uint32_t)old;
    uint64_t mean = before * left / 65536;
    if ((uint64_t)value < mean && age < SAMPLE_MS)
        return; /* nearer to each other the fading would be lost in rounding */
    uint64_t next = (uint64_t)value;
    if (next < mean) { /* faded already; what has not faded enough gives way to the new value */
        uint64_t part = 65536 - left > 65536 / PART_MIN ? 65536 - left : 65536 / PART_MIN;
        next = before - (before - next) * part / 65536;
    }
    /* A worker that measured at the same moment was first: its value is as good. */
    __atomic_compare_exchange_n(&server->timing, &old, pack(now, (uint32_t)next), false,
                                __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

uint32_t server_expected_time(const struct server *server, int64_t now)
{
    uint64_t timing = __atomic_load_n(&server->timing, __ATOMIC_RELAXED);
    if (timing == 0)
        return 0;
    uint64_t left = left_after(age_of(timing, milliseconds(now)));
    return (uint32_t)((uint64_t)(uint32_t)timing * left / 65536) + 1;
}
