/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json_read.h"

struct reader {
    const char *at, *end;
    struct arena *arena;
    unsigned depth_left;
    const char *why;
};

static bool fail(struct reader *r, const char *why)
{
    if (r->why == NULL)
        r->why = why;
    return false;
}

static void pass_blanks(struct reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r'))
        r->at++;
}

static bool take(struct reader *r, char c)
{
    if (r->at == r->end || *r->at != c)
        return false;
    r->at++;
    return true;
}

static bool read_hex(struct reader *r, uint32_t *code)
{
    *code = 0;
    for (int i = 0; i < 4; i++) {
        char c = r->at < r->end ? ascii_lower(*r->at++) : ' ';
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0)
            return fail(r, "a broken escape");
        *code = *code << 4 | (uint32_t)digit;
    }
    return true;
}

static char *put_utf8(char *out, uint32_t code)
{
    if (code < 0x80) {
        *out++ = (char)code;
        return out;
    }
    int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    *out++ = (char)((0xf00 >> (more + 1) & 0xff) | code >> (6 * more));
    while (more-- > 0)
        *out++ = (char)(0x80 | (code >> (6 * more) & 0x3f));
    return out;
}

static bool read_unicode(struct reader *r, char **out)
{
    uint32_t code;
    uint32_t low;
    if (!read_hex(r, &code))
        return false;
    if (code == 0)
        return fail(r, "a NUL in a text");
    if (code >= 0xd800 && code < 0xe000) { /* a pair of surrogates, in their order */
        if (code >= 0xdc00 || !take(r, '\\') || !take(r, 'u') || !read_hex(r, &low) ||
            low < 0xdc00 || low >= 0xe000)
            return fail(r, "a lone surrogate");
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    *out = put_utf8(*out, code);
    return true;
}

static bool read_escape(struct reader *r, char **out)
{
    static const char ESCAPES[] = "\"\\/bfnrt";
    static const char MEANT[] = "\"\\/\b\f\n\r\t";
    char c = r->at < r->end ? *r->at++ : '\0';
    if (c == 'u')
        return read_unicode(r, out);
    const char *found = c == '\0' ? NULL : strchr(ESCAPES, c);
    if (found == NULL)
        return fail(r, "a broken escape");
    *(*out)++ = MEANT[found - ESCAPES];
    return true;
}

/* Bytes that go on a character of UTF-8; 0: it is none (RFC 3629 §4). */
static size_t utf8_size(const char *at, const char *end)
{
    unsigned char c = (unsigned char)*at;
    size_t size = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
    if (size == 0 || size > (size_t)(end - at))
        return 0;
    for (size_t i = 1; i < size; i++)
        if (((unsigned char)at[i] & 0xc0) != 0x80)
            return 0;
    unsigned char second = size > 1 ? (unsigned char)at[1] : 0;
    bool is_odd = (c == 0xe0 && second < 0xa0) || (c == 0xed && second >= 0xa0) ||
                  (c == 0xf0 && second < 0x90) || (c == 0xf4 && second >= 0x90);
    return is_odd ? 0 : size;
}

static bool read_string(struct reader *r, struct slice *text)
{
    const char *start = r->at;
    while (r->at < r->end && *r->at != '"' && *r->at != '\\' && (unsigned char)*r->at >= 0x20 &&
           (unsigned char)*r->at < 0x80)
        r->at++;
    if (r->at < r->end && *r->at == '"') { /* most are plain: where they stand */
        *text = slice_of(start, (size_t)(r->at - start));
        r->at++;
        return true;
    }
    const char *close = r->at;
    while (close < r->end && *close != '"')
        close += *close == '\\' && r->end - close > 1 ? 2 : 1;
    char *data = arena_alloc(r->arena, (size_t)(close - start) + 1); /* escapes only shrink */
    char *out = data;
    for (r->at = start; r->at < r->end && *r->at != '"';) {
        if (*r->at == '\\') {
            r->at++;
            if (!read_escape(r, &out))
                return false;
            continue;
        }
        size_t size = (unsigned char)*r->at < 0x20 ? 0 : utf8_size(r->at, r->end);
        if (size == 0)
            return fail(r, "a text with a control byte or no UTF-8");
        memcpy(out, r->at, size);
        out += size;
        r->at += size;
    }
    *text = slice_of(data, (size_t)(out - data));
    return take(r, '"') || fail(r, "a text without an end");
}

static size_t pass_digits(struct reader *r)
{
    const char *start = r->at;
    while (r->at < r->end && *r->at >= '0' && *r->at <= '9')
        r->at++;
    return (size_t)(r->at - start);
}

static bool read_number(struct reader *r, struct json *value)
{
    const char *start = r->at;
    take(r, '-');
    bool is_zero = r->at < r->end && *r->at == '0';
    size_t digits = pass_digits(r);
    bool is_good = digits > 0 && !(is_zero && digits > 1);
    if (is_good && take(r, '.'))
        is_good = pass_digits(r) > 0;
    if (is_good && r->at < r->end && ascii_lower(*r->at) == 'e') {
        r->at++;
        if (!take(r, '+'))
            take(r, '-');
        is_good = pass_digits(r) > 0;
    }
    value->kind = JSON_NUMBER;
    value->text = slice_of(start, (size_t)(r->at - start));
    return is_good || fail(r, "no value where one belongs");
}

static bool read_word(struct reader *r, struct slice word)
{
    if (!slice_starts(slice_of(r->at, (size_t)(r->end - r->at)), word))
        return fail(r, "no value where one belongs");
    r->at += word.size;
    return true;
}

static bool read_value(struct reader *r, struct json *value);

static bool read_name(struct reader *r, const struct json *object, struct json *member)
{
    pass_blanks(r);
    if (!take(r, '"'))
        return fail(r, "a member without a name");
    if (!read_string(r, &member->name))
        return false;
    if (json_member(object, member->name) != NULL)
        return fail(r, "a name twice in an object");
    pass_blanks(r);
    return take(r, ':') || fail(r, "a name without a value");
}

static bool read_inner(struct reader *r, struct json *value, char close)
{
    if (r->depth_left == 0)
        return fail(r, "deeper than allowed");
    r->depth_left--;
    struct json *last = NULL;
    size_t count = 0;
    pass_blanks(r);
    if (take(r, close)) {
        r->depth_left++;
        return true;
    }
    do {
        struct json *inner = arena_zero(r->arena, sizeof *inner);
        if (value->kind == JSON_OBJECT && ++count > JSON_MEMBERS_MAX)
            return fail(r, "more members than allowed");
        if (value->kind == JSON_OBJECT && !read_name(r, value, inner))
            return false;
        if (!read_value(r, inner))
            return false;
        if (last == NULL)
            value->first = inner;
        else
            last->next = inner;
        last = inner;
        pass_blanks(r);
    } while (take(r, ','));
    r->depth_left++;
    return take(r, close) || fail(r, "an array or object without an end");
}

static bool read_value(struct reader *r, struct json *value)
{
    pass_blanks(r);
    switch (r->at < r->end ? *r->at : '\0') {
    case '{':
        r->at++;
        value->kind = JSON_OBJECT;
        return read_inner(r, value, '}');
    case '[':
        r->at++;
        value->kind = JSON_ARRAY;
        return read_inner(r, value, ']');
    case '"':
        r->at++;
        value->kind = JSON_STRING;
        return read_string(r, &value->text);
    case 't':
        value->kind = JSON_TRUE;
        return read_word(r, SLICE("true"));
    case 'f':
        value->kind = JSON_FALSE;
        return read_word(r, SLICE("false"));
    case 'n':
        value->kind = JSON_NULL;
        return read_word(r, SLICE("null"));
    default:
        return read_number(r, value);
    }
}

bool json_read(struct slice text, unsigned depth_max, struct arena *arena,
               const struct json **value, const char **why)
{
    struct reader r = {text.data, text.data + text.size, arena, depth_max, NULL};
    struct json *read = arena_zero(arena, sizeof *read);
    bool is_good = text.size > 0 ? read_value(&r, read) : fail(&r, "nothing at all");
    if (is_good) {
        pass_blanks(&r);
        is_good = r.at == r.end || fail(&r, "something behind the value");
    }
    *why = is_good ? "" : r.why;
    *value = read;
    return is_good;
}

const struct json *json_member(const struct json *object, struct slice name)
{
    if (object == NULL || object->kind != JSON_OBJECT)
        return NULL;
    for (const struct json *member = object->first; member != NULL; member = member->next)
        if (slice_equal(member->name, name))
            return member;
    return NULL;
}

struct slice json_text(const struct json *value)
{
    return value == NULL || value->kind != JSON_STRING ? SLICE("") : value->text;
}

bool json_whole(const struct json *value, int64_t *number)
{
    if (value == NULL || value->kind != JSON_NUMBER)
        return false;
    struct slice text = value->text;
    bool is_negative = slice_starts(text, SLICE("-"));
    text = slice_from(text, is_negative);
    if (slice_find(text, 'e') < text.size || slice_find(text, 'E') < text.size)
        return false;
    uint64_t whole;
    if (!slice_to_u64(slice_first(text, slice_find(text, '.')), (uint64_t)1 << 53, &whole))
        return false;
    *number = is_negative ? -(int64_t)whole : (int64_t)whole;
    return true;
}
