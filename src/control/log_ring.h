/* SPDX-License-Identifier: Apache-2.0 */
/* Lines in a memory of fixed size: a new one takes the place of the oldest. */
#pragma once

#include "base/slice.h"

#include <stdint.h>

/* A line, and what a filter asks of it. */
struct log_record {
    int kind;   /* enum log_tail_kind */
    int level;  /* enum log_level, of an event */
    int status; /* of an exchange, as the rest */
    bool has_failed;
    int64_t took; /* ns */
    struct slice site;
    struct slice text; /* one piece */
};

struct log_ring {
    char *data; /* records one behind the other, each in one piece */
    size_t capacity;
    size_t first, end; /* of the oldest; where the next goes */
    size_t wrap;       /* where the last record before the start of the memory ends, if it does */
    size_t count;
    uint64_t lost;      /* since the last line that was taken */
    uint64_t lost_ever; /* lines that nobody has taken */
};

void log_ring_init(struct log_ring *ring, size_t capacity);
void log_ring_done(struct log_ring *ring);
/* A line that is larger than the whole ring is lost, with none of the others. */
void log_ring_put(struct log_ring *ring, const struct log_record *record);
/* Takes the oldest, which stays valid until the next call that changes the ring; *lost: how many
 * before it could not stay. False: there is none. */
bool log_ring_take(struct log_ring *ring, struct log_record *record, uint64_t *lost);
/* Looks at all, oldest first: *at is 0 at the start and moves on. False: that were all. */
bool log_ring_look(const struct log_ring *ring, size_t *at, struct log_record *record);
