/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

/* The size of the UTF-8 sequence at the start of the text; 0: none that is valid (RFC 3629). */
static size_t utf8_size(struct slice text)
{
    const unsigned char *at = (const unsigned char *)text.data;
    size_t size = at[0] < 0x80   ? 1
                  : at[0] < 0xc2 ? 0
                  : at[0] < 0xe0 ? 2
                  : at[0] < 0xf0 ? 3
                  : at[0] < 0xf5 ? 4
                                 : 0;
    if (size == 0 || size > text.size)
        return 0;
    for (size_t i = 1; i < size; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    bool is_overlong = (at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xf0 && at[1] < 0x90);
    bool is_surrogate = at[0] == 0xed && at[1] >= 0xa0;
    bool is_beyond = at[0] == 0xf4 && at[1] >= 0x90;
    return is_overlong || is_surrogate || is_beyond ? 0 : size;
}

static void escape(struct buffer *out, unsigned char byte)
{
    static const char HEX[] = "0123456789abcdef";
    char text[6] = {'\\', 'u', '0', '0', HEX[byte >> 4], HEX[byte & 15]};
    switch (byte) {
    case '"':
        buffer_append(out, SLICE("\\\""));
        return;
    case '\\':
        buffer_append(out, SLICE("\\\\"));
        return;
    case '\n':
        buffer_append(out, SLICE("\\n"));
        return;
    case '\t':
        buffer_append(out, SLICE("\\t"));
        return;
    case '\r':
        buffer_append(out, SLICE("\\r"));
        return;
    default:
        buffer_append(out, slice_of(text, sizeof text));
    }
}

/* Whether one of eight bytes is a control byte, a quote, a backslash or no ASCII but for DEL: as
 * numbers, all at once. */
static bool has_special(uint64_t word)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    const uint64_t tops = ones << 7;
    uint64_t quote = word ^ (ones * '"');
    uint64_t backslash = word ^ (ones * '\\');
    uint64_t deleted = word ^ (ones * 0x7f);
    uint64_t found = (word - ones * 0x20) | (quote - ones) | (backslash - ones) | (deleted - ones);
    return ((found | word) & tops) != 0;
}

/* Bytes from the start that need no escape. */
static size_t plain_size(struct slice text)
{
    size_t plain = 0;
    while (text.size - plain >= sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, text.data + plain, sizeof word);
        if (has_special(word))
            break;
        plain += sizeof word;
    }
    for (; plain < text.size; plain++) {
        unsigned char c = (unsigned char)text.data[plain];
        if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\')
            break;
    }
    return plain;
}

void json_escaped(struct buffer *out, struct slice text)
{
    for (;;) {
        size_t plain = plain_size(text);
        buffer_append(out, slice_first(text, plain));
        text = slice_from(text, plain);
        if (text.size == 0)
            return;
        size_t size = utf8_size(text);
        if (size > 1)
            buffer_append(out, slice_first(text, size));
        else
            escape(out, (unsigned char)text.data[0]);
        text = slice_from(text, size > 1 ? size : 1);
    }
}

void json_string(struct buffer *out, struct slice text)
{
    buffer_append_byte(out, '"');
    json_escaped(out, text);
    buffer_append_byte(out, '"');
}

void json_name(struct buffer *out, const char *name)
{
    if (out->size > 0 && out->data[out->size - 1] != '{' && out->data[out->size - 1] != '[')
        buffer_append_byte(out, ',');
    buffer_append_byte(out, '"');
    buffer_append(out, slice_from_cstring(name));
    buffer_append(out, SLICE("\":"));
}

void json_field(struct buffer *out, const char *name, struct slice text)
{
    json_name(out, name);
    json_string(out, text);
}

void json_field_int(struct buffer *out, const char *name, int64_t number)
{
    json_name(out, name);
    if (number < 0)
        buffer_append_byte(out, '-');
    buffer_append_u64(out, number < 0 ? 0 - (uint64_t)number : (uint64_t)number);
}

void json_seconds(struct buffer *out, int64_t ns)
{
    uint64_t us = ns < 0 ? 0 : (uint64_t)ns / 1000;
    buffer_append_u64(out, us / 1000000);
    us %= 1000000;
    if (us == 0)
        return;
    char digits[7] = {'.'};
    for (int i = 6; i >= 1; i--, us /= 10)
        digits[i] = (char)('0' + us % 10);
    size_t size = sizeof digits;
    while (digits[size - 1] == '0')
        size--;
    buffer_append(out, slice_of(digits, size));
}

void json_field_seconds(struct buffer *out, const char *name, int64_t ns)
{
    json_name(out, name);
    json_seconds(out, ns);
}
