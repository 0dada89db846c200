/* SPDX-License-Identifier: Apache-2.0 */
/* Buffers of one fixed size, recycled last-in-first-out per thread, so that the next exchange works
 * in memory that is still in the cache. */
#pragma once

#include <stddef.h>

enum {
    BLOCK_SIZE = 16 * 1024, /* a buffer per direction: defaults.md, one TLS record */
    BLOCKS_FREE_MAX =
        1024, /* kept per thread; the memory of what comes back beyond it is given up */
};

/* Never NULL; not zeroed. */
void *block_take(void);
void block_give(void *block);
/* Gives the memory up of what is kept for later on this thread, but for that many. */
void block_trim(size_t keep);
void block_release_all(void);
