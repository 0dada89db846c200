/* SPDX-License-Identifier: Apache-2.0 */
/* How close a process is to its memory budget, and what that asks of it. Pure. */
#pragma once

#include <stdint.h>

enum pressure {
    PRESSURE_NONE,
    PRESSURE_TRIM,   /* 85 %: what is only kept for later is given back */
    PRESSURE_CLOSE,  /* 92 %: no keep-alive */
    PRESSURE_REFUSE, /* 95 %: new requests are refused, new connections wait */
    PRESSURE_END,    /* 98 %: the largest client is ended */
};

/* The level that follows. It rises at once, and falls when two hundredths of the budget below where
 * it began are reached, so that it does not flutter. */
enum pressure pressure_next(enum pressure now, int64_t used, int64_t budget);
/* How many bytes more it takes until requests are refused; never negative. */
int64_t pressure_room(int64_t used, int64_t budget);
/* How many bytes more it takes until what is only kept is given back; negative: so many are to be.
 */
int64_t pressure_spare(int64_t used, int64_t budget);
/* How many have to go until connections are kept again. */
int64_t pressure_excess(int64_t used, int64_t budget);
/* "normal", "trim", "close", "refuse", "end". */
const char *pressure_name(enum pressure level);
