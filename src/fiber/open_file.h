/* SPDX-License-Identifier: Apache-2.0 */
/* Files that are served: opened beneath a directory that nothing leads out of, and read. Every call
 * says whether it may wait for a disk; one that may not answers FILE_WOULD_WAIT or ERR_TIMEOUT. */
#pragma once

#include "base/arena.h"
#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What symbolic links beneath the directory may do. */
enum file_links {
    FILE_LINKS_FOLLOW,  /* lead anywhere */
    FILE_LINKS_BENEATH, /* lead to what is beneath the directory, by relative paths */
    FILE_LINKS_REFUSE,  /* nothing: a path with one is not there */
};

enum file_kind {
    FILE_REGULAR,
    FILE_DIRECTORY,
    FILE_SPECIAL, /* pipes, sockets, devices */
};

struct file_facts {
    enum file_kind kind;
    int64_t size;
    int64_t changed; /* ns since 1970; when its content was changed last */
    int64_t altered; /* the same of content or owner, mode, name … */
    uint64_t inode, device;
};

enum {
    FILE_WOULD_WAIT = -1, /* the disk has to be asked */
    FILE_FAILED = -2,
};

/* Whether this system can open files beneath a directory; else `why`. */
bool open_file_is_supported(const char **why);

/* Opens the directory that files stand beneath. Links on the way to it are followed: the operator
 * has named it. The failures of open_file(). */
MUST_CHECK enum status open_file_root(const char *path, bool may_wait, int *root);

/* Opens `path`, relative to the root, for reading; it never waits for what is no regular file.
 * ERR_UNREACHABLE: there is no such file, or it may not be reached under `links`; ERR_DENIED; a
 * special file that cannot be opened is ERR_DENIED too; ERR_LIMIT: no descriptors or memory;
 * ERR_TIMEOUT: it would have to wait; ERR_SYSTEM: the disk fails. */
MUST_CHECK enum status open_file(int root, const char *path, enum file_links links, bool may_wait,
                                 int *fd, struct file_facts *facts);
/* What is true of it now; false: that cannot be said. */
bool open_file_facts(int fd, struct file_facts *facts);

/* Reads from that place: how many bytes, 0 at the end, FILE_WOULD_WAIT, FILE_FAILED. */
ssize_t open_file_read(int fd, void *into, size_t size, uint64_t offset, bool may_wait);
void open_file_close(int fd);

/* An entry of a directory. */
struct file_entry {
    struct slice name;
    enum file_kind kind;
    int64_t size;
    int64_t changed; /* ns since 1970 */
};
struct file_list {
    struct file_entry *entries;
    size_t count;
    bool is_cut; /* there are more */
};
struct file_directory {
    int root, fd;
    const char *path; /* of fd, relative to the root; "." is the root */
    enum file_links links;
};
/* The names in a directory but "." and "..", at most `most`, in no order, each with what it is when
 * it is opened by the same rules; what cannot be reached that way is left out. Waits for the disk.
 * ERR_SYSTEM. */
MUST_CHECK enum status open_file_list(const struct file_directory *from, size_t most,
                                      struct arena *arena, struct file_list *list);
