/* SPDX-License-Identifier: Apache-2.0 */
/* Tells whoever started weir as a service how it is: the protocol of sd_notify(3), in as many lines
 * as it takes. Nothing happens where nobody asked. */
#pragma once

#include "base/slice.h"

/* Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID. */
void notify_begin(void);
/* Serves, and is process `pid`. */
void notify_ready(int pid, struct slice status);
void notify_status(struct slice status);
/* A reload has begun; notify_ready() ends it. */
void notify_reloading(void);
void notify_stopping(struct slice status);
/* Still alive: said at most as often as was asked for. */
void notify_alive(void);
