/* SPDX-License-Identifier: Apache-2.0 */
#include "fiber/file.h"

#include <errno.h>
#include <fcntl.h>
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
