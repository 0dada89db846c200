/* SPDX-License-Identifier: Apache-2.0 */
/* JSON (RFC 8259) into values that know their places. */
#include "control/config_json_value.h"

struct json_parser {
    struct config_tree *tree;
    const struct config_file *file;
    size_t at;
    size_t line_start;
    uint32_t line;
    bool is_broken;
};

static struct config_place place_from(const struct json_parser *parser, size_t start)
{
    return (struct config_place){
        .file = parser->file,
        .line = parser->line,
        .column = (uint32_t)(start - parser->line_start) + 1,
        .width = (uint32_t)(parser->at - start),
    };
}

static int byte_at(const struct json_parser *parser)
{
    struct slice text = parser->file->text;
    return parser->at < text.size ? (unsigned char)text.data[parser->at] : -1;
}

static void fail(struct json_parser *parser, const char *why)
{
    if (parser->is_broken)
        return;
    size_t start = parser->at;
    struct config_place place = place_from(parser, start);
    place.width = 1;
    CONFIG_REPORT(parser->tree->errors, CONFIG_JSON_SYNTAX, place, slice_from_cstring(why));
    parser->is_broken = true;
    parser->tree->is_broken = true;
}

static void skip_blanks(struct json_parser *parser)
{
    for (;; parser->at++) {
        int byte = byte_at(parser);
        if (byte == '\n') {
            parser->line++;
            parser->line_start = parser->at + 1;
        } else if (byte != ' ' && byte != '\t' && byte != '\r') {
            return;
        }
    }
}

static bool take(struct json_parser *parser, char byte, const char *why)
{
    skip_blanks(parser);
    if (byte_at(parser) != (unsigned char)byte) {
        fail(parser, why);
        return false;
    }
    parser->at++;
    return true;
}

static int hex_digit(int byte)
{
    return byte >= '0' && byte <= '9'   ? byte - '0'
           : byte >= 'a' && byte <= 'f' ? byte - 'a' + 10
           : byte >= 'A' && byte <= 'F' ? byte - 'A' + 10
                                        : -1;
}

static bool take_hex(struct json_parser *parser, uint32_t *unit)
{
    *unit = 0;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(byte_at(parser));
        if (digit < 0) {
            fail(parser, "\\u is followed by four hexadecimal digits");
            return false;
        }
        *unit = *unit * 16 + (uint32_t)digit;
        parser->at++;
    }
    return true;
}

static void put_utf8(struct buffer *out, uint32_t code)
{
    if (code < 0x80) {
        buffer_append_byte(out, (char)code);
        return;
    }
    if (code < 0x800) {
        buffer_append_byte(out, (char)(0xc0 | code >> 6));
    } else {
        if (code < 0x10000) {
            buffer_append_byte(out, (char)(0xe0 | code >> 12));
        } else {
            buffer_append_byte(out, (char)(0xf0 | code >> 18));
            buffer_append_byte(out, (char)(0x80 | (code >> 12 & 0x3f)));
        }
        buffer_append_byte(out, (char)(0x80 | (code >> 6 & 0x3f)));
    }
    buffer_append_byte(out, (char)(0x80 | (code & 0x3f)));
}

static void read_unicode(struct json_parser *parser, struct buffer *out)
{
    uint32_t code = 0;
    uint32_t low = 0;
    if (!take_hex(parser, &code))
        return;
    bool is_high = code >= 0xd800 && code < 0xdc00;
    if (is_high && byte_at(parser) == '\\') {
        parser->at++;
        if (byte_at(parser) == 'u') {
            parser->at++;
            if (!take_hex(parser, &low))
                return;
        }
    }
    bool is_pair = is_high && low >= 0xdc00 && low < 0xe000;
    if (is_pair)
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    if (code == 0 || (!is_pair && code >= 0xd800 && code < 0xe000)) {
        fail(parser, "that character cannot stand in a string");
        return;
    }
    put_utf8(out, code);
}

static void read_escape(struct json_parser *parser, struct buffer *out)
{
    static const char FROM[] = "\"\\/bfnrt";
    static const char TO[] = "\"\\/\b\f\n\r\t";
    int byte = byte_at(parser);
    const char *known = byte <= 0 ? NULL : strchr(FROM, byte);
    if (byte == 'u') {
        parser->at++;
        read_unicode(parser, out);
    } else if (known == NULL) {
        fail(parser, "unknown escape in a string");
    } else {
        parser->at++;
        buffer_append_byte(out, TO[known - FROM]);
    }
}

static void read_string(struct json_parser *parser, struct json_value *value)
{
    size_t start = parser->at++;
    struct buffer out = buffer_in(parser->tree->arena, 32);
    value->kind = JSON_STRING;
    while (byte_at(parser) != '"' && !parser->is_broken) {
        int byte = byte_at(parser);
        if (byte < 0x20) {
            fail(parser, byte < 0 ? "a string is never closed" : "a control character in a string");
            return;
        }
        parser->at++;
        if (byte == '\\')
            read_escape(parser, &out);
        else
            buffer_append_byte(&out, (char)byte);
        if (out.size > CONFIG_WORD_MAX) {
            fail(parser, "a string is longer than 64 KiB");
            return;
        }
    }
    parser->at++;
    value->text = buffer_slice(&out);
    value->place = place_from(parser, start);
}

static void take_digits(struct json_parser *parser)
{
    if (byte_at(parser) < '0' || byte_at(parser) > '9')
        fail(parser, "a digit is missing");
    while (byte_at(parser) >= '0' && byte_at(parser) <= '9')
        parser->at++;
}

static void read_number(struct json_parser *parser, struct json_value *value)
{
    size_t start = parser->at;
    value->kind = JSON_NUMBER;
    if (byte_at(parser) == '-')
        parser->at++;
    if (byte_at(parser) == '0')
        parser->at++;
    else
        take_digits(parser);
    if (byte_at(parser) == '.') {
        parser->at++;
        take_digits(parser);
    }
    if (byte_at(parser) == 'e' || byte_at(parser) == 'E') {
        parser->at++;
        if (byte_at(parser) == '+' || byte_at(parser) == '-')
            parser->at++;
        take_digits(parser);
    }
    value->text = slice_of(parser->file->text.data + start, parser->at - start);
    value->place = place_from(parser, start);
}

static void read_word(struct json_parser *parser, struct json_value *value)
{
    static const struct {
        struct slice word;
        enum json_kind kind;
    } WORDS[] = {{{"true", 4}, JSON_TRUE}, {{"false", 5}, JSON_FALSE}, {{"null", 4}, JSON_NULL}};
    size_t start = parser->at;
    for (size_t i = 0; i < 3; i++) {
        if (!slice_starts(slice_from(parser->file->text, start), WORDS[i].word))
            continue;
        parser->at += WORDS[i].word.size;
        value->kind = WORDS[i].kind;
        value->text = WORDS[i].word;
        value->place = place_from(parser, start);
        return;
    }
    fail(parser, byte_at(parser) < 0 ? "the text ends too early" : "a value is missing");
}

static void read_value(struct json_parser *parser, struct json_value *value, size_t depth);

static struct json_value *new_child(struct json_parser *parser, struct json_value *parent,
                                    struct json_value *last)
{
    struct json_value *child = arena_zero(parser->tree->arena, sizeof(*child));
    if (++parser->tree->statements > CONFIG_STATEMENTS_MAX)
        fail(parser, "more than 1,000,000 values");
    *(last == NULL ? &parent->children : &last->next) = child;
    return child;
}

static void read_list(struct json_parser *parser, struct json_value *value, size_t depth)
{
    size_t start = parser->at;
    char close = byte_at(parser) == '{' ? '}' : ']';
    struct json_value *last = NULL;
    value->kind = close == '}' ? JSON_OBJECT : JSON_ARRAY;
    parser->at++;
    value->place = place_from(parser, start);
    skip_blanks(parser);
    if (byte_at(parser) == close) {
        parser->at++;
        return;
    }
    if (depth == CONFIG_DEPTH_MAX) {
        fail(parser, "more than 64 levels");
        return;
    }
    while (!parser->is_broken) {
        last = new_child(parser, value, last);
        skip_blanks(parser);
        if (close == '}') {
            if (byte_at(parser) != '"') {
                fail(parser, "a member's name in double quotes is missing");
                return;
            }
            struct json_value name = {0};
            read_string(parser, &name);
            last->name = name.text;
            last->name_place = name.place;
            if (parser->is_broken || !take(parser, ':', "a \":\" is missing"))
                return;
        }
        read_value(parser, last, depth + 1);
        skip_blanks(parser);
        if (parser->is_broken)
            return;
        if (byte_at(parser) == close) {
            parser->at++;
            return;
        }
        take(parser, ',',
             close == '}' ? "a \",\" or \"}\" is missing" : "a \",\" or \"]\" is missing");
    }
}

static void read_value(struct json_parser *parser, struct json_value *value, size_t depth)
{
    skip_blanks(parser);
    int byte = byte_at(parser);
    if (byte == '{' || byte == '[')
        read_list(parser, value, depth);
    else if (byte == '"')
        read_string(parser, value);
    else if (byte == '-' || (byte >= '0' && byte <= '9'))
        read_number(parser, value);
    else
        read_word(parser, value);
}

bool json_value_parse(struct config_tree *tree, const struct config_file *file,
                      struct json_value *value)
{
    struct json_parser parser = {.tree = tree, .file = file, .line = 1};
    *value = (struct json_value){0};
    if (slice_starts(file->text, SLICE("\xef\xbb\xbf")))
        parser.at = parser.line_start = 3;
    read_value(&parser, value, 0);
    skip_blanks(&parser);
    if (!parser.is_broken && parser.at < file->text.size)
        fail(&parser, "something follows the end");
    return !parser.is_broken;
}
