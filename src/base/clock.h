/* SPDX-License-Identifier: Apache-2.0 */
/* The two clocks. Everything that waits or measures uses the monotonic one. */
#pragma once

#include <stdint.h>

#define MILLISECONDS(n) ((int64_t)(n)*1000000)
#define SECONDS(n)      ((int64_t)(n)*1000000000)
#define CLOCK_NEVER     INT64_MAX

/* Nanoseconds since an arbitrary start; asks the kernel. On a path of exchanges use loop_now(). */
int64_t clock_monotonic(void);
/* Nanoseconds since 1970, UTC; may jump. For headers, logs and certificates only. */
int64_t clock_wall(void);

/* That much later; never, when either is CLOCK_NEVER. */
static inline int64_t clock_after(int64_t at, int64_t duration)
{
    return duration > CLOCK_NEVER - at ? CLOCK_NEVER : at + duration;
}
