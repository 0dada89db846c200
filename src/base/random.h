/* SPDX-License-Identifier: Apache-2.0 */
/* The one source of chance. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Unpredictable bytes from the kernel: keys, identifiers. Ends the process if there are none. */
void random_bytes(void *into, size_t size);

/* A fast generator (xoshiro256++) for choices that need no secrecy. One per thread. */
struct random {
    uint64_t state[4];
};
void random_seed(struct random *random); /* from the kernel */
uint64_t random_next(struct random *random);
/* Evenly from 0 to bound − 1; bound > 0. */
uint32_t random_below(struct random *random, uint32_t bound);
