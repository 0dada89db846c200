/* SPDX-License-Identifier: Apache-2.0 */
#include "fiber/stack.h"

#include <stdint.h>
#include <sys/mman.h>

enum {
    GUARD_SIZE = 4096 * 16, /* the largest page size of aarch64 kernels */
    /* Of Linux 6.13; spares a mapping per stack, of which a process has 65,530. */
    ADVICE_GUARD_INSTALL = 102,
    PAINT = 0x5a,
};

void *stack_map(size_t size)
{
    char *map = mmap(NULL, GUARD_SIZE + size, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (map == MAP_FAILED)
        return NULL;
    if (madvise(map, GUARD_SIZE, ADVICE_GUARD_INSTALL) != 0 &&
        mprotect(map, GUARD_SIZE, PROT_NONE) != 0) {
        munmap(map, GUARD_SIZE + size);
        return NULL;
    }
    return map + GUARD_SIZE;
}

void stack_unmap(void *stack, size_t size)
{
    munmap((char *)stack - GUARD_SIZE, GUARD_SIZE + size);
}

void stack_paint(void *stack, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ((volatile unsigned char *)stack)[i] = PAINT;
}

size_t stack_high_water(const void *stack, size_t size)
{
    const unsigned char *at = stack;
    size_t untouched = 0;
    while (untouched < size && at[untouched] == PAINT)
        untouched++;
    return size - untouched;
}
