/* SPDX-License-Identifier: Apache-2.0 */
#include "http/media_type.h"

#include "http/chars.h"

enum {
    EXTENSION_MAX = 16,
};

struct known_type {
    struct slice extension, type;
};

static const struct known_type TYPES[] = {
#define TYPE(extension, type) {{extension, sizeof(extension) - 1}, {type, sizeof(type) - 1}},
#include "http/media_type.def"
#undef TYPE
};

struct slice media_extension(struct slice path)
{
    for (size_t i = path.size; i > 0; i--) {
        if (path.data[i - 1] == '/')
            break;
        if (path.data[i - 1] == '.')
            return slice_from(path, i);
    }
    return SLICE("");
}

struct slice media_type(struct slice extension)
{
    char lower[EXTENSION_MAX];
    if (extension.size > sizeof lower)
        return SLICE("");
    for (size_t i = 0; i < extension.size; i++)
        lower[i] = ascii_lower(extension.data[i]);
    size_t from = 0;
    size_t to = sizeof TYPES / sizeof *TYPES;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        int order = slice_compare(slice_of(lower, extension.size), TYPES[middle].extension);
        if (order == 0)
            return TYPES[middle].type;
        if (order < 0)
            to = middle;
        else
            from = middle + 1;
    }
    return SLICE("");
}

struct slice media_type_essence(struct slice content_type)
{
    return slice_trim(slice_first(content_type, slice_find(content_type, ';')));
}

static bool ends_nocase(struct slice text, struct slice end)
{
    return text.size >= end.size && slice_equal_nocase(slice_from(text, text.size - end.size), end);
}

static bool holds(struct slice type, struct slice pattern)
{
    if (pattern.data[0] == '+')
        return ends_nocase(type, pattern);
    if (pattern.data[pattern.size - 1] == '*')
        return slice_starts_nocase(type, slice_first(pattern, pattern.size - 1));
    return slice_equal_nocase(type, pattern);
}

bool media_type_is_one(struct slice content_type, const struct slice_list *patterns)
{
    struct slice type = media_type_essence(content_type);
    for (size_t i = 0; i < patterns->count; i++)
        if (holds(type, patterns->items[i]))
            return true;
    return false;
}

static bool is_token(struct slice text)
{
    for (size_t i = 0; i < text.size; i++)
        if (!chars_is(text.data[i], CHAR_TOKEN))
            return false;
    return text.size > 0;
}

bool media_type_pattern_is_good(struct slice pattern)
{
    if (slice_equal(pattern, SLICE("*")))
        return true;
    if (slice_starts(pattern, SLICE("+")))
        return is_token(slice_from(pattern, 1));
    size_t slash = slice_find(pattern, '/');
    return slash < pattern.size && is_token(slice_first(pattern, slash)) &&
           is_token(slice_from(pattern, slash + 1));
}
