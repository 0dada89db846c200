/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that wait for a free server: one queue per upstream over all workers, first in, first out.
 * Only the first of it looks for a server, and newcomers stand behind it, so none is overtaken. */
#pragma once

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

struct queue_place;
struct upstream;

/* Stands at the end. ERR_LIMIT: the queue is full. Whoever joined looks for a server once more
 * before it waits: one that became free just before would tell nobody. */
MUST_CHECK enum status upstream_queue_join(struct upstream *upstream, struct queue_place **place);
bool upstream_queue_is_first(const struct queue_place *place);
/* Waits until it is worth looking. OK, ERR_TIMEOUT, ERR_CANCELLED; the place is kept. */
MAY_WAIT MUST_CHECK enum status upstream_queue_wait(struct queue_place *place, int64_t deadline);
/* Gives the place up; who is first now looks too. */
void upstream_queue_leave(struct queue_place *place);
/* A server has room: the first of the queue is told. From any thread of ours. */
void upstream_queue_wake(struct upstream *upstream);
