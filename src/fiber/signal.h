/* SPDX-License-Identifier: Apache-2.0 */
/* Signals as events of one thread's loop. */
#pragma once

#include "base/status.h"

/* Blocks the signals (a list that ends with 0) for this thread and all it starts later, and calls
 * back on the loop of the calling thread. Once per process. SIGPIPE is ignored. */
MUST_CHECK enum status signal_watch(const int *signals, void (*on_signal)(int signal));
void signal_unwatch(void);
/* Blocks all signals for this thread and those it starts later. */
void signal_block_all(void);
