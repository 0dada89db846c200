/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 (RFC 4648), strict: one text for the bytes and one only. */
#pragma once

#include "base/buffer.h"

enum base64 {
    BASE64_STANDARD, /* + and /, padded */
    BASE64_URL,      /* - and _, without padding, as in JOSE */
};

/* Decodes the whole text into the arena. False for anything that the encoder would not have
 * written: blanks, missing or needless padding, bits left over. */
bool base64_decode(enum base64 alphabet, struct slice text, struct arena *arena,
                   struct slice *bytes);
void base64_encode(enum base64 alphabet, struct slice bytes, struct buffer *out);
