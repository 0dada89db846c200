/* SPDX-License-Identifier: Apache-2.0 */
#include "fiber/file_at.h"

#include "fiber/file.h"
#include "fiber/open_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static enum status failed(int error, const char **why)
{
    *why = strerrordesc_np(error);
    switch (error) {
    case EACCES:
    case EPERM:
    case EROFS:
        return ERR_DENIED;
    case ENOENT:
    case ENOTDIR:
        return ERR_UNREACHABLE;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case EMFILE:
    case ENFILE:
        return ERR_LIMIT;
    default:
        return ERR_SYSTEM;
    }
}

enum status file_at_directory(const char *path, int *directory, const char **why)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        TRY(file_make_directory(path, why));
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (fd < 0)
        return failed(errno, why);
    *directory = fd;
    return OK;
}

enum status file_at_make(int directory, const char *name, const char **why)
{
    return mkdirat(directory, name, 0700) == 0 || errno == EEXIST ? OK : failed(errno, why);
}

enum status file_at_list(int directory, const char *name, struct arena *arena, struct slice **names,
                         size_t *count, const char **why)
{
    int fd = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *listing = fd < 0 ? NULL : fdopendir(fd);
    if (listing == NULL) {
        enum status status = failed(errno, why);
        if (fd >= 0)
            close(fd);
        return status;
    }
    size_t capacity = 64;
    *names = arena_alloc(arena, capacity * sizeof **names);
    *count = 0;
    errno = 0;
    for (const struct dirent *entry; (entry = readdir(listing)) != NULL; errno = 0) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (*count == capacity) {
            struct slice *more = arena_alloc(arena, 2 * capacity * sizeof *more);
            memcpy(more, *names, capacity * sizeof *more);
            *names = more;
            capacity *= 2;
        }
        (*names)[(*count)++] = arena_copy(arena, slice_from_cstring(entry->d_name));
    }
    enum status status = errno == 0 ? OK : failed(errno, why);
    closedir(listing);
    return status;
}

enum status file_at_lock(int directory, const char *name, int *lock, const char **why)
{
    int fd = openat(directory, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return failed(errno, why);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        enum status status = errno == EWOULDBLOCK ? ERR_REFUSED : failed(errno, why);
        if (status == ERR_REFUSED)
            *why = "another process uses it";
        close(fd);
        return status;
    }
    *lock = fd;
    return OK;
}

enum status file_at_create(int directory, const char *name, int *fd, const char **why)
{
    int made = openat(directory, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (made < 0)
        return failed(errno, why);
    *fd = made;
    return OK;
}

enum status file_at_open(int directory, const char *name, bool to_write, int *fd,
                         struct file_at_facts *facts, const char **why)
{
    int opened = openat(directory, name,
                        (to_write ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (opened < 0)
        return failed(errno, why);
    struct stat file;
    if (fstat(opened, &file) != 0 || !S_ISREG(file.st_mode)) {
        close(opened);
        *why = "not an ordinary file";
        return ERR_SYSTEM;
    }
    *facts = (struct file_at_facts){
        (uint64_t)file.st_size, (int64_t)file.st_mtim.tv_sec * 1000000000 + file.st_mtim.tv_nsec};
    *fd = opened;
    return OK;
}

enum status file_at_read(int fd, uint64_t offset, void *into, size_t size, size_t *got,
                         const char **why)
{
    size_t done = 0;
    while (done < size) {
        ssize_t more = pread(fd, (char *)into + done, size - done, (off_t)(offset + done));
        if (more < 0 && errno == EINTR)
            continue;
        if (more < 0)
            return failed(errno, why);
        if (more == 0)
            break;
        done += (size_t)more;
    }
    *got = done;
    return OK;
}

bool file_at_read_now(int fd, uint64_t offset, void *into, size_t size)
{
    return open_file_read(fd, into, size, offset, false) == (ssize_t)size;
}

enum status file_at_write(int fd, uint64_t offset, const void *data, size_t size, const char **why)
{
    for (size_t done = 0; done < size;) {
        ssize_t more = pwrite(fd, (const char *)data + done, size - done, (off_t)(offset + done));
        if (more < 0 && errno == EINTR)
            continue;
        if (more < 0)
            return failed(errno, why);
        done += (size_t)more;
    }
    return OK;
}

void file_at_touch(int fd)
{
    if (futimens(fd, NULL) != 0)
        return; /* it then seems older than it is */
}

void file_at_close(int fd)
{
    close(fd);
}

void file_at_replace(int fd, int old)
{
    file_replace(fd, old);
}

enum status file_at_rename(int directory, const char *name, const char *to, const char **why)
{
    return renameat(directory, name, directory, to) == 0 ? OK : failed(errno, why);
}

enum status file_at_remove(int directory, const char *name, const char **why)
{
    return unlinkat(directory, name, 0) == 0 || errno == ENOENT ? OK : failed(errno, why);
}
