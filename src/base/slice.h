/* SPDX-License-Identifier: Apache-2.0 */
/* Text by pointer and size: never NUL-terminated, owned by the arena or buffer it points into. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
    const char *data;
    size_t size;
};

#define SLICE(literal) ((struct slice){"" literal, sizeof(literal) - 1})
#define SLICE_ARG(s)   (int)(s).size, (s).data /* for "%.*s" */

static inline struct slice slice_of(const char *data, size_t size)
{
    return (struct slice){data, size};
}

/* From a C string; NULL gives the empty slice. */
static inline struct slice slice_from_cstring(const char *text)
{
    return (struct slice){text, text == NULL ? 0 : strlen(text)};
}

static inline bool slice_equal(struct slice a, struct slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline struct slice slice_from(struct slice s, size_t start)
{
    return start >= s.size ? (struct slice){s.data + s.size, 0}
                           : (struct slice){s.data + start, s.size - start};
}

static inline struct slice slice_first(struct slice s, size_t size)
{
    return (struct slice){s.data, size < s.size ? size : s.size};
}

/* ASCII letters compare without case; other bytes must be equal. */
bool slice_equal_nocase(struct slice a, struct slice b);
bool slice_starts(struct slice s, struct slice prefix);
bool slice_starts_nocase(struct slice s, struct slice prefix);
bool slice_ends(struct slice s, struct slice suffix);
int slice_compare(struct slice a, struct slice b); /* bytewise order, shorter first */

/* Position of the first such byte, or s.size. */
size_t slice_find(struct slice s, char byte);
/* Position of the first `needle`, or s.size. An empty needle is found at 0. */
size_t slice_find_slice(struct slice s, struct slice needle);

/* Without spaces and tabs at both ends. */
struct slice slice_trim(struct slice s);

/* Takes the next element of a comma-separated list (RFC 9110 §5.6.1) off *rest, trimmed. False when
 * nothing is left; empty elements are passed over. */
bool slice_next_element(struct slice *rest, struct slice *element);

/* Whether the comma-separated list has the element, without case. */
bool slice_list_has(struct slice list, struct slice element);

/* The whole slice as decimal digits. False for anything else and above `max`. */
bool slice_to_u64(struct slice s, uint64_t max, uint64_t *value);

static inline char ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}
