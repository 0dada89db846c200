/* SPDX-License-Identifier: Apache-2.0 */
/* Text that is appended to, with every write checked: the only way the house builds output. */
#pragma once

#include "base/arena.h"
#include "base/slice.h"

struct buffer {
    char *data;
    size_t size;
    size_t capacity;
    struct arena *arena; /* where it grows; NULL: fixed, and `is_full` says that text was dropped */
    bool is_full;
};

/* Over memory of the caller; never grows. */
static inline struct buffer buffer_fixed(void *memory, size_t capacity)
{
    return (struct buffer){.data = memory, .capacity = capacity};
}

/* Grows in the arena, starting with `capacity` bytes. */
struct buffer buffer_in(struct arena *arena, size_t capacity);

/* Makes room for `size` more bytes; false where a fixed buffer has none, which also sets is_full.
 */
bool buffer_reserve_slow(struct buffer *buffer, size_t size);
static inline bool buffer_reserve(struct buffer *buffer, size_t size)
{
    return size <= buffer->capacity - buffer->size || buffer_reserve_slow(buffer, size);
}

/* An append that does not fit a fixed buffer adds nothing at all. */
static inline void buffer_append(struct buffer *buffer, struct slice text)
{
    if (text.size > 0 && buffer_reserve(buffer, text.size)) {
        memcpy(buffer->data + buffer->size, text.data, text.size);
        buffer->size += text.size;
    }
}

static inline void buffer_append_byte(struct buffer *buffer, char byte)
{
    if (buffer_reserve(buffer, 1))
        buffer->data[buffer->size++] = byte;
}

void buffer_append_u64(struct buffer *buffer, uint64_t number);
void buffer_format(struct buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static inline struct slice buffer_slice(const struct buffer *buffer)
{
    return slice_of(buffer->data, buffer->size);
}
