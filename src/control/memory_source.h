/* SPDX-License-Identifier: Apache-2.0 */
/* How much memory the process may have, and how much it has: of the control group with the tightest
 * limit (of version 1 or 2), or of the process and the machine. Blocks for some microseconds. */
#pragma once

#include <stdint.h>

struct memory_reading {
    int64_t used;   /* −1: nobody can tell */
    int64_t budget; /* 0: there is none */
};

/* Looks where the limits stand. Once, before anything else here. */
void memory_source_find(void);
/* The budget that `wanted` means (limits.memory): 0: what the system allows, −1: none. */
int64_t memory_source_budget(int64_t wanted);
/* Where the process stands now. With a budget that is written, the control group's limit counts as
 * well: what is closer to its end is told. */
struct memory_reading memory_source_read(int64_t wanted);
