/* SPDX-License-Identifier: Apache-2.0 */
/* Whom to let go when there is no room: S3-FIFO by bytes (a small queue of newcomers, a main queue
 * of those that were used, a memory of who left). No allocation but for that memory, no I/O, no
 * lock: whoever owns it holds one around all but evict_touch(). */
#pragma once

#include "base/list.h"

#include <stdint.h>

/* Lives inside what is kept. Zeroed: in no queue. */
struct evict_item {
    struct list link;
    uint64_t hash;  /* of its key: by it one that comes again is known */
    uint64_t bytes; /* that it is charged with */
    uint8_t queue;  /* 0: none */
    uint8_t uses;   /* since it was looked at last, 3 at most; atomic, relaxed */
};

struct evict_ghost;

struct evict {
    struct list queues[2]; /* newest first */
    uint64_t bytes[2];
    uint64_t count;
    uint64_t bytes_max;
    struct evict_ghost *ghosts; /* a table of fixed size */
    uint64_t ghosts_mask;
    uint32_t departures;
};

/* Room for `bytes_max` bytes. It remembers about as many that left as objects of `bytes_usual`
 * would fit, between 1,024 and 1,048,576 of them (8 bytes each). */
void evict_init(struct evict *evict, uint64_t bytes_max, uint64_t bytes_usual);
/* What is still in it is left alone. */
void evict_done(struct evict *evict);

/* One that is in no queue. It may then be more than there is room for: see evict_next(). */
void evict_insert(struct evict *evict, struct evict_item *item, uint64_t hash, uint64_t bytes);
/* Its size has changed. */
void evict_resize(struct evict *evict, struct evict_item *item, uint64_t bytes);
/* It was used. From any thread at any time while it is in a queue; needs no lock. */
void evict_touch(struct evict_item *item);
/* It goes for another reason; one that is in no queue is fine. */
void evict_remove(struct evict *evict, struct evict_item *item);

/* The one to let go next, taken out of its queue; NULL: there is none. */
struct evict_item *evict_next(struct evict *evict);
/* The same, but only while more than bytes_max − `spare` bytes are held: for loops that make room
 * before something is inserted (spare: its size; 0 afterwards). */
struct evict_item *evict_over(struct evict *evict, uint64_t spare);
uint64_t evict_bytes(const struct evict *evict);
