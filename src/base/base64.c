/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base64.h"

static const char DIGITS[2][65] = {
    [BASE64_STANDARD] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    [BASE64_URL] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
};

static int value_of(enum base64 alphabet, char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == DIGITS[alphabet][62])
        return 62;
    return c == DIGITS[alphabet][63] ? 63 : -1;
}

/* Takes the padding off; false where it is not what belongs there. */
static bool strip(enum base64 alphabet, struct slice *text)
{
    if (alphabet == BASE64_URL)
        return text->size % 4 != 1;
    if (text->size % 4 != 0)
        return false;
    for (int i = 0; i < 2 && text->size > 0 && text->data[text->size - 1] == '='; i++)
        text->size--;
    return true;
}

bool base64_decode(enum base64 alphabet, struct slice text, struct arena *arena,
                   struct slice *bytes)
{
    if (!strip(alphabet, &text))
        return false;
    char *data = arena_alloc(arena, text.size / 4 * 3 + 3);
    size_t size = 0;
    uint32_t bits = 0;
    int held = 0; /* bits that are in `bits` */
    for (size_t i = 0; i < text.size; i++) {
        int value = value_of(alphabet, text.data[i]);
        if (value < 0)
            return false;
        bits = bits << 6 | (uint32_t)value;
        held += 6;
        if (held < 8)
            continue;
        held -= 8;
        data[size++] = (char)(bits >> held);
        bits &= (1u << held) - 1;
    }
    if (bits != 0) /* two texts would mean the same */
        return false;
    *bytes = slice_of(data, size);
    return true;
}

void base64_encode(enum base64 alphabet, struct slice bytes, struct buffer *out)
{
    const char *digits = DIGITS[alphabet];
    for (size_t i = 0; i < bytes.size; i += 3) {
        uint32_t bits = 0;
        size_t left = bytes.size - i < 3 ? bytes.size - i : 3;
        for (size_t n = 0; n < 3; n++)
            bits = bits << 8 | (n < left ? (unsigned char)bytes.data[i + n] : 0);
        for (size_t n = 0; n < 4; n++) {
            if (n <= left)
                buffer_append_byte(out, digits[bits >> (18 - 6 * n) & 63]);
            else if (alphabet == BASE64_STANDARD)
                buffer_append_byte(out, '=');
        }
    }
}
