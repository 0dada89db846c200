/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buffer.h"

#include "base/check.h"

#include <stdio.h>

struct buffer buffer_in(struct arena *arena, size_t capacity)
{
    return (struct buffer){
        .data = arena_alloc(arena, capacity), .capacity = capacity, .arena = arena};
}

bool buffer_reserve_slow(struct buffer *buffer, size_t size)
{
    if (buffer->arena == NULL) {
        buffer->is_full = true;
        return false;
    }
    check(size < SIZE_MAX / 4 && buffer->capacity < SIZE_MAX / 4);
    size_t capacity = buffer->capacity < 64 ? 64 : buffer->capacity;
    while (capacity - buffer->size < size)
        capacity *= 2;
    char *data = arena_alloc(buffer->arena, capacity);
    if (buffer->size > 0)
        memcpy(data, buffer->data, buffer->size);
    buffer->data = data;
    buffer->capacity = capacity;
    return true;
}

void buffer_append_u64(struct buffer *buffer, uint64_t number)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    buffer_append(buffer, slice_of(digits + at, sizeof digits - at));
}

void buffer_format(struct buffer *buffer, const char *format, ...)
{
    va_list arguments;
    va_list again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    check(size >= 0);
    /* vsnprintf wants a byte for its NUL, which is written but not counted. */
    if (buffer_reserve(buffer, (size_t)size + 1)) {
        (void)vsnprintf(buffer->data + buffer->size, (size_t)size + 1, format, again);
        buffer->size += (size_t)size;
    }
    va_end(again);
}
