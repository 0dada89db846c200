/* SPDX-License-Identifier: Apache-2.0 */
#include "fiber/memory_file.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

int memory_file_new(const char *name)
{
    return memfd_create(name, MFD_CLOEXEC);
}

bool memory_file_write(int fd, struct slice text)
{
    while (text.size > 0) {
        ssize_t put = write(fd, text.data, text.size);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return false;
        text = slice_from(text, (size_t)put);
    }
    return true;
}

void memory_file_rewind(int fd, bool keep)
{
    if (lseek(fd, 0, SEEK_SET) < 0 || (!keep && ftruncate(fd, 0) != 0))
        return; /* not a file: nobody can have written to it */
}

struct slice memory_file_read(int fd, size_t size_max, struct arena *arena)
{
    char *text = arena_alloc(arena, size_max);
    size_t size = 0;
    while (size < size_max) {
        ssize_t got = pread(fd, text + size, size_max - size, (off_t)size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        size += (size_t)got;
    }
    return slice_of(text, size);
}

bool memory_file_fill(int fd, int from, size_t size_max)
{
    char block[1024];
    for (size_t size = 0; size <= size_max;) {
        ssize_t got = read(from, block, sizeof block);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got == 0;
        if (!memory_file_write(fd, slice_of(block, (size_t)got)))
            return false;
        size += (size_t)got;
    }
    return false;
}

void memory_file_close(int fd)
{
    if (fd >= 0)
        close(fd);
}
