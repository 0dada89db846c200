/* SPDX-License-Identifier: Apache-2.0 */
#include "descriptor.h"

#include "world.h"

static struct descriptor table[DESCRIPTORS_MAX];
static unsigned limit = DESCRIPTORS_MAX;
static unsigned in_use;
static int highest; /* that was ever in use, and one */

void descriptor_limit(unsigned most)
{
    limit = most;
}

int descriptor_open(enum descriptor_kind kind, void *object)
{
    if (in_use >= limit)
        return -1;
    for (int i = 0; i < DESCRIPTORS_MAX; i++) /* the lowest, as the kernel does */
        if (table[i].kind == DESCRIPTOR_FREE) {
            table[i] = (struct descriptor){.kind = kind, .object = object};
            in_use++;
            highest = i >= highest ? i + 1 : highest;
            return DESCRIPTOR_FIRST + i;
        }
    return -1;
}

struct descriptor *descriptor_any(int fd)
{
    int i = fd - DESCRIPTOR_FIRST;
    if (i < 0 || i >= DESCRIPTORS_MAX || table[i].kind == DESCRIPTOR_FREE)
        world_broken("descriptors", "descriptor %d is used and is not open", fd);
    return &table[i];
}

struct descriptor *descriptor_of(int fd, enum descriptor_kind kind)
{
    struct descriptor *descriptor = descriptor_any(fd);
    if (descriptor->kind != kind)
        world_broken("descriptors", "descriptor %d is of kind %d where %d is meant", fd,
                     descriptor->kind, kind);
    return descriptor;
}

void descriptor_close(int fd)
{
    *descriptor_any(fd) = (struct descriptor){.kind = DESCRIPTOR_FREE};
    in_use--;
}

int descriptor_end(void)
{
    return DESCRIPTOR_FIRST + highest;
}

void *descriptor_object(int fd, enum descriptor_kind kind)
{
    const struct descriptor *descriptor = &table[fd - DESCRIPTOR_FIRST];
    return descriptor->kind == kind ? descriptor->object : NULL;
}

unsigned descriptor_count_all(void)
{
    return in_use;
}
