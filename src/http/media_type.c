/* SPDX-License-Identifier: Apache-2.0 */
#include "http/media_type.h"

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
