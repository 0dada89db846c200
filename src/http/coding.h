/* SPDX-License-Identifier: Apache-2.0 */
/* Content codings: their names, and which of them a client wants (RFC 9110 §8.4.1, §12.5.3). */
#pragma once

#include "base/slice.h"
#include "http/message.h"

enum coding {
    CODING_IDENTITY,
    CODING_GZIP,
    CODING_BR,
    CODING_ZSTD,
    CODINGS,
    CODING_UNKNOWN = CODINGS,
};

/* As they are written: "gzip"; static text. */
struct slice coding_name(enum coding coding);
/* Without case, "x-gzip" too; CODING_UNKNOWN for any other. */
enum coding coding_of(struct slice name);

/* How much a client wants each coding, in thousandths; 0: it refuses it. */
struct coding_wish {
    int16_t weight[CODINGS];
    bool has_identity; /* identity was named, or * was */
};

/* Reads Accept-Encoding of a request; without the field identity alone is wanted. What breaks the
 * grammar is passed over. */
void coding_wish_read(const struct fields *fields, struct coding_wish *wish);
/* The one with the highest weight, of equal ones the first offered; identity only where nothing
 * offered is wanted, or where it was named and weighs more. */
enum coding coding_choose(const struct coding_wish *wish, const enum coding *offered, size_t count);

/* What a body with this Content-Encoding has to go through: the one coding, CODING_IDENTITY for
 * none, CODING_UNKNOWN for an unknown one or several. */
enum coding coding_of_body(const struct fields *fields);
