/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks are cut from slabs without anything between them, so that one of which only the start is
 * used costs one page: a header of malloc() would touch the page before it. */
#include "fiber/block.h"

#include "base/arena.h"
#include "base/check.h"
#include "fiber/pages.h"
#include "fiber/thread.h"

#include <stdlib.h>

#if defined(FIBER_ASAN)
#include <sanitizer/asan_interface.h>
#define POISON(memory)        ASAN_POISON_MEMORY_REGION(memory, BLOCK_SIZE)
#define UNPOISON(memory)      ASAN_UNPOISON_MEMORY_REGION(memory, BLOCK_SIZE)
#define POISON_SLAB(memory)   ASAN_POISON_MEMORY_REGION(memory, SLAB_SIZE)
#define UNPOISON_SLAB(memory) ASAN_UNPOISON_MEMORY_REGION(memory, SLAB_SIZE)
#define GAP_SIZE              4096 /* stays poisoned */
#else
#define POISON(memory)        ((void)(memory))
#define UNPOISON(memory)      ((void)(memory))
#define POISON_SLAB(memory)   ((void)(memory))
#define UNPOISON_SLAB(memory) ((void)(memory))
#define GAP_SIZE              0
#endif

enum {
    SLAB_BLOCKS = 64,
    STRIDE = BLOCK_SIZE + GAP_SIZE,
    SLAB_SIZE = SLAB_BLOCKS * STRIDE,
};

struct block {
    struct block *next;
};

/* Those whose pages went back to the kernel, and the slabs. */
struct block_store {
    void **cold;
    size_t cold_count, cold_capacity;
    void **slabs;
    size_t slabs_count, slabs_capacity;
};

static void push(void ***list, size_t *count, size_t *capacity, void *item)
{
    if (*count == *capacity) {
        *capacity = *capacity == 0 ? SLAB_BLOCKS : *capacity * 2;
        *list = memory_resize(*list, *capacity * sizeof **list);
    }
    (*list)[(*count)++] = item;
}

static struct block_store *store_of(struct thread *thread)
{
    if (thread->blocks == NULL)
        thread->blocks = memory_zero(sizeof *thread->blocks);
    return thread->blocks;
}

/* One whose pages are not there yet. */
__attribute__((noinline)) static void *take_cold(struct thread *thread)
{
    struct block_store *store = store_of(thread);
    if (store->cold_count == 0) {
        char *slab = pages_map(SLAB_SIZE);
        check(slab != NULL);
        push(&store->slabs, &store->slabs_count, &store->slabs_capacity, slab);
        for (size_t i = SLAB_BLOCKS; i-- > 0;)
            push(&store->cold, &store->cold_count, &store->cold_capacity, slab + i * STRIDE);
        POISON_SLAB(slab);
    }
    thread_commit(thread, BLOCK_SIZE);
    return store->cold[--store->cold_count];
}

static void chill(struct thread *thread, void *block)
{
    struct block_store *store = store_of(thread);
    pages_drop(block, BLOCK_SIZE);
    push(&store->cold, &store->cold_count, &store->cold_capacity, block);
    thread_commit(thread, -BLOCK_SIZE);
}

void *block_take(void)
{
    struct thread *thread = thread_self();
    thread->blocks_taken++;
    struct block *block = thread->blocks_free;
    if (block == NULL)
        block = take_cold(thread);
    UNPOISON(block);
    if (block == thread->blocks_free) {
        thread->blocks_free = block->next;
        thread->blocks_free_count--;
        /* Whoever takes the next one reads there where it goes on. */
        __builtin_prefetch(thread->blocks_free);
    }
    return block;
}

void block_give(void *memory)
{
    struct thread *thread = thread_self();
    check(thread->blocks_taken > 0);
    thread->blocks_taken--;
    if (thread->blocks_free_count >= BLOCKS_FREE_MAX) {
        chill(thread, memory);
    } else {
        struct block *block = memory;
        block->next = thread->blocks_free;
        thread->blocks_free = block;
        thread->blocks_free_count++;
    }
    POISON(memory);
}

void block_trim(size_t keep)
{
    struct thread *thread = thread_self();
    while (thread->blocks_free_count > keep) {
        struct block *block = thread->blocks_free;
        UNPOISON(block);
        thread->blocks_free = block->next;
        thread->blocks_free_count--;
        chill(thread, block);
        POISON(block);
    }
}

void block_release_all(void)
{
    struct thread *thread = thread_self();
    struct block_store *store = thread->blocks;
    check(thread->blocks_taken == 0);
    thread_commit(thread, -(int64_t)thread->blocks_free_count * BLOCK_SIZE);
    thread->blocks_free = NULL;
    thread->blocks_free_count = 0;
    if (store == NULL)
        return;
    for (size_t i = 0; i < store->slabs_count; i++) {
        UNPOISON_SLAB(store->slabs[i]);
        pages_unmap(store->slabs[i], SLAB_SIZE);
    }
    free(store->slabs);
    free(store->cold);
    free(store);
    thread->blocks = NULL;
}
