/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that dies with its owner: bump allocation, freed in one go. */
#pragma once

#include "base/slice.h"

#include <stdarg.h>

struct arena_block;

struct arena {
    char *at;                   /* next free byte of the current block */
    char *end;                  /* its end */
    struct arena_block *blocks; /* those from malloc, newest first */
    size_t next_size;           /* of the next block; doubles up to 256 KiB */
    size_t taken;               /* bytes asked of malloc, for whoever accounts for the owner */
};

/* `first` is memory of the caller that is used before any malloc (NULL and 0 for none). It must
 * outlive the arena. */
void arena_init(struct arena *arena, void *first, size_t first_size);
void arena_done(struct arena *arena);

/* `size` bytes, aligned for any type, not zeroed. Never NULL: running out of memory ends the
 * process, because every size was held to a limit at the door. */
void *arena_alloc(struct arena *arena, size_t size);
void *arena_zero(struct arena *arena, size_t size);

struct slice arena_copy(struct arena *arena, struct slice text);
/* A NUL-terminated copy, for the border to the operating system. */
char *arena_cstring(struct arena *arena, struct slice text);
struct slice arena_format(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
struct slice arena_vformat(struct arena *arena, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

/* malloc and realloc that end the process where there is no memory left. */
void *memory_alloc(size_t size);
void *memory_zero(size_t size);
void *memory_resize(void *memory, size_t size);
