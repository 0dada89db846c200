/* SPDX-License-Identifier: Apache-2.0 */
#include "http/h2_memory.h"

#include "base/arena.h"
#include "base/check.h"

#include <stdlib.h>
#include <string.h>

enum {
    SMALLEST = 32,
    LARGEST = SMALLEST << (H2_MEMORY_CLASSES - 1),
    CHUNK_FIRST = 2048,
    CHUNK_MAX = 16 * 1024,
    LARGE = -1,
};

/* Stands before each piece. */
struct h2_memory_piece {
    union {
        struct h2_memory_piece *next; /* free */
        size_t size;                  /* in use */
    };
    long class; /* LARGE: of its own */
};
_Static_assert(sizeof(struct h2_memory_piece) == 16, "pieces stay aligned");

struct h2_memory_chunk {
    struct h2_memory_chunk *next;
    size_t size;
};

void h2_memory_init(struct h2_memory *memory, size_t max)
{
    *memory = (struct h2_memory){.max = max, .next_size = CHUNK_FIRST};
}

void h2_memory_done(struct h2_memory *memory)
{
    while (memory->chunks != NULL) {
        struct h2_memory_chunk *chunk = memory->chunks;
        memory->chunks = chunk->next;
        memory->taken -= chunk->size;
        free(chunk);
    }
    check(memory->taken == 0); /* large pieces went one by one */
}

static void *alloc_large(struct h2_memory *memory, size_t size)
{
    size_t whole = size + sizeof(struct h2_memory_piece);
    if (whole < size || whole > memory->max - memory->taken)
        return NULL;
    struct h2_memory_piece *piece = memory_alloc(whole);
    memory->taken += whole;
    piece->size = size;
    piece->class = LARGE;
    return piece + 1;
}

static struct h2_memory_piece *carve(struct h2_memory *memory, size_t size)
{
    if ((size_t)(memory->end - memory->at) < size) {
        size_t whole = memory->next_size;
        if (whole > memory->max - memory->taken)
            return NULL;
        struct h2_memory_chunk *chunk = memory_alloc(whole);
        memory->taken += whole;
        *chunk = (struct h2_memory_chunk){memory->chunks, whole};
        memory->chunks = chunk;
        memory->at = (char *)(chunk + 1);
        memory->end = (char *)chunk + whole;
        memory->next_size = whole * 2 < CHUNK_MAX ? whole * 2 : CHUNK_MAX;
    }
    struct h2_memory_piece *piece = (struct h2_memory_piece *)(void *)memory->at;
    memory->at += size;
    return piece;
}

void *h2_memory_alloc(struct h2_memory *memory, size_t size)
{
    size_t whole = size + sizeof(struct h2_memory_piece);
    if (whole > LARGEST / 2) /* one such piece would be most of a chunk */
        return alloc_large(memory, size);
    long class = whole <= SMALLEST ? 0 : 64 - __builtin_clzl(whole - 1) - 5;
    struct h2_memory_piece *piece = memory->free[class];
    if (piece != NULL)
        memory->free[class] = piece->next;
    else
        piece = carve(memory, (size_t)SMALLEST << class);
    if (piece == NULL)
        return NULL;
    piece->size = size;
    piece->class = class;
    return piece + 1;
}

void h2_memory_free(struct h2_memory *memory, void *freed)
{
    if (freed == NULL)
        return;
    struct h2_memory_piece *piece = (struct h2_memory_piece *)freed - 1;
    if (piece->class == LARGE) {
        memory->taken -= piece->size + sizeof *piece;
        free(piece);
        return;
    }
    check(piece->class >= 0 && piece->class < H2_MEMORY_CLASSES);
    long class = piece->class;
    piece->next = memory->free[class];
    memory->free[class] = piece;
}

void *h2_memory_resize(struct h2_memory *memory, void *old, size_t size)
{
    if (old == NULL)
        return h2_memory_alloc(memory, size);
    size_t old_size = ((struct h2_memory_piece *)old - 1)->size;
    void *piece = h2_memory_alloc(memory, size);
    if (piece == NULL)
        return NULL;
    memcpy(piece, old, old_size < size ? old_size : size);
    h2_memory_free(memory, old);
    return piece;
}
