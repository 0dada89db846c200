/* SPDX-License-Identifier: Apache-2.0 */
#include "fiber/block.h"

#include "base/arena.h"
#include "base/check.h"
#include "fiber/thread.h"

#include <stdlib.h>

struct block {
    struct block *next;
};

#if defined(FIBER_ASAN)
#include <sanitizer/asan_interface.h>
#define POISON(memory)   ASAN_POISON_MEMORY_REGION(memory, BLOCK_SIZE)
#define UNPOISON(memory) ASAN_UNPOISON_MEMORY_REGION(memory, BLOCK_SIZE)
#else
#define POISON(memory)   ((void)(memory))
#define UNPOISON(memory) ((void)(memory))
#endif

void *block_take(void)
{
    struct thread *thread = thread_self();
    thread->blocks_taken++;
    struct block *block = thread->blocks_free;
    if (block == NULL) {
        /* Aligned to pages so that one never touched beyond its first bytes costs one page. */
        void *memory = NULL;
        check(posix_memalign(&memory, 4096, BLOCK_SIZE) == 0);
        return memory;
    }
    UNPOISON(block);
    thread->blocks_free = block->next;
    thread->blocks_free_count--;
    return block;
}

void block_give(void *memory)
{
    struct thread *thread = thread_self();
    check(thread->blocks_taken > 0);
    thread->blocks_taken--;
    if (thread->blocks_free_count >= BLOCKS_FREE_MAX) {
        free(memory);
        return;
    }
    struct block *block = memory;
    block->next = thread->blocks_free;
    thread->blocks_free = block;
    thread->blocks_free_count++;
    POISON(block);
}

void block_release_all(void)
{
    struct thread *thread = thread_self();
    while (thread->blocks_free != NULL) {
        struct block *block = thread->blocks_free;
        UNPOISON(block);
        thread->blocks_free = block->next;
        free(block);
    }
    thread->blocks_free_count = 0;
}
