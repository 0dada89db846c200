/* SPDX-License-Identifier: Apache-2.0 */
/* Stored answers in files: one file for each object, under a directory of its own. A file has the
 * object's key in full and a checksum for each block; it gets its name when it is whole. So a
 * process that is killed loses what it was writing, and what was torn or changed is not served.
 *
 * Functions marked BLOCKS ask the file system: call them through offload(). All others take a short
 * lock at most. All are for any thread. Nothing here fails a request: a disk that is full or
 * broken turns itself off, says so in the log, and is tried again later; until then nothing is
 * found on it and nothing is taken by it.
 *
 * One process at a time uses a directory (a lock says so); another finds the disk off until the
 * first has called disk_leave() or ended. */
#pragma once

#include "base/arena.h"
#include "base/slice.h"
#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

struct tags_wanted;

enum {
    DISK_BLOCK = 64 * 1024,     /* bytes of a body with one checksum */
    DISK_KEY_MAX = 64 * 1024,   /* bytes of key and variant together */
    DISK_META_MAX = 256 * 1024, /* bytes of meta */
    DISK_VARIANTS_MAX = 32,     /* objects of one key */
    DISK_PUTS_MAX = 256,        /* objects being written at once */
    DISK_PATH_MAX = 1024,
};

struct disk_settings {
    const char *name;    /* of the cache, for the log; copied */
    const char *dir;     /* made when it is not there; copied */
    uint64_t bytes_max;  /* of all files, in whole pages as they lie on the disk */
    uint64_t object_max; /* bytes of one body */
    int64_t inactive;    /* ns; what was not read for so long goes. 0: never */
};

struct disk;

/* Asks nothing of the file system: the first disk_work() does. */
struct disk *disk_new(const struct disk_settings *settings);
/* New settings from a reload; `dir` and `name` must be what they were. */
void disk_set(struct disk *disk, const struct disk_settings *settings);
/* BLOCKS. Lets go of the directory: nothing is found or taken from now on; readers that are open
 * stay good. For a process that drains while another takes over. */
void disk_leave(struct disk *disk);
/* BLOCKS. No put or reader is open, no other call under way. */
void disk_free(struct disk *disk);

/* BLOCKS. One bounded piece of what is to be done in the background: opens the directory, rebuilds
 * the index (a few hundred files a call), lets go of what was not read for `inactive`, keeps the
 * size, tries a disk that was turned off. True: call again at once, there is more; false: in a
 * second. */
bool disk_work(struct disk *disk);

struct disk_counters {
    uint64_t bytes, objects; /* now */
    uint64_t bytes_max;
    uint64_t written, read;    /* objects, since the start */
    uint64_t evicted, expired; /* for want of room; not read for `inactive` */
    uint64_t damaged;          /* dropped because a checksum or a form was wrong */
    uint64_t failures;         /* errors of the file system */
    bool is_on;                /* takes and gives */
    bool is_rebuilt;           /* the index is complete */
};
void disk_count(const struct disk *disk, struct disk_counters *counters);

/* Whether there may be something under that key: false is certain once the index is rebuilt (and is
 * a miss before). Cheap: ask it before every disk_find(). */
bool disk_may_have(const struct disk *disk, struct slice key);
/* Whether there may be something under that key now or later, unless it is dropped: it is being
 * written, or the rebuild has not come to it. Cheap: ask it before disk_drop_key(). */
bool disk_may_get(const struct disk *disk, struct slice key);

/* --- Finding and reading --- */

/* An object as it was found. */
struct disk_found {
    uint64_t id;          /* of its file: for disk_open() and the like, in this process */
    struct slice variant; /* as given to disk_put_begin(); in the arena, as is … */
    struct slice meta;    /* … as given to disk_put_commit() or disk_update() */
    uint64_t body_size;
    bool is_stale; /* a soft purge came over it */
};
/* BLOCKS. All objects with exactly that key, at most DISK_VARIANTS_MAX. *count is 0 where there are
 * none. The array and all texts are in the arena. */
void disk_find(struct disk *disk, struct slice key, struct arena *arena, struct disk_found **found,
               size_t *count);

/* An open object. Good until it is closed, also after the object was dropped or replaced. May be
 * shared: any number of threads read at the same time. */
struct disk_reader;

/* BLOCKS. Opens one for reading; counts as a use. ERR_UNREACHABLE: it is gone (or was damaged:
 * then it is dropped, too). */
MUST_CHECK enum status disk_open(struct disk *disk, uint64_t id, struct disk_reader **reader);
/* BLOCKS. Reads the blocks from that of `offset` on that fit into `size` bytes (DISK_BLOCK at
 * least) of `into`, verifies them, and sets *bytes to what is in them from `offset` on: at least
 * one byte, offset < body size. ERR_SYSTEM: what is there is not what was stored (the object is
 * dropped) or cannot be read; nothing of it may be used. */
MUST_CHECK enum status disk_read(struct disk_reader *reader, uint64_t offset, void *into,
                                 size_t size, struct slice *bytes);
/* The same without waiting, for any thread; false: the blocks are not at hand, or not good, and
 * disk_read() is to be asked. */
bool disk_read_now(struct disk_reader *reader, uint64_t offset, void *into, size_t size,
                   struct slice *bytes);
/* What it is; texts are good while it is open. */
const struct disk_found *disk_reader_object(const struct disk_reader *reader);
/* Whether disk_read() would not ask the file system: small bodies come with the opening. */
bool disk_reader_is_ready(const struct disk_reader *reader);
/* Closing does not block for long. */
void disk_close(struct disk_reader *reader);

/* --- Writing --- */

/* An object being written. One thread at a time may append; any that holds it may read what was
 * appended. It lives until the last hold is released: disk_put_begin() gives the first, which
 * disk_put_commit() and disk_put_abort() take. */
struct disk_put;
/* One hold more; one less. Neither blocks for long. */
void disk_put_hold(struct disk_put *put);
void disk_put_release(struct disk_put *put);

/* BLOCKS. `variant` tells objects of one key apart (""; what the request said in the fields of
 * Vary); the same pair takes the other's place when it is committed. `expected`: bytes of the body
 * if known, else 0. ERR_DENIED: the disk is off or left; ERR_LIMIT: larger than object_max or than
 * the disk, or too many are being written; ERR_SYSTEM: the file system could not. Go on without
 * it then. */
MUST_CHECK enum status disk_put_begin(struct disk *disk, struct slice key, struct slice variant,
                                      uint64_t expected, struct disk_put **put);
/* A moment in the disk's own time: each purge and each disk_drop_key() is one. */
uint64_t disk_moment(const struct disk *disk);
/* What is written was asked for at that moment: what was purged or dropped since is not kept. For
 * answers that were whole before they came here; without it disk_put_begin() is the moment. */
void disk_put_since(struct disk_put *put, uint64_t moment);
/* BLOCKS, at most once in DISK_BLOCK bytes. After an error (ERR_LIMIT: grew too large; ERR_SYSTEM)
 * what was appended before can still be read; every later call says the same; it cannot be
 * committed. */
MUST_CHECK enum status disk_put_append(struct disk_put *put, struct slice bytes);
/* Bytes appended so far. Does not block. */
uint64_t disk_put_size(const struct disk_put *put);
/* BLOCKS. As disk_read(), of what was appended so far: for those who follow a fill. */
MUST_CHECK enum status disk_put_read(struct disk_put *put, uint64_t offset, void *into, size_t size,
                                     struct slice *bytes);
/* BLOCKS. The object is whole: from now on it is found. `url` and `tags` (a list as in tags_new())
 * are what it can be purged by. Takes the writer's hold in any case; sets *id when OK.
 * ERR_CANCELLED: a purge that may have meant it came while it was written, so it was not kept. If
 * `reader` is not NULL it is opened as disk_open() would. */
MUST_CHECK enum status disk_put_commit(struct disk_put *put, struct slice meta, struct slice url,
                                       struct slice tags, uint64_t *id,
                                       struct disk_reader **reader);
/* BLOCKS. It is not to be kept. Takes the writer's hold. */
void disk_put_abort(struct disk_put *put);

/* BLOCKS. Other meta for an object that is there (a 304 brought new fields); it is no longer stale.
 * Readers that are open keep the old. ERR_UNREACHABLE: it is gone; ERR_SYSTEM. */
MUST_CHECK enum status disk_update(struct disk *disk, uint64_t id, struct slice meta);

/* --- Letting go --- */

/* BLOCKS. All objects of that key, also those being written; soft: they become stale and stay.
 * ERR_SYSTEM: a file could not be removed or marked. *count is how many there were; what the
 * rebuild has not come to yet goes when it does. */
MUST_CHECK enum status disk_drop_key(struct disk *disk, struct slice key, bool soft,
                                     uint64_t *count);
/* BLOCKS. One; it may be gone already. */
void disk_drop(struct disk *disk, uint64_t id);
/* BLOCKS, and finishes the rebuild of the index first. All objects that match. When it returns OK
 * they are gone (or stale), also after a crash. */
MUST_CHECK enum status disk_purge(struct disk *disk, const struct tags_wanted *wanted, bool soft,
                                  uint64_t *count, uint64_t *bytes);
