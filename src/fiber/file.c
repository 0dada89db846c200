/* SPDX-License-Identifier: Apache-2.0 */
#include "fiber/file.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static enum status failed(int error, const char **why)
{
    *why = strerrordesc_np(error);
    if (error == EACCES || error == EPERM)
        return ERR_DENIED;
    return error == ENOENT || error == ENOTDIR ? ERR_UNREACHABLE : ERR_SYSTEM;
}

enum status file_read(const char *path, size_t size_max, struct arena *arena, struct slice *text,
                      const char **why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return failed(errno, why);
    enum status status = OK;
    size_t capacity = 16 * 1024;
    size_t size = 0;
    char *data = arena_alloc(arena, capacity);
    for (;;) {
        if (size == capacity) {
            char *larger = arena_alloc(arena, capacity * 2);
            memcpy(larger, data, size);
            data = larger;
            capacity *= 2;
        }
        ssize_t got = read(fd, data + size, capacity - size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            status = failed(errno, why);
        if (got <= 0)
            break;
        size += (size_t)got;
        if (size > size_max) {
            *why = "larger than allowed";
            status = ERR_LIMIT;
            break;
        }
    }
    close(fd);
    if (status == OK)
        *text = slice_of(data, size);
    return status;
}

int64_t file_changed(const char *path)
{
    struct stat file;
    if (stat(path, &file) != 0)
        return 0;
    return (int64_t)file.st_mtim.tv_sec * 1000000000 + file.st_mtim.tv_nsec;
}

bool file_mode(const char *path, unsigned *mode)
{
    struct stat file;
    if (stat(path, &file) != 0)
        return false;
    *mode = file.st_mode & 0777;
    return true;
}

enum status file_open_append(const char *path, int *fd, const char **why)
{
    int opened = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0640);
    if (opened < 0)
        return failed(errno, why);
    *fd = opened;
    return OK;
}

size_t file_write_patiently(int fd, const void *data, size_t size, int64_t patience,
                            const char **why)
{
    struct stat file;
    bool is_regular = fstat(fd, &file) == 0 && S_ISREG(file.st_mode);
    int milliseconds = (int)(patience / 1000000);
    size_t done = 0;
    while (done < size) {
        struct pollfd wait = {.fd = fd, .events = POLLOUT};
        if (!is_regular && poll(&wait, 1, milliseconds) == 0) {
            *why = "nobody reads it";
            return done;
        }
        /* What a pipe says it has room for it takes without waiting. */
        size_t part = is_regular || size - done < PIPE_BUF ? size - done : PIPE_BUF;
        ssize_t sent = write(fd, (const char *)data + done, part);
        if (sent < 0 && (errno == EINTR || (errno == EAGAIN && patience > 0)))
            continue;
        if (sent <= 0) {
            *why = strerrordesc_np(errno);
            return done;
        }
        done += (size_t)sent;
    }
    return done;
}

bool file_is_at(int fd, const char *path)
{
    struct stat open_one, named;
    return fstat(fd, &open_one) == 0 && stat(path, &named) == 0 &&
           open_one.st_dev == named.st_dev && open_one.st_ino == named.st_ino;
}

int64_t file_size(int fd)
{
    struct stat file;
    return fstat(fd, &file) == 0 && S_ISREG(file.st_mode) ? (int64_t)file.st_size : 0;
}

enum status file_rename(const char *from, const char *to, const char **why)
{
    if (rename(from, to) == 0)
        return OK;
    *why = strerrordesc_np(errno);
    return ERR_SYSTEM;
}

void file_replace(int fd, int old)
{
    while (dup3(fd, old, O_CLOEXEC) < 0 && errno == EINTR)
        continue;
    close(fd);
}

void file_close(int fd)
{
    close(fd);
}

static int compare_paths(const void *a, const void *b)
{
    return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

void file_match(const char *pattern, struct arena *arena, const struct slice **paths, size_t *count)
{
    glob_t found = {0};
    *paths = NULL;
    *count = 0;
    if (glob(pattern, GLOB_NOSORT, NULL, &found) == 0 && found.gl_pathc > 0) {
        struct slice *items = arena_alloc(arena, found.gl_pathc * sizeof(*items));
        for (size_t i = 0; i < found.gl_pathc; i++)
            items[i] = arena_copy(arena, slice_from_cstring(found.gl_pathv[i]));
        qsort(items, found.gl_pathc, sizeof(*items), compare_paths);
        *paths = items;
        *count = found.gl_pathc;
    }
    globfree(&found);
}

static enum status write_all(int fd, struct slice text, const char **why)
{
    while (text.size > 0) {
        ssize_t sent = write(fd, text.data, text.size);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return failed(errno, why);
        text = slice_from(text, (size_t)sent);
    }
    return fsync(fd) == 0 ? OK : failed(errno, why);
}

enum status file_make_directory(const char *path, const char **why)
{
    char part[1024];
    if (snprintf(part, sizeof(part), "%s", path) >= (int)sizeof(part))
        return failed(ENAMETOOLONG, why);
    for (char *at = part + 1;; at++) {
        bool is_last = *at == '\0';
        if (*at != '/' && !is_last)
            continue;
        *at = '\0';
        if (mkdir(part, 0700) != 0 && errno != EEXIST)
            return failed(errno, why);
        if (is_last)
            return OK;
        *at = '/';
    }
}

bool file_share(const char *path, unsigned mode, uint32_t user, uint32_t group)
{
    bool is_given = chown(path, user, group) == 0;
    return chmod(path, mode) == 0 && is_given;
}

/* `owner`: whose it was; NULL: it is new. */
static enum status create(const char *path, struct slice text, unsigned mode,
                          const struct stat *owner, const char **why)
{
    static const char SUFFIX[] = ".XXXXXX";
    char beside[1024]; /* a longer path is nobody's configuration */
    if (snprintf(beside, sizeof(beside), "%s%s", path, SUFFIX) >= (int)sizeof(beside))
        return failed(ENAMETOOLONG, why);
    int fd = mkostemp(beside, O_CLOEXEC);
    if (fd < 0)
        return failed(errno, why);
    enum status status = write_all(fd, text, why);
    /* Only root can give files away; then the group that may read it still may. */
    if (status == OK && owner != NULL && fchown(fd, owner->st_uid, owner->st_gid) != 0 &&
        fchown(fd, (uid_t)-1, owner->st_gid) != 0 && errno != EPERM)
        status = failed(errno, why);
    if (status == OK && fchmod(fd, mode) != 0)
        status = failed(errno, why);
    close(fd);
    if (status == OK && rename(beside, path) != 0)
        status = failed(errno, why);
    if (status != OK)
        unlink(beside);
    return status;
}

enum status file_create(const char *path, struct slice text, unsigned mode, const char **why)
{
    return create(path, text, mode, NULL, why);
}

enum status file_rewrite(const char *path, struct slice text, const char **why)
{
    struct stat old;
    if (stat(path, &old) != 0)
        return failed(errno, why);
    return create(path, text, old.st_mode & 07777, &old, why);
}

enum status file_temporary(struct slice text, char path[FILE_TEMPORARY_PATH_MAX], const char **why)
{
    /* Memory first: it is read again and again. */
    static const char *const PATTERNS[] = {"/dev/shm/weir-XXXXXX", "/tmp/weir-XXXXXX"};
    int fd = -1;
    for (size_t i = 0; i < 2 && fd < 0; i++) {
        (void)snprintf(path, FILE_TEMPORARY_PATH_MAX, "%s", PATTERNS[i]);
        fd = mkostemp(path, O_CLOEXEC);
    }
    if (fd < 0)
        return failed(errno, why);
    enum status status = write_all(fd, text, why);
    close(fd);
    if (status != OK)
        unlink(path);
    return status;
}

enum status file_scratch(int *fd, const char **why)
{
    const char *const places[] = {getenv("TMPDIR"), "/var/tmp", "/tmp"};
    int opened = -1;
    for (size_t i = 0; i < sizeof(places) / sizeof(*places) && opened < 0; i++)
        if (places[i] != NULL)
            opened = open(places[i], O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);
    if (opened < 0)
        return failed(errno, why);
    *fd = opened;
    return OK;
}

enum status file_write_all(int fd, struct slice text, const char **why)
{
    return write_all(fd, text, why);
}

enum status file_read_at(int fd, void *into, size_t size, uint64_t offset, const char **why)
{
    for (size_t done = 0; done < size;) {
        ssize_t got = pread(fd, (char *)into + done, size - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return failed(errno, why);
        if (got == 0) {
            *why = "the file is shorter than it was";
            return ERR_SYSTEM;
        }
        done += (size_t)got;
    }
    return OK;
}

enum status file_real_path(const char *path, struct arena *arena, struct slice *real)
{
    char *found = realpath(path, NULL);
    const char *why;
    if (found == NULL)
        return failed(errno, &why);
    *real = slice_of(arena_cstring(arena, slice_from_cstring(found)), strlen(found));
    free(found);
    return OK;
}

void file_remove(const char *path)
{
    if (unlink(path) != 0)
        return; /* it stays, or was never there */
}
