/* SPDX-License-Identifier: Apache-2.0 */
/* A list of keys that programs show, each with a name; only their SHA-256 is written down. */
#pragma once

#include "base/slice.h"

enum {
    API_KEYS_SIZE_MAX = 16 * 1024 * 1024,
    API_KEYS_WHY_MAX = 160,
    API_KEY_DIGEST_SIZE = 32,
    API_KEY_MAX = 1024,
};

struct api_keys;

/* Reads lines of NAME:SHA256 (hexadecimal); blank ones and those behind # are passed over. NULL:
 * `why` says which line is wrong and how; a file without keys is wrong. */
struct api_keys *api_keys_read(struct slice text, char why[API_KEYS_WHY_MAX]);
void api_keys_free(struct api_keys *keys);

/* The name of a key; empty: it is none of them. Takes no hint from how near a wrong one comes. The
 * name lives as long as the keys. */
struct slice api_keys_find(const struct api_keys *keys, struct slice key);

void api_key_digest(struct slice key, unsigned char digest[API_KEY_DIGEST_SIZE]);
