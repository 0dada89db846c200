/* SPDX-License-Identifier: Apache-2.0 */
/* The files that a worker serves, as they were a moment ago: opened once and believed for a short
 * time, also in that they are not there; the content of small ones stays in memory. Nothing here
 * waits for a disk but on offload. */
#pragma once

#include "base/slice.h"
#include "fiber/open_file.h"

enum {
    FILE_CACHE_ENTRIES_MAX = 4096, /* files and directories, of one worker */
    FILE_CACHE_MISSING_MAX = 1024, /* names of none */
    FILE_CACHE_OPEN_MAX = 512,     /* descriptors of these */
    FILE_CACHE_CONTENT_MAX = 64 * 1024,
    FILE_CACHE_MEMORY_MAX = 16 * 1024 * 1024, /* of contents */
    FILE_PATH_MAX = 4095,                     /* what the kernel takes */
};

/* A directory that files are served from. Of a snapshot. */
struct file_root {
    struct slice path; /* absolute; followed by a NUL */
    enum file_links links;
    int64_t recheck; /* for how many ns what was seen is believed */
    uint64_t hash;   /* of path and links */
};
/* `path` is not copied. */
void file_root_init(struct file_root *root, struct slice path, enum file_links links,
                    int64_t recheck);

/* A file as it was seen. Stays while somebody has it, and so does its descriptor. */
struct open_file {
    struct file_facts facts;
    int fd;                 /* −1: none is kept, since `content` has it all, or of a directory */
    struct slice content;   /* data NULL: it is not in memory */
    struct slice etag;      /* with its quotes */
    struct slice modified;  /* as a date of HTTP */
    uint64_t resident_size; /* so many of its first bytes were in the kernel's memory … */
    int64_t resident_until; /* … before that time of the monotonic clock */
};

/* Finds the file or directory at a path beneath the root, which has no "." and ".." and no slash at
 * its ends; "." is the root. Waits where the disk is asked; at `deadline` it gives up: ERR_TIMEOUT.
 * file_cache_leave() the file. Other failures as of open_file(); ERR_LIMIT also when too many wait
 * for a disk. */
MAY_WAIT MUST_CHECK enum status file_cache_open(const struct file_root *root, struct slice path,
                                                int64_t deadline, struct open_file **file);
/* One more who has it. */
void file_cache_share(struct open_file *file);
void file_cache_leave(struct open_file *file);

/* Reads a small regular file into memory if it may stay there: file->content is set then. Waits
 * where the disk is asked. ERR_CLOSED: it was changed meanwhile, or is too young or too large to be
 * kept: it is to be read through its descriptor. */
MAY_WAIT MUST_CHECK enum status file_cache_load(struct open_file *file, int64_t deadline);

/* Reads from its descriptor, past the end 0 bytes; waits where the disk is asked. ERR_SYSTEM. */
MAY_WAIT MUST_CHECK enum status file_cache_read(struct open_file *file, void *into, size_t size,
                                                uint64_t offset, int64_t deadline, size_t *got);
/* Has these bytes of it brought into memory, so that sending them does not wait for a disk. Waits.
 * ERR_SYSTEM. */
MAY_WAIT MUST_CHECK enum status file_cache_bring(struct open_file *file, uint64_t offset,
                                                 size_t size, int64_t deadline);

/* Of the calling thread, which nobody uses any more. */
void file_cache_release(void);
