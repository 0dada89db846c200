/* SPDX-License-Identifier: Apache-2.0 */
/* The heap of one HTTP/2 session: small pieces of few sizes, recycled, and never more than a bound:
 * a client cannot make us keep more books about it than that. */
#pragma once

#include <stddef.h>

enum {
    H2_MEMORY_CLASSES = 7, /* 32 … 2048 bytes */
};

struct h2_memory_chunk;
struct h2_memory_piece;

struct h2_memory {
    struct h2_memory_piece *free[H2_MEMORY_CLASSES];
    struct h2_memory_chunk *chunks;
    char *at, *end;   /* of the newest chunk */
    size_t next_size; /* of the next one */
    size_t taken;     /* from the heap of the process */
    size_t max;
};

void h2_memory_init(struct h2_memory *memory, size_t max);
void h2_memory_done(struct h2_memory *memory);
/* NULL when the bound is reached. */
void *h2_memory_alloc(struct h2_memory *memory, size_t size);
void *h2_memory_resize(struct h2_memory *memory, void *piece, size_t size);
void h2_memory_free(struct h2_memory *memory, void *piece);
