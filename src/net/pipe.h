/* SPDX-License-Identifier: Apache-2.0 */
/* Pipes through which splice moves bytes; recycled per thread when empty. */
#pragma once

#include "base/status.h"

#include <stddef.h>

enum {
    PIPE_SIZE = 256 * 1024,
    PIPES_IN_USE_MAX = 128, /* per process; beyond it bytes are copied */
};

struct pipe {
    int ends[2];
    size_t filled; /* bytes in it now */
    struct pipe *next;
};

/* ERR_LIMIT when too many are in use or the kernel gives none. */
MUST_CHECK enum status pipe_take(struct pipe **pipe);
/* An empty one is kept for the next; one with bytes in it is closed. */
void pipe_give(struct pipe *pipe);
void pipe_release_all(void);
