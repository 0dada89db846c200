/* SPDX-License-Identifier: Apache-2.0 */
/* Keys that signatures of tokens are verified with: from a JWKS (RFC 7517), a PEM text or a shared
 * secret. Not changed once made; may be used by several threads at a time. */
#pragma once

#include "base/slice.h"

#include <openssl/types.h>

enum jwt_algorithm {
#define JWT_ALGORITHM(id, name) JWT_##id,
#include "net/jwt_algorithm.def"
#undef JWT_ALGORITHM
    JWT_ALGORITHMS, /* also: none of them */
};

enum {
    JWT_KEYS_MAX = 64,
    JWT_KEYS_SIZE_MAX = 1024 * 1024, /* of a text with keys */
    JWT_WHY_MAX = 160,
};

struct jwt_key {
    struct slice kid; /* empty: it has none and fits every token */
    uint32_t fits;    /* a bit for each algorithm that it may verify */
    EVP_PKEY *key;    /* NULL: a secret */
    struct slice secret;
};

struct jwt_keys {
    struct jwt_key items[JWT_KEYS_MAX];
    size_t count;
};

/* "RS256"; JWT_ALGORITHMS for any other text, "none" included. Exact case (RFC 7515 §4.1.1). */
enum jwt_algorithm jwt_algorithm_of(struct slice name);

/* Reads a JWKS or PEM text. Keys of a JWKS that are of no use here are passed over; secrets in one
 * too, since it is public. NULL: `why` says what is wrong with the text. */
struct jwt_keys *jwt_keys_read(struct slice text, char why[JWT_WHY_MAX]);
/* For HS256 and its like: at least 32 bytes (RFC 7518 §3.2). */
struct jwt_keys *jwt_keys_of_secret(struct slice secret, char why[JWT_WHY_MAX]);
void jwt_keys_free(struct jwt_keys *keys);
