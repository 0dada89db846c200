/* SPDX-License-Identifier: Apache-2.0 */
/* How many of something are under way for each key, over all workers: connections of a client,
 * exchanges of a user. A key has an entry as long as something of it is under way, so the table is
 * bounded by what is. */
#pragma once

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct tally;

struct tally *tally_new(void);
void tally_free(struct tally *tally);
/* What stands for a key from then on. */
uint64_t tally_key(const struct tally *tally, struct slice key);
/* Counts one more in unless the key has `max` already (false). */
bool tally_enter(struct tally *tally, uint64_t key, int64_t max);
void tally_leave(struct tally *tally, uint64_t key);
