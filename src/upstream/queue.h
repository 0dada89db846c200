/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that wait for a free server: one queue per upstream over all workers, first in, first out.
 */
#pragma once

#include "base/status.h"

#include <stdint.h>

struct upstream;

/* Waits for its turn. OK: try again to get a server; ERR_LIMIT: the queue is full, ERR_TIMEOUT,
 * ERR_CANCELLED. */
MUST_CHECK enum status upstream_queue_wait(struct upstream *upstream, int64_t deadline);
/* A server has room: the first of the queue is told. From any thread of ours. */
void upstream_queue_wake(struct upstream *upstream);
