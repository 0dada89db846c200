/* SPDX-License-Identifier: Apache-2.0 */
/* Files in a directory that is held open, read and written at places. Blocks: on offload only.
 * Errors are ERR_UNREACHABLE (no such file), ERR_DENIED (not permitted, or a file system that is
 * read-only), ERR_LIMIT (no space, no descriptor), ERR_SYSTEM; *why is then a static text. */
#pragma once

#include "base/arena.h"
#include "base/status.h"

/* Opens a directory; makes it (0700) and those above it when they are not there. */
MUST_CHECK enum status file_at_directory(const char *path, int *directory, const char **why);
/* Makes a directory in it (0700); one that is there is fine. */
MUST_CHECK enum status file_at_make(int directory, const char *name, const char **why);
/* Names in a directory in it, but "." and "..", in the arena, in no order. */
MUST_CHECK enum status file_at_list(int directory, const char *name, struct arena *arena,
                                    struct slice **names, size_t *count, const char **why);
/* Takes a lock that ends with the descriptor and with the process; the file is made. ERR_REFUSED:
 * somebody has it. */
MUST_CHECK enum status file_at_lock(int directory, const char *name, int *lock, const char **why);

/* A new file (0600), to be read and written; ERR_SYSTEM where there is one. */
MUST_CHECK enum status file_at_create(int directory, const char *name, int *fd, const char **why);
struct file_at_facts {
    uint64_t size;
    int64_t changed; /* ns since 1970 */
};
/* One that is there, an ordinary file. */
MUST_CHECK enum status file_at_open(int directory, const char *name, bool to_write, int *fd,
                                    struct file_at_facts *facts, const char **why);
/* Until `size` bytes or the end of the file; *got is how many. */
MUST_CHECK enum status file_at_read(int fd, uint64_t offset, void *into, size_t size, size_t *got,
                                    const char **why);
/* The same without waiting for a disk, for any thread: false where not all of it is at hand, or it
 * cannot be told. */
bool file_at_read_now(int fd, uint64_t offset, void *into, size_t size);
/* All of them, or an error. */
MUST_CHECK enum status file_at_write(int fd, uint64_t offset, const void *data, size_t size,
                                     const char **why);
/* Says that it was changed now. */
void file_at_touch(int fd);
void file_at_close(int fd);
/* Puts `fd` in the place of `old`, which keeps its number and is never closed in between; `fd` is
 * gone. */
void file_at_replace(int fd, int old);

MUST_CHECK enum status file_at_rename(int directory, const char *name, const char *to,
                                      const char **why);
/* One that is not there is fine. */
MUST_CHECK enum status file_at_remove(int directory, const char *name, const char **why);
