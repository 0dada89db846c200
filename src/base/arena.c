/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

struct arena_block {
    struct arena_block *next;
    max_align_t data[];
};

enum {
    ALIGNMENT = _Alignof(max_align_t),
    BLOCK_SIZE_FIRST = 4096,
    BLOCK_SIZE_MAX = 256 * 1024,
};

void arena_init(struct arena *arena, void *first, size_t first_size)
{
    check((uintptr_t)first % ALIGNMENT == 0);
    *arena = (struct arena){
        .at = first,
        .end = first == NULL ? NULL : (char *)first + first_size,
        .next_size = BLOCK_SIZE_FIRST,
    };
}

void arena_done(struct arena *arena)
{
    for (struct arena_block *block = arena->blocks, *next; block != NULL; block = next) {
        next = block->next;
        free(block);
    }
    *arena = (struct arena){0};
}

/* Apart: what is there at once needs no registers of it. */
__attribute__((noinline)) static void *arena_grow(struct arena *arena, size_t size)
{
    size_t block_size = size > arena->next_size ? size : arena->next_size;
    struct arena_block *block = memory_alloc(sizeof *block + block_size);
    block->next = arena->blocks;
    arena->blocks = block;
    arena->taken += block_size;
    if (arena->next_size < BLOCK_SIZE_MAX)
        arena->next_size *= 2;
    char *memory = (char *)block->data;
    /* A single large piece leaves the current block in use: it still has room. */
    if (block_size > size || arena->at == NULL) {
        arena->at = memory + size;
        arena->end = memory + block_size;
    }
    return memory;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    check(size < SIZE_MAX / 2);
    size = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    if (size > (size_t)(arena->end - arena->at))
        return arena_grow(arena, size);
    void *memory = arena->at;
    arena->at += size;
    return memory;
}

void *arena_zero(struct arena *arena, size_t size)
{
    void *memory = arena_alloc(arena, size);
    memset(memory, 0, size);
    return memory;
}

struct slice arena_copy(struct arena *arena, struct slice text)
{
    if (text.size == 0)
        return (struct slice){"", 0};
    char *copy = arena_alloc(arena, text.size);
    memcpy(copy, text.data, text.size);
    return slice_of(copy, text.size);
}

char *arena_cstring(struct arena *arena, struct slice text)
{
    char *copy = arena_alloc(arena, text.size + 1);
    if (text.size > 0)
        memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    return copy;
}

struct slice arena_vformat(struct arena *arena, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    int size = vsnprintf(NULL, 0, format, arguments);
    check(size >= 0);
    char *text = arena_alloc(arena, (size_t)size + 1);
    (void)vsnprintf(text, (size_t)size + 1, format, again);
    va_end(again);
    return slice_of(text, (size_t)size);
}

struct slice arena_format(struct arena *arena, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    struct slice text = arena_vformat(arena, format, arguments);
    va_end(arguments);
    return text;
}

void *memory_alloc(size_t size)
{
    void *memory = malloc(size);
    check(memory != NULL);
    return memory;
}

void *memory_zero(size_t size)
{
    void *memory = calloc(1, size);
    check(memory != NULL);
    return memory;
}

void *memory_resize(void *memory, size_t size)
{
    memory = realloc(memory, size);
    check(memory != NULL);
    return memory;
}
