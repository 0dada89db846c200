/* SPDX-License-Identifier: Apache-2.0 */
#include "http/chars.h"

size_t chars_span_value(const char *data, size_t size)
{
    return chars_span(slice_of(data, size), CHAR_VALUE);
}

size_t chars_span_name(const char *data, size_t size)
{
    return chars_span(slice_of(data, size), CHAR_NAME);
}
