/* SPDX-License-Identifier: Apache-2.0 */
#include "http/media_pattern.h"

#include "http/chars.h"

struct slice media_pattern_essence(struct slice content_type)
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

bool media_pattern_fits(struct slice content_type, const struct slice_list *patterns)
{
    struct slice type = media_pattern_essence(content_type);
    for (size_t i = 0; i < patterns->count; i++)
        if (holds(type, patterns->items[i]))
            return true;
    return false;
}

bool media_pattern_is_markup(struct slice content_type)
{
    struct slice type = media_pattern_essence(content_type);
    return slice_equal_nocase(type, SLICE("text/html")) || ends_nocase(type, SLICE("/xml")) ||
           ends_nocase(type, SLICE("+xml"));
}

static bool is_token(struct slice text)
{
    for (size_t i = 0; i < text.size; i++)
        if (!chars_is(text.data[i], CHAR_TOKEN))
            return false;
    return text.size > 0;
}

bool media_pattern_is_good(struct slice pattern)
{
    if (slice_equal(pattern, SLICE("*")))
        return true;
    if (slice_starts(pattern, SLICE("+")))
        return is_token(slice_from(pattern, 1));
    size_t slash = slice_find(pattern, '/');
    return slash < pattern.size && is_token(slice_first(pattern, slash)) &&
           is_token(slice_from(pattern, slash + 1));
}
