/* SPDX-License-Identifier: Apache-2.0 */
#include "http/chars.h"

#include <emmintrin.h>

size_t chars_span_value(const char *data, size_t size)
{
    const __m128i blank = _mm_set1_epi8(0x1f);
    const __m128i tab = _mm_set1_epi8('\t');
    const __m128i del = _mm_set1_epi8(0x7f);
    size_t i = 0;
    for (; i + 16 <= size; i += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(data + i));
        /* min(b, 1F) == b: a control byte, unsigned. */
        __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, blank), bytes);
        __m128i bad = _mm_or_si128(_mm_andnot_si128(_mm_cmpeq_epi8(bytes, tab), control),
                                   _mm_cmpeq_epi8(bytes, del));
        unsigned mask = (unsigned)_mm_movemask_epi8(bad);
        if (mask != 0)
            return i + (size_t)__builtin_ctz(mask);
    }
    return i + chars_span(slice_of(data + i, size - i), CHAR_VALUE);
}
