/* SPDX-License-Identifier: Apache-2.0 */
/* A body that is pulled through a decoder, within bounds: for every step that wants to see what was
 * encoded, or to send it on as it was before. */
#pragma once

#include "exchange/exchange.h"
#include "http/decode.h"

enum decoding_failure {
    DECODING_GOOD,
    DECODING_DAMAGED,
    DECODING_TOO_LARGE, /* more than size_max bytes */
    DECODING_BOMB,      /* more than `ratio` times what it was before */
};

struct decoding_limits {
    int64_t size_max; /* bytes of text; −1: none */
    int64_t ratio;    /* looked at behind the first 64 KiB */
};

struct decoding {
    struct body body;
    struct body *inner;
    struct decoder *decoder;
    const struct decoding_limits *limits;
    struct slice text; /* of `inner`, that was not taken yet */
    char *out;         /* a block; NULL: given back */
    uint64_t taken, made;
    bool has_ended, is_finished, has_room_left;
    enum decoding_failure failure;
    /* Says whose fault a failure is; called once. */
    void (*blame)(struct exchange *x, enum decoding_failure failure);
    struct exchange *x;
};

/* A body in the arena of the exchange around `inner`; NULL: the library would not. */
struct decoding *decoding_begin(struct exchange *x, enum coding coding, struct body *inner,
                                const struct decoding_limits *limits,
                                void (*blame)(struct exchange *x, enum decoding_failure failure));
/* Gives back what it holds; NULL is fine, and so is a second time. */
void decoding_end(struct decoding *decoding);

/* For a failure in a response's body. */
void decoding_blame_server(struct exchange *x, enum decoding_failure failure);
