/* SPDX-License-Identifier: Apache-2.0 */
/* Small files, whole. Blocks: for start-up and control, or on offload. */
#pragma once

#include "base/arena.h"
#include "base/status.h"

/* Reads at most `size_max` bytes into the arena. ERR_DENIED, ERR_LIMIT (larger), ERR_UNREACHABLE
 * (no such file), ERR_SYSTEM; *why is then a text such as "No such file or directory". */
MUST_CHECK enum status file_read(const char *path, size_t size_max, struct arena *arena,
                                 struct slice *text, const char **why);

/* When it was last changed, ns since 1970; 0: there is none. */
int64_t file_changed(const char *path);

/* Its permissions (0777 at most), links followed; false: there is none. */
bool file_mode(const char *path, unsigned *mode);

/* Opens for appending, non-blocking where that means something (pipes); 0640 when it is made. */
MUST_CHECK enum status file_open_append(const char *path, int *fd, const char **why);
/* Writes as much as is taken: a pipe is waited for so long (ns), a disk for as long as it needs.
 * Returns how much that was; *why when it was not all. For threads that nobody waits for. */
size_t file_write_patiently(int fd, const void *data, size_t size, int64_t patience,
                            const char **why);
/* Whether what is open there is the file of that path still. */
bool file_is_at(int fd, const char *path);
/* Bytes of what is open there; 0: it is no file. */
int64_t file_size(int fd);
/* Gives a file another name; what had that one is gone. */
MUST_CHECK enum status file_rename(const char *from, const char *to, const char **why);
/* Puts `fd` in the place of `old`, which keeps its number; `fd` is gone. */
void file_replace(int fd, int old);
void file_close(int fd);

/* The paths that a pattern with * ? [ ] matches, sorted bytewise, in the arena. None is no error.
 */
void file_match(const char *pattern, struct arena *arena, const struct slice **paths,
                size_t *count);

/* Makes a directory and those above it (0700); one that is there is fine. */
MUST_CHECK enum status file_make_directory(const char *path, const char **why);
/* Gives a path that mode, owner and group; what is not permitted stays as it was (false). */
bool file_share(const char *path, unsigned mode, uint32_t user, uint32_t group);
/* Makes a file of that mode, whole or not at all, in the place of any that was there. */
MUST_CHECK enum status file_create(const char *path, struct slice text, unsigned mode,
                                   const char **why);
enum {
    FILE_TEMPORARY_PATH_MAX = 40,
};
/* A new file of that text, mode 0600, where such files are made, for a library that wants to open
 * one by its path; file_remove() it then. */
MUST_CHECK enum status file_temporary(struct slice text, char path[FILE_TEMPORARY_PATH_MAX],
                                      const char **why);
/* A new file without a name, gone when it is closed, where such files are made: $TMPDIR, else
 * /var/tmp, else /tmp. */
MUST_CHECK enum status file_scratch(int *fd, const char **why);
/* Writes all of it, at the file's place. */
MUST_CHECK enum status file_write_all(int fd, struct slice text, const char **why);
/* Reads that many bytes from there; ERR_SYSTEM also where there are fewer. */
MUST_CHECK enum status file_read_at(int fd, void *into, size_t size, uint64_t offset,
                                    const char **why);
/* The path without symbolic links, of a file that is there. */
MUST_CHECK enum status file_real_path(const char *path, struct arena *arena, struct slice *real);
/* Takes a file away; one that is not there is fine. */
void file_remove(const char *path);
/* Puts a text in the place of a file's, whole or not at all; the file keeps its mode,
 * and its owner and group as far as that is allowed. */
MUST_CHECK enum status file_rewrite(const char *path, struct slice text, const char **why);
