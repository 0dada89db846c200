/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of cache/content share. */
#pragma once

#include "cache/content.h"
#include "cache/disk.h"

struct content_segment {
    struct content_segment *next;
    uint64_t offset;
    size_t capacity;
    char data[];
};

static inline uint64_t content_segment_end(const struct content_segment *segment)
{
    return segment->offset + segment->capacity;
}

/* Lets go of segments that end at `until` or before, and that nobody points at. With the mutex. */
void content_free_until(struct content *content, uint64_t until);
/* Of one that spills: bytes at the offset, which are there, in a copy of the cursor's. */
MAY_WAIT enum status content_read_spilled(struct content_cursor *cursor, uint64_t offset,
                                          uint64_t size, struct slice *bytes, int64_t deadline);
/* Whether what was read last has the offset; then the rest of it. */
bool content_at_hand(const struct content_cursor *cursor, uint64_t offset, uint64_t size,
                     struct slice *bytes);
