/* SPDX-License-Identifier: Apache-2.0 */
/* A consistent hash after Maglev (Eisenbud and others, NSDI 2016): a table in which every member
 * owns as many places as its weight asks for, at places that hardly depend on who else is there. A
 * lookup is one division. Whoever finds that the owner cannot serve walks on, in strides of the
 * key's own, to places whose owners are as good as drawn by weight: so only keys of the missing
 * member move, and to all others alike. */
#pragma once

#include "base/slice.h"

struct consistent_member {
    uint64_t id;     /* the same wherever the member is meant */
    uint32_t weight; /* 1–256 */
    uint32_t index;  /* what a lookup gives */
};

struct consistent {
    uint32_t *places;
    uint32_t size; /* a prime */
};

/* Members are not empty. Allocates; freed by consistent_done(). */
void consistent_init(struct consistent *consistent, const struct consistent_member *members,
                     size_t count);
void consistent_done(struct consistent *consistent);

/* The owner of the key's own place (step 0), or of the place it goes to at that step: keys of one
 * place part there. */
static inline size_t consistent_find(const struct consistent *consistent, uint64_t key,
                                     uint32_t step)
{
    uint64_t stride = step == 0 ? 0 : (key >> 20) % (consistent->size - 1) + 1;
    return consistent->places[(key % consistent->size + step * stride) % consistent->size];
}
