/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps the process within its memory budget: measures, tells the workers how tight it is, has them
 * give back what they keep for later, and in the end ends who holds the most. Control's thread. */
#pragma once

#include "limit/pressure.h"

struct workers;

/* Once the workers serve. */
void memory_watch_start(struct workers *workers);
/* After the workers have ended. */
void memory_watch_stop(void);

struct memory_state {
    enum pressure level;
    int64_t used, budget; /* bytes; budget 0: there is none; used −1: not measured yet */
    int64_t committed;    /* with what was promised; never less than used */
    uint64_t ended;       /* connections, since the start */
};
void memory_watch_look(struct memory_state *state);
