/* SPDX-License-Identifier: Apache-2.0 */
/* Streaming encoders of content codings over zlib, brotli and zstd. Pure: bytes in, bytes out,
 * whatever the pieces. What an encoder needs comes from a pool, one per thread, which keeps it for
 * the next one: allocating it anew costs more than a small body. */
#pragma once

#include "base/buffer.h"
#include "http/coding.h"

struct encoder;
struct encoder_pool;

enum {
    ENCODER_ROOM_MIN = 16,                /* in the output, for each call */
    ENCODER_KEPT_BYTES = 8 * 1024 * 1024, /* by a pool, of what nobody uses */
};

struct encode_settings {
    enum coding coding;
    int level;      /* of that coding; within its bounds */
    bool is_stream; /* it may last for hours and say little: less memory for it */
    int64_t length; /* of the text; −1: not known */
};

enum encode_mode {
    ENCODE_FEED,  /* takes the text in; what comes out of it may come later */
    ENCODE_FLUSH, /* all of the text so far can be read from what has come out */
    ENCODE_END,
};

enum encode_result {
    ENCODE_DONE, /* all of the text is taken, and flushed or ended if that was asked for */
    ENCODE_MORE, /* the output is full: call again with room in it */
    ENCODE_ERROR,
};

struct encoder_pool *encoder_pool_new(void);
/* Its encoders have been given back. */
void encoder_pool_free(struct encoder_pool *pool);

/* The highest level of a coding that is fit for a thread that serves others too. */
int encoder_level_max(enum coding coding);
/* Bytes that such an encoder takes at most, for whoever holds the sum to a limit. */
size_t encoder_cost(const struct encode_settings *settings);

/* NULL: the library would not. */
struct encoder *encoder_take(struct encoder_pool *pool, const struct encode_settings *settings);
void encoder_give(struct encoder *encoder);

/* Takes what it can off *text and appends to `out`, a fixed buffer with
 * ENCODER_ROOM_MIN bytes free. */
enum encode_result encoder_run(struct encoder *encoder, enum encode_mode mode, struct slice *text,
                               struct buffer *out);
/* Bytes that it has taken from the system. */
size_t encoder_pool_bytes(const struct encoder_pool *pool);
