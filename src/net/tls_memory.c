/* SPDX-License-Identifier: Apache-2.0 */
/* Slots of few sizes, the free ones of each in two stacks without locks: those whose pages are
 * there, which are taken first, and those whose pages went back to the kernel. Any thread may free
 * what another has taken. Where no slot is left, malloc() serves. */
#include "net/tls_memory.h"

#include "base/arena.h"
#include "fiber/pages.h"

#include <malloc.h>
#include <openssl/crypto.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    SLOTS = 4096, /* of each size, for all threads */
};

/* The upper half counts changes, so that who was interrupted notices them; the lower one is the
 * first slot's number, from 1; 0: none. */
struct stack {
    uint64_t top;
};

struct pool {
    size_t least, size; /* of what is put into a slot; the largest is a slot's own */
    uint32_t hot_max;   /* free ones whose pages are kept */
    char *base;
    struct stack hot, cold;
    uint32_t hot_count;
    uint32_t unused; /* slots that nobody has had yet begin here */
    uint32_t below[SLOTS + 1];
};

static struct pool pools[] = {
    {.least = 12 * 1024, .size = 20 * 1024, .hot_max = 16}, /* records */
    /* The messages of a handshake: wiped to their last byte when it ends. What a record of a slow
     * reader then stood in would have all its pages. */
    {.least = 20 * 1024 + 1, .size = 24 * 1024, .hot_max = 8},
    {.least = 4096, .size = 4096, .hot_max = 32}, /* a flight on its way to the records */
};
enum {
    POOLS = sizeof pools / sizeof *pools,
    LEAST = 4096, /* of all pools: most pieces are smaller */
};

/* All slots, one pool's behind the other's. */
static char *slots;
static size_t slots_size;

static void push(struct pool *pool, struct stack *stack, uint32_t slot)
{
    uint64_t top = __atomic_load_n(&stack->top, __ATOMIC_RELAXED);
    uint64_t next;
    do {
        __atomic_store_n(&pool->below[slot], (uint32_t)top, __ATOMIC_RELAXED);
        next = ((top >> 32) + 1) << 32 | slot;
    } while (!__atomic_compare_exchange_n(&stack->top, &top, next, true, __ATOMIC_RELEASE,
                                          __ATOMIC_RELAXED));
}

static uint32_t pop(const struct pool *pool, struct stack *stack)
{
    uint64_t top = __atomic_load_n(&stack->top, __ATOMIC_ACQUIRE);
    uint64_t next;
    do {
        if ((uint32_t)top == 0)
            return 0;
        next = ((top >> 32) + 1) << 32 |
               __atomic_load_n(&pool->below[(uint32_t)top], __ATOMIC_RELAXED);
    } while (!__atomic_compare_exchange_n(&stack->top, &top, next, true, __ATOMIC_ACQUIRE,
                                          __ATOMIC_ACQUIRE));
    return (uint32_t)top;
}

static void *memory_of(const struct pool *pool, uint32_t slot)
{
    return pool->base + (size_t)(slot - 1) * pool->size;
}

static void *take(struct pool *pool)
{
    uint32_t slot = pop(pool, &pool->hot);
    if (slot != 0) {
        __atomic_sub_fetch(&pool->hot_count, 1, __ATOMIC_RELAXED);
        return memory_of(pool, slot);
    }
    slot = pop(pool, &pool->cold);
    if (slot == 0 && __atomic_load_n(&pool->unused, __ATOMIC_RELAXED) < SLOTS)
        slot = __atomic_add_fetch(&pool->unused, 1, __ATOMIC_RELAXED);
    return slot == 0 || slot > SLOTS ? NULL : memory_of(pool, slot);
}

static void give(struct pool *pool, void *memory)
{
    uint32_t slot = (uint32_t)((size_t)((char *)memory - pool->base) / pool->size) + 1;
    if (__atomic_load_n(&pool->hot_count, __ATOMIC_RELAXED) >= pool->hot_max) {
        pages_drop(memory, pool->size);
        push(pool, &pool->cold, slot);
        return;
    }
    __atomic_add_fetch(&pool->hot_count, 1, __ATOMIC_RELAXED);
    push(pool, &pool->hot, slot);
}

/* NULL: it is malloc()'s. */
static struct pool *pool_of(const void *memory)
{
    size_t at = (uintptr_t)memory - (uintptr_t)slots;
    if (at >= slots_size)
        return NULL;
    struct pool *pool = pools;
    while (at >= SLOTS * pool->size) {
        at -= SLOTS * pool->size;
        pool++;
    }
    return pool;
}

static struct pool *pool_for(size_t size)
{
    if (size < LEAST || slots == NULL)
        return NULL;
    for (int i = 0; i < POOLS; i++)
        if (size >= pools[i].least && size <= pools[i].size)
            return &pools[i];
    return NULL;
}

static void *allocate(size_t size, const char *file, int line)
{
    (void)file, (void)line;
    struct pool *pool = pool_for(size);
    void *memory = pool == NULL ? NULL : take(pool);
    if (memory == NULL && size > 0)
        memory = memory_alloc(size);
    return memory;
}

static void release(void *memory, const char *file, int line)
{
    (void)file, (void)line;
    struct pool *pool = pool_of(memory);
    if (pool != NULL)
        give(pool, memory);
    else
        free(memory);
}

static void *resize(void *memory, size_t size, const char *file, int line)
{
    if (memory == NULL)
        return allocate(size, file, line);
    struct pool *pool = pool_of(memory);
    if (size == 0) {
        release(memory, file, line);
        return NULL;
    }
    if (pool == NULL && pool_for(size) == NULL)
        return memory_resize(memory, size);
    if (pool != NULL && size <= pool->size)
        return memory;
    size_t before = pool != NULL ? pool->size : malloc_usable_size(memory);
    void *moved = allocate(size, file, line);
    memcpy(moved, memory, before < size ? before : size);
    release(memory, file, line);
    return moved;
}

void tls_memory_prepare(void)
{
    if (CRYPTO_set_mem_functions(allocate, resize, release) != 1)
        return;
    size_t size = 0;
    for (int i = 0; i < POOLS; i++)
        size += SLOTS * pools[i].size;
    slots = pages_map(size);
    if (slots == NULL)
        return;
    slots_size = size;
    for (int i = 0; i < POOLS; i++)
        pools[i].base = i == 0 ? slots : pools[i - 1].base + SLOTS * pools[i - 1].size;
}
