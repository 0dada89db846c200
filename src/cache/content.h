/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a body that are stored, or on their way to be: written by one, read by many while it
 * grows, without a lock. It lives as long as somebody holds it. */
#pragma once

#include "cache/crowd.h"

#include "base/slice.h"

struct content_segment;
struct disk_put;
struct disk_reader;

enum content_state {
    CONTENT_GROWING,
    CONTENT_WHOLE,
    CONTENT_BROKEN, /* its end never came */
};

struct content {
    uint32_t references; /* atomic */
    uint8_t state;       /* enum content_state; atomic */
    bool is_flowing;     /* grows beyond what is stored: what all have read goes; under the mutex */
    bool is_spilling;    /* what has been written to a disk goes; atomic, changes under the mutex */
    int64_t length;      /* that was announced; -1: none */
    uint64_t size;       /* bytes that can be read; atomic */
    uint64_t bytes;      /* of memory */
    struct content_segment *first, *last;
    struct crowd crowd;
    struct list cursors;        /* of who reads while it grows; under the crowd's mutex */
    struct disk_reader *reader; /* the bytes are there and not here; NULL; atomic */
    struct disk_put *put;       /* held: to where it spills; NULL; under the mutex */
    uint64_t written;           /* bytes that are there; of the one who writes */
};

/* One whose bytes are read from a disk as they are asked for; it closes the reader. */
struct content *content_of_disk(struct disk_reader *reader, uint64_t size);

/* One that reads. */
struct content_cursor {
    struct content *content; /* held */
    struct list link;
    const struct content_segment *segment; /* that the last bytes may lie in; atomic … */
    bool is_walking;                       /* … but while it is looked for; atomic */
    uint64_t offset; /* of what comes next; atomic for who looks how far it is */
    bool is_listed;
    char *block; /* of a disk: what was read last, … */
    struct slice bytes;
    uint64_t bytes_at; /* … and where that begins */
};

/* `length`: of the body, if it is known; -1. Held once. */
struct content *content_new(int64_t length);
struct content *content_hold(struct content *content);
void content_release(struct content *content);

/* For the one who writes. */
void content_append(struct content *content, struct slice bytes);
void content_end(struct content *content, bool is_whole);
/* From now on memory goes when all have read it; nobody new may read. */
void content_flow(struct content *content);
/* Of one that flows: gives back what all have read; how many bytes the slowest is behind. False:
 * nobody reads any more. */
bool content_trim(struct content *content, uint64_t *behind);

/* From now on it is written to a file as it comes, and what is there goes from memory: who is
 * behind reads it from there. Holds the put. */
void content_spill(struct content *content, struct disk_put *put);
/* BLOCKS. Writes what came since; an error of disk_put_append(): what follows stays in memory. */
MUST_CHECK enum status content_write(struct content *content);
/* Gives back the memory of what was written. */
void content_trim_written(struct content *content);
/* All of it is in a file: it is read from there, by that reader, which is closed with it. */
void content_land(struct content *content, struct disk_reader *reader);

/* For those who read. False: it flows already. */
MUST_CHECK bool content_open(struct content *content, struct content_cursor *cursor);
void content_close(struct content_cursor *cursor);
/* Sets *bytes to what can be read at the offset, at most `size`; empty at its end. Waits while it
 * grows. ERR_CLOSED: it broke off; ERR_TIMEOUT, ERR_CANCELLED. */
MAY_WAIT MUST_CHECK enum status content_read(struct content_cursor *cursor, uint64_t offset,
                                             uint64_t size, struct slice *bytes, int64_t deadline);
/* Sets *bytes to all of it when that is whole and in one piece, as small ones are: good as long as
 * the content is held. */
bool content_at_once(const struct content *content, struct slice *bytes);
/* Whether content_read() there would not wait. */
bool content_is_ready(const struct content *content, uint64_t offset);
static inline bool content_is_whole(const struct content *content)
{
    return __atomic_load_n(&content->state, __ATOMIC_ACQUIRE) == CONTENT_WHOLE;
}
