/* SPDX-License-Identifier: Apache-2.0 */
#include "base/slice.h"

bool slice_equal_nocase(struct slice a, struct slice b)
{
    if (a.size != b.size)
        return false;
    size_t i = 0;
    /* As far as they are written alike, eight bytes at a time. */
    for (uint64_t one, other; i + sizeof one <= a.size; i += sizeof one) {
        memcpy(&one, a.data + i, sizeof one);
        memcpy(&other, b.data + i, sizeof other);
        if (one != other)
            break;
    }
    for (; i < a.size; i++)
        if (a.data[i] != b.data[i] && ascii_lower(a.data[i]) != ascii_lower(b.data[i]))
            return false;
    return true;
}

bool slice_starts(struct slice s, struct slice prefix)
{
    return s.size >= prefix.size && slice_equal(slice_first(s, prefix.size), prefix);
}

bool slice_starts_nocase(struct slice s, struct slice prefix)
{
    return s.size >= prefix.size && slice_equal_nocase(slice_first(s, prefix.size), prefix);
}

bool slice_ends(struct slice s, struct slice suffix)
{
    return s.size >= suffix.size && slice_equal(slice_from(s, s.size - suffix.size), suffix);
}

int slice_compare(struct slice a, struct slice b)
{
    size_t shared = a.size < b.size ? a.size : b.size;
    int order = shared == 0 ? 0 : memcmp(a.data, b.data, shared);
    if (order != 0)
        return order;
    return a.size < b.size ? -1 : a.size > b.size;
}

size_t slice_find(struct slice s, char byte)
{
    const char *at = s.size == 0 ? NULL : memchr(s.data, byte, s.size);
    return at == NULL ? s.size : (size_t)(at - s.data);
}

size_t slice_find_slice(struct slice s, struct slice needle)
{
    if (needle.size == 0)
        return 0;
    if (s.size < needle.size)
        return s.size;
    const char *at = memmem(s.data, s.size, needle.data, needle.size);
    return at == NULL ? s.size : (size_t)(at - s.data);
}

struct slice slice_trim(struct slice s)
{
    while (s.size > 0 && (s.data[0] == ' ' || s.data[0] == '\t'))
        s = slice_from(s, 1);
    while (s.size > 0 && (s.data[s.size - 1] == ' ' || s.data[s.size - 1] == '\t'))
        s.size--;
    return s;
}

bool slice_next_element(struct slice *rest, struct slice *element)
{
    while (rest->size > 0) {
        size_t comma = slice_find(*rest, ',');
        *element = slice_trim(slice_first(*rest, comma));
        *rest = slice_from(*rest, comma + 1);
        if (element->size > 0)
            return true;
    }
    return false;
}

bool slice_list_has(struct slice list, struct slice element)
{
    struct slice found;
    while (slice_next_element(&list, &found))
        if (slice_equal_nocase(found, element))
            return true;
    return false;
}

bool slice_to_u64(struct slice s, uint64_t max, uint64_t *value)
{
    uint64_t sum = 0;
    if (s.size == 0)
        return false;
    for (size_t i = 0; i < s.size; i++) {
        if (s.data[i] < '0' || s.data[i] > '9')
            return false;
        if (__builtin_mul_overflow(sum, 10u, &sum) ||
            __builtin_add_overflow(sum, (uint64_t)(s.data[i] - '0'), &sum) || sum > max)
            return false;
    }
    *value = sum;
    return true;
}
