/* SPDX-License-Identifier: Apache-2.0 */
/* Streaming decoders of content codings. Pure: bytes in, bytes out, whatever the pieces. Memory is
 * bounded whatever the text says of itself: windows are of 32 KiB (gzip), 16 MiB (brotli) or at
 * most 8 MiB (zstd, RFC 9659 §3). */
#pragma once

#include "base/buffer.h"
#include "http/coding.h"

struct decoder;

enum decode_result {
    DECODE_MORE, /* it wants more text, or more room where the output is full */
    DECODE_DONE, /* the end of the encoded text */
    DECODE_BAD,  /* it is damaged, or something follows its end */
};

/* NULL: the library would not. */
struct decoder *decoder_new(enum coding coding);
void decoder_free(struct decoder *decoder);
/* Takes what it can off *text and appends to `out`, a fixed buffer with room in it. */
enum decode_result decoder_run(struct decoder *decoder, struct slice *text, struct buffer *out);
/* Whether the encoded text may end here. */
bool decoder_may_end(const struct decoder *decoder);
