/* SPDX-License-Identifier: Apache-2.0 */
#include "fiber/pages.h"

#include "base/check.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

void *pages_map(size_t size)
{
    void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return pages == MAP_FAILED ? NULL : pages;
}

void pages_unmap(void *pages, size_t size)
{
    check(munmap(pages, size) == 0);
}

void pages_drop(void *pages, size_t size)
{
    check(madvise(pages, size, MADV_DONTNEED) == 0);
}

void pages_drop_within(char *from, char *end)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    size_t before = (page - (uintptr_t)from % page) % page;
    size_t behind = (uintptr_t)end % page;
    if (from < end && (size_t)(end - from) >= before + behind + page)
        pages_drop(from + before, (size_t)(end - from) - before - behind);
}
