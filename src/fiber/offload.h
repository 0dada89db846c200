/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that block or dig deep (crypt, stalling files, name services) on a few threads of their
 * own. */
#pragma once

#include "base/status.h"

#include <stdint.h>

/* Runs run(job) on an offload thread and waits for it. `job` is a heap copy that belongs to the
 * call: after OK the caller reads its result and frees it with `free_job`; on ERR_TIMEOUT or
 * ERR_CANCELLED the work goes on unseen and free_job is called when it ends. ERR_LIMIT when 1,024
 * jobs wait already. */
MUST_CHECK enum status offload(void (*run)(void *job), void *job, void (*free_job)(void *job),
                               int64_t deadline);

/* Before the calling thread ends, when no fiber of its waits any more: jobs that were given up go on
 * and are freed by whoever does them. */
void offload_leave(void);

/* Starts the threads (once per process) and ends them. */
enum status offload_start(unsigned threads);
void offload_stop(void);
