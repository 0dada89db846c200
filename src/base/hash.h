/* SPDX-License-Identifier: Apache-2.0 */
/* SipHash-2-4: a short, fast hash under a key. With a secret key nobody else can say or forge what
 * a text hashes to; with a fixed one every weir on every machine says the same. */
#pragma once

#include "base/slice.h"

struct hash_key {
    uint64_t first, second;
};

uint64_t hash_text(struct hash_key key, struct slice text);
/* SipHash-1-3, at half the price: for tables in memory under a secret key, which nobody sees but by
 * how long a look-up takes. */
uint64_t hash_text_quick(struct hash_key key, struct slice text);

/* A key made of a secret of any length. */
struct hash_key hash_key_of(struct slice secret);
