/* SPDX-License-Identifier: Apache-2.0 */
/* Counts what weir has allocated; linked with --wrap. */
#include "memory.h"

#include <malloc.h>
#include <stdlib.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
int __real_posix_memalign(void **memory, size_t alignment, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
char *__real_strdup(const char *text);
void __real_free(void *memory);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
int __wrap_posix_memalign(void **memory, size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
char *__wrap_strdup(const char *text);
void __wrap_free(void *memory);

static size_t bytes, most;
static int64_t pieces;

static void *added(void *memory)
{
    if (memory != NULL) {
        bytes += malloc_usable_size(memory);
        pieces++;
        most = bytes > most ? bytes : most;
    }
    return memory;
}

static void removed(void *memory)
{
    if (memory != NULL) {
        bytes -= malloc_usable_size(memory);
        pieces--;
    }
}

void *__wrap_malloc(size_t size)
{
    return added(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
    return added(__real_calloc(count, size));
}

void *__wrap_realloc(void *memory, size_t size)
{
    removed(memory);
    return added(__real_realloc(memory, size));
}

int __wrap_posix_memalign(void **memory, size_t alignment, size_t size)
{
    int result = __real_posix_memalign(memory, alignment, size);
    if (result == 0)
        added(*memory);
    return result;
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return added(__real_aligned_alloc(alignment, size));
}

char *__wrap_strdup(const char *text)
{
    return added(__real_strdup(text));
}

void __wrap_free(void *memory)
{
    removed(memory);
    __real_free(memory);
}

size_t memory_bytes(void)
{
    return bytes;
}

size_t memory_most(void)
{
    return most;
}

int64_t memory_pieces(void)
{
    return pieces;
}
