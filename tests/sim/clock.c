/* SPDX-License-Identifier: Apache-2.0 */
/* base/clock.h and the kernel's part of base/random.h in the simulated world. */
#include "base/clock.h"

#include "base/random.h"
#include "world.h"

int64_t clock_monotonic(void)
{
    return world_now();
}

int64_t clock_wall(void)
{
    return world_wall();
}

void random_bytes(void *into, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ((unsigned char *)into)[i] = (unsigned char)world_below(256);
}
