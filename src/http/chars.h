/* SPDX-License-Identifier: Apache-2.0 */
/* Which bytes may stand where: one table for all codecs. */
#pragma once

#include "base/slice.h"

enum chars {
    CHAR_TOKEN = 1,       /* RFC 9110 §5.6.2 */
    CHAR_VALUE = 2,       /* of field values: tab, 20-7E, 80-FF */
    CHAR_TARGET = 4,      /* of request targets: 21-7E but the fragment's "#" */
    CHAR_NAME = 8,        /* A-Z a-z 0-9 and hyphen: names that all servers read alike */
    CHAR_HOST = 16,       /* of host names: letters, digits, "-._~" */
    CHAR_UNRESERVED = 32, /* RFC 3986 §2.3 */
    CHAR_HEX = 64,
    CHAR_PATH = 128, /* may stand in a path or query without an escape */
};

extern const uint8_t chars_table[256];

static inline bool chars_is(char c, enum chars kind)
{
    return (chars_table[(unsigned char)c] & kind) != 0;
}

/* How many bytes from the start are of that kind. */
static inline size_t chars_span(struct slice text, enum chars kind)
{
    size_t i = 0;
    while (i < text.size && chars_is(text.data[i], kind))
        i++;
    return i;
}

/* The same for field values, 16 bytes at a time: stops at the first control byte but tab, or DEL.
 */
size_t chars_span_value(const char *data, size_t size);
/* And for names that are plain (CHAR_NAME). */
size_t chars_span_name(const char *data, size_t size);

static inline int chars_hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}
