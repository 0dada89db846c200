/* SPDX-License-Identifier: Apache-2.0 */
/* fiber/lane.h in the simulated world: what is handed over is done at once, as nothing here stalls.
 */
#include "fiber/lane.h"

#include "base/arena.h"

#include <stdlib.h>

struct lane {
    size_t size_max;
};

struct lane *lane_new(size_t size_max)
{
    struct lane *lane = memory_zero(sizeof *lane);
    lane->size_max = size_max;
    return lane;
}

bool lane_post(struct lane *lane, struct lane_job *job)
{
    (void)lane;
    job->run(job);
    return true;
}

bool lane_pause(struct lane *lane, int64_t duration)
{
    (void)lane;
    (void)duration;
    return false;
}

void lane_end(struct lane *lane)
{
    free(lane);
}

bool lanes_finish(int64_t deadline)
{
    (void)deadline;
    return true;
}
