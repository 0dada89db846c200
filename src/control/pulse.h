/* SPDX-License-Identifier: Apache-2.0 */
/* Whether every thread of a process still turns. Control's thread. */
#pragma once

#include "serve/serve.h"

/* Asks each worker twice a second for a sign; calls on_beat as long as all have given theirs. A
 * worker that has given none for two seconds is the end of the process, with the report of what it
 * was doing. */
void pulse_start(const struct serve_shared *shared, void (*on_beat)(void));
/* Workers come to rest one by one from now on: control beats for itself, until that time. */
void pulse_drain(int64_t until);
void pulse_stop(void);
