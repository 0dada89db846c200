/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies are pulled: whoever wants bytes asks for them, so back-pressure costs no code. */
#pragma once

#include "http/message.h"

struct stream;

enum {
    BODY_MOVE_MIN = 64 * 1024, /* bytes left before moving them is cheaper than copying */
};

struct body {
    /* Sets *chunk to the next bytes, valid until the next call; an empty chunk with OK is the end,
     * and every call after it says the same. Waits. Errors leave the body unusable:
     * ERR_CLOSED (ended too early), ERR_PROTOCOL, ERR_TIMEOUT, ERR_CANCELLED, ERR_LIMIT,
     * ERR_SYSTEM. */
    enum status (*read)(struct body *body, struct slice *chunk, int64_t deadline);
    /* Moves bytes straight to a plain stream, at least one, without showing them; NULL, or
     * ERR_LIMIT (nothing moved), where that is not possible now. `to_failed`: the error is of `to`.
     */
    enum status (*move)(struct body *body, struct stream *to, int64_t stall, uint64_t *moved,
                        bool *to_failed);
    /* Nobody will look at these bytes again, which read() has given: their memory is let go where
     * they stand. NULL: it is not the body's own. */
    void (*forget)(struct body *body, struct slice bytes);
    /* move() is worth it from the first byte on: the head need not leave first. */
    bool moves_first;
    /* Whether read() would answer without waiting. */
    bool (*is_ready)(struct body *body);
    int64_t length;          /* −1: not known before its end */
    struct fields *trailers; /* complete after the end; NULL: none */
};

/* One that has ended already. */
struct body *body_none(void);

/* A text in memory. */
struct body_text {
    struct body body;
    struct slice text;
    bool is_read;
};
void body_text_init(struct body_text *body, struct slice text);
