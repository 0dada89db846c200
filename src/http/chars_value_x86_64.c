/* SPDX-License-Identifier: Apache-2.0 */
#include "http/chars.h"

#include <emmintrin.h>

enum {
    AT_ONCE = 16,
};

/* A bit for each of 16 bytes that may not stand in a value. */
static inline unsigned bad_bytes(const char *data)
{
    const __m128i blank = _mm_set1_epi8(0x1f);
    const __m128i tab = _mm_set1_epi8('\t');
    const __m128i del = _mm_set1_epi8(0x7f);
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)data);
    /* min(b, 1F) == b: a control byte, unsigned. */
    __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, blank), bytes);
    __m128i bad = _mm_or_si128(_mm_andnot_si128(_mm_cmpeq_epi8(bytes, tab), control),
                               _mm_cmpeq_epi8(bytes, del));
    return (unsigned)_mm_movemask_epi8(bad);
}

size_t chars_span_value(const char *data, size_t size)
{
    size_t i = 0;
    for (; i + AT_ONCE <= size; i += AT_ONCE) {
        unsigned bad = bad_bytes(data + i);
        if (bad != 0)
            return i + (size_t)__builtin_ctz(bad);
    }
    if (size < AT_ONCE)
        return chars_span(slice_of(data, size), CHAR_VALUE);
    /* The last 16 once more: those of them that were looked at are good. */
    unsigned bad = bad_bytes(data + size - AT_ONCE);
    return bad == 0 ? size : size - AT_ONCE + (size_t)__builtin_ctz(bad);
}

/* A bit for each of 16 bytes that is no letter, digit or hyphen. */
static inline unsigned not_plain(const char *data)
{
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)data);
    __m128i lower = _mm_or_si128(bytes, _mm_set1_epi8(0x20));
    __m128i letter = _mm_and_si128(_mm_cmpgt_epi8(lower, _mm_set1_epi8('a' - 1)),
                                   _mm_cmplt_epi8(lower, _mm_set1_epi8('z' + 1)));
    __m128i digit = _mm_and_si128(_mm_cmpgt_epi8(bytes, _mm_set1_epi8('0' - 1)),
                                  _mm_cmplt_epi8(bytes, _mm_set1_epi8('9' + 1)));
    __m128i hyphen = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('-'));
    __m128i plain = _mm_or_si128(_mm_or_si128(letter, digit), hyphen);
    return (unsigned)_mm_movemask_epi8(plain) ^ 0xffff;
}

size_t chars_span_name(const char *data, size_t size)
{
    size_t i = 0;
    for (; i + AT_ONCE <= size; i += AT_ONCE) {
        unsigned other = not_plain(data + i);
        if (other != 0)
            return i + (size_t)__builtin_ctz(other);
    }
    return i + chars_span(slice_of(data + i, size - i), CHAR_NAME);
}
