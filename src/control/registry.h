/* SPDX-License-Identifier: Apache-2.0 */
/* The upstreams that are there, of whatever snapshot: each lives as long as a snapshot names it,
 * and then until nothing of it runs any more. On control's thread. */
#pragma once

#include "control/worker.h"

struct upstream;

void registry_start(struct workers *workers);
/* When all workers have ended, and every snapshot has let go. */
void registry_stop(void);

/* A snapshot names it, or does so no more. */
void registry_take(struct upstream *upstream);
void registry_release(struct upstream *upstream);
/* On the thread of a worker that ends: nothing of any of them may begin there any more. */
void registry_stop_worker(void);
/* Of all upstreams: what was replaced until then is freed. Every worker has turned its loop since.
 */
void registry_forget_old(int64_t until);
