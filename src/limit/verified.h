/* SPDX-License-Identifier: Apache-2.0 */
/* What was found to be good a short while ago, so that it need not be proved again: one bounded
 * table for all workers. */
#pragma once

#include "base/arena.h"

enum {
    VERIFIED_ENTRIES = 16384,
    VERIFIED_SIZE_MAX = 8192, /* of a key and its value; larger ones are not kept */
};

struct verified;

/* The table of the process; made by the first that asks. */
struct verified *verified_table(void);

/* The value that was kept with a key, copied into the arena, if its time is not over; times are of
 * any clock, as long as it is the same. Does not wait. */
bool verified_find(struct verified *verified, struct slice key, int64_t now, struct arena *arena,
                   struct slice *value);
/* Keeps it until `expires`; the one that expires first makes room. */
void verified_keep(struct verified *verified, struct slice key, struct slice value, int64_t expires,
                   int64_t now);
/* Forgets all of it: nothing that was proved with secrets outlives the work. */
void verified_clear(void);

enum {
    VERIFIED_DIGEST_SIZE = 32,
};
/* A secret as a key: its HMAC under a key of this process. */
void verified_digest(struct slice secret, char digest[VERIFIED_DIGEST_SIZE]);
