/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of cache/disk share: the form of a file, the index, and what is open. */
#pragma once

#include "cache/disk.h"
#include "cache/evict.h"
#include "cache/tags.h"

#include "base/hash.h"

#include <pthread.h>

enum {
    DISK_VERSION = 1,
    DISK_HEADER = 128,
    DISK_WHOLE = 32 * 1024, /* files up to this are read at once */
    DISK_PAGE = 4096,
    DISK_DIRECTORIES = 256,
    DISK_NAME_MAX = 24, /* "ab/0123456789abcdef.new" */
    DISK_TAIL_MAX = 64 * 1024 * 1024,
    DISK_IS_STALE = 1,
};

/* --- The form of a file: a header, the body, a tail. --- */

/* As it lies on the disk, in the order of bytes of this machine: another one's has no magic. */
struct disk_header {
    uint64_t magic;
    uint32_t version, flags;
    uint64_t id;    /* the file's name: a file that was copied is no object */
    int64_t stored; /* wall, ns; of two with the same key the later one counts */
    uint64_t body_size;
    uint64_t tail_offset; /* at the body's end or beyond: an update writes beside the old one */
    uint32_t tail_size, tail_sum;
    uint32_t key_size, variant_size, meta_size, url_size, tags_size, blocks;
    uint8_t reserved[44];
    uint32_t sum; /* of all before it */
};
_Static_assert(sizeof(struct disk_header) == DISK_HEADER, "the header has no holes");

/* What follows a body: these texts one after the other, then a checksum for each block. */
struct disk_tail {
    struct slice key, variant, meta, url, tags;
    const uint32_t *sums; /* `blocks` of them; may be unaligned: read by disk_sum_at() */
};

uint32_t disk_block_sum(uint64_t id, uint64_t block, const void *data, size_t size);
uint32_t disk_sum_at(const uint32_t *sums, uint64_t block);
/* Sets the sizes, sums and places in the header from the tail; *bytes is the tail as it is written,
 * on the heap. */
void disk_form_write(struct disk_header *header, const struct disk_tail *tail, uint32_t blocks,
                     char **bytes);
enum disk_form {
    DISK_FORM_GOOD,
    DISK_FORM_OTHER, /* of another version, or no object */
    DISK_FORM_TORN,
};
/* The header of file `id` that is `file_size` bytes long. */
enum disk_form disk_form_header(const struct disk_header *header, uint64_t id, uint64_t file_size);
/* The tail that a good header speaks of; the texts point into `bytes`. */
bool disk_form_tail(const struct disk_header *header, const char *bytes, struct disk_tail *tail);

/* --- The index --- */

struct disk_entry {
    struct evict_item item; /* by the hash of key and variant */
    struct disk_entry *next_of_key, *next_of_id;
    uint64_t hash; /* of the key */
    uint64_t id;
    int64_t stored;
    int64_t used;    /* monotonic, ns */
    int64_t touched; /* the same, as the file says it */
    struct tags *tags;
    bool is_stale, is_dead; /* its file could not be removed yet */
};

/* A key that was dropped before the rebuild had come to its files; all that it finds was stored
 * before that. */
struct disk_dropped {
    uint64_t hash;
    bool soft;
};
enum {
    DISK_DROPPED_MAX = 8192, /* with more, all that the rebuild finds is stale */
};

/* A key that was dropped: who is about to store something of it has to know. */
struct disk_drop {
    uint64_t hash, moment;
};
enum {
    DISK_DROPS_MAX = 1024, /* what was asked for longer ago than so many is not kept */
};

enum disk_state {
    DISK_NEW, /* not opened yet, or not to be opened */
    DISK_ON,
    DISK_OFF, /* an error; tried again at `retry_at` */
    DISK_LEFT,
};

struct disk {
    char name[64];
    char dir[DISK_PATH_MAX];
    struct disk_settings settings;
    struct hash_key hash_key;
    pthread_mutex_t mutex; /* of all below; never held while the file system is asked */
    pthread_cond_t is_quiet;
    enum disk_state state;
    bool is_open;       /* directory and lock are */
    bool is_unreadable; /* nothing is found while it is off */
    int directory, lock;
    int64_t retry_at, retry_after, failed_at;
    unsigned read_errors; /* one after the other */
    struct evict evict;
    struct disk_entry **by_key, **by_id;
    uint64_t buckets; /* a power of two, of both tables */
    uint64_t dead;
    struct list puts;
    unsigned puts_count, committing;
    uint64_t filling;                       /* bytes of what is being written */
    uint64_t moment;                        /* purges and drops so far */
    uint64_t purged_at;                     /* the moment of the last purge */
    struct disk_drop drops[DISK_DROPS_MAX]; /* the last ones; by their moment */
    int64_t last_stored;
    struct disk_dropped *dropped; /* while the index is not complete */
    size_t dropped_count;
    uint64_t sweep; /* the bucket that is looked at next */
    struct disk_counters counters;
    /* Of whoever works in the background, or finishes the rebuild: held while it asks the file
     * system. */
    pthread_mutex_t work;
    bool has_waited; /* for another process, and said so */
    unsigned rebuild_directory;
    struct arena rebuild_arena;
    struct slice *rebuild_names;
    size_t rebuild_count, rebuild_at;
    pthread_mutex_t change; /* of who rewrites headers */
};

struct disk_put {
    struct list link;
    struct disk *disk;
    uint64_t id, hash;
    char *key; /* the variant follows it */
    size_t key_size, variant_size;
    int fd;
    uint64_t since;        /* the moment from which on purges mean it */
    enum status failed;    /* why it cannot be committed */
    pthread_mutex_t mutex; /* of what follows, and the block's writing */
    unsigned holds;
    uint64_t size; /* appended */
    uint64_t charged;
    char *block; /* what of the last block is there; the header stands before the first */
    size_t block_room;
    uint32_t *sums;
    size_t sums_room;
    bool is_ended;
};

struct disk_reader {
    struct disk *disk;
    int fd; /* −1: all is in memory */
    struct disk_header header;
    struct disk_tail tail;
    struct disk_found found;
    char *whole; /* the file */
    char *tail_bytes;
};

void disk_path(char name[DISK_NAME_MAX], uint64_t id, bool is_new);
/* With the mutex held. */
struct disk_entry *disk_entry_of(const struct disk *disk, uint64_t id);
/* The next with that hash of a key, after `entry` (NULL: the first). */
struct disk_entry *disk_entry_next(const struct disk *disk, uint64_t hash,
                                   const struct disk_entry *entry);
void disk_enter(struct disk *disk, struct disk_entry *entry);
/* Takes it out of the index and hides it from there on; its file is to be removed with
 * disk_remove_file(), without the mutex. */
void disk_take(struct disk *disk, struct disk_entry *entry);
bool disk_is_open(const struct disk *disk);

/* Without the mutex. Frees the entry, or puts it back as a dead one. */
enum status disk_remove_file(struct disk *disk, struct disk_entry *entry);
/* Lets go of objects until what is there and being written fits. */
void disk_make_room(struct disk *disk);
/* An error of the file system: turns the disk off when it is one of writing, or the eighth of
 * reading in a row. */
void disk_failed(struct disk *disk, bool was_writing, enum status status, const char *why);
void disk_read_well(struct disk *disk);
void disk_damaged(struct disk *disk, uint64_t id, const char *what);
uint64_t disk_hash(const struct disk *disk, struct slice key, const struct slice *variant);
uint64_t disk_pages(uint64_t bytes);

/* Reads header and tail of a file, and all of it when it is small. ERR_PROTOCOL: damaged (*form
 * says how). The caller closes *fd when it is not −1. */
struct disk_file {
    int fd;
    uint64_t size;
    int64_t changed; /* wall, ns */
    struct disk_header header;
    struct disk_tail tail;
    char *bytes;      /* the file's beginning; all of it: is_whole */
    char *tail_bytes; /* NULL: it is in `bytes` */
    bool is_whole;
};
enum status disk_file_open(struct disk *disk, uint64_t id, bool to_write, struct disk_file *file,
                           enum disk_form *form, const char **why);
void disk_file_close(struct disk_file *file);

/* One piece of the rebuild; true: there is more. With `work` held. */
bool disk_rebuild(struct disk *disk);
