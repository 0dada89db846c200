/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the body in the bytes that follow a head: one pure reader for all framings. */
#pragma once

#include "http/h1_parse.h"

struct h1_body {
    enum framing framing;
    uint64_t left;          /* of the length, or of the current chunk */
    uint64_t body_bytes;    /* handed out so far */
    uint64_t framing_bytes; /* spent on chunk framing so far */
    uint8_t state;
    uint16_t extension_size; /* of the current chunk's extensions */
    uint32_t line_size;
    struct fields *trailers; /* filled at the end of a chunked body; NULL: read, checked, dropped */
    struct arena *arena;     /* where trailer lines are kept */
    struct buffer *trailer_text;
    enum refusal refusal; /* after PARSE_ERROR */
    const char *why;      /* the same as static text */
};

void h1_body_init(struct h1_body *body, enum framing framing, uint64_t length,
                  struct fields *trailers, struct arena *arena);

/* Takes bytes off the front of *input and sets *data to the body bytes among them (in place,
 * possibly empty). PARSE_MORE: call again with what is left of the input and what came since (any
 * split gives the same bytes). PARSE_DONE: the body has ended, *data may hold its last bytes, what
 * is left in *input is not of this message. FRAMING_CLOSE is never done by itself. */
enum parse h1_body_take(struct h1_body *body, struct slice *input, struct slice *data);

/* `size` bytes of a body of known length went another way. */
void h1_body_skip(struct h1_body *body, uint64_t size);

/* Whether nothing is missing any more. The only judge of "complete". */
bool h1_body_is_done(const struct h1_body *body);
