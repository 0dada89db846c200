/* SPDX-License-Identifier: Apache-2.0 */
/* Which requests an answer with Vary is for (RFC 9111 §4.1), and the one shape in which encodings
 * are asked for. Pure. */
#pragma once

#include "base/buffer.h"
#include "http/message.h"

enum {
    VARY_NAMES_MAX = 16,
};

/* The encodings that are told apart, a bit each. */
enum {
    ENCODING_GZIP = 1,
    ENCODING_BR = 2,
    ENCODING_ZSTD = 4,
    ENCODING_NOT_IDENTITY = 8, /* it wants no plain one */
};
/* What all fields Accept-Encoding of a request come to; what is malformed asks for nothing. */
unsigned encodings_accepted(const struct fields *request);
/* That as a value to send on: "zstd, br, gzip"; "identity" for none. Static text. */
struct slice encodings_text(unsigned accepted);

/* Whether an answer with these fields is for anybody else at all: not "*", not more than
 * VARY_NAMES_MAX names, not Cookie or Authorization (Cookie may be ignored). */
bool cache_vary_may_store(const struct fields *answer, bool ignores_cookies);
/* The names that it varies by as one text: lower case, in order, each once, with its size before
 * it; Cookie is left out. An encoded answer varies by Accept-Encoding whatever it says, because not
 * everybody can read it. */
void cache_vary_names(const struct fields *answer, struct arena *arena, struct slice *names);
/* Appends what a request has in those fields, as it is compared: lines joined, blanks round commas
 * and semicolons taken off, Accept-Encoding as above. */
void cache_vary_values(struct slice names, const struct fields *request, struct buffer *out);
