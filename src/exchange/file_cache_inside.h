/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of the files that a worker serves, shared by its two files; nobody else includes it.
 */
#pragma once

#include "base/clock.h"
#include "base/hash.h"
#include "base/list.h"
#include "exchange/file_cache.h"
#include "fiber/timer.h"
#include "http/date.h"

enum {
    FILE_BUCKETS = 4096,
    FILE_ROOTS_MAX = 16,
};

#define FILE_KEPT_UNUSED SECONDS(10)
#define FILE_SWEEP_EVERY SECONDS(5)

struct kept_file {
    struct open_file file;
    struct file_cache *cache;
    struct kept_file *next; /* in its bucket */
    struct list link;       /* used last first */
    uint64_t hash;
    struct slice root, path;
    enum file_links links;
    enum status status; /* OK; else there is none, or it may not be read */
    unsigned users;
    bool is_listed;
    bool is_checking; /* the disk is being asked whether it is still so */
    int64_t checked;  /* when it was seen */
    int64_t used;     /* when it was asked for */
    char etag_text[20];
    char modified_text[DATE_HTTP_SIZE];
    char text[]; /* of root and path */
};

struct kept_root {
    char *path; /* of the heap */
    struct slice text;
    int fd; /* −1: none */
    int64_t checked, used;
};

/* Of a thread. */
struct file_cache {
    struct hash_key key;
    struct kept_file *buckets[FILE_BUCKETS];
    struct list found, missing;
    size_t found_count, missing_count;
    size_t open;   /* descriptors */
    size_t memory; /* bytes of contents */
    size_t count;  /* of all that are not freed, listed or not */
    bool is_released;
    struct kept_root roots[FILE_ROOTS_MAX];
    struct timer sweep;
};

/* What was seen at a path. */
struct file_look {
    enum status status;
    int fd; /* −1: none */
    struct file_facts facts;
};

/* Looks without waiting; ERR_TIMEOUT as its status: the disk has to be asked. */
void look_now(struct file_cache *cache, const struct file_root *root, struct slice path,
              struct file_look *look);
/* Looks on offload. */
MAY_WAIT MUST_CHECK enum status look_apart(const struct file_root *root, struct slice path,
                                           int64_t deadline, struct file_look *look);
/* Lets those go that were used longest ago, down to the limits. */
void file_cache_make_room(struct file_cache *cache);
void kept_root_close(struct kept_root *root);
