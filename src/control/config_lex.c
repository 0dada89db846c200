/* SPDX-License-Identifier: Apache-2.0 */
#include "control/config_lex.h"

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_name_rest(char c)
{
    return is_lower(c) || (c >= '0' && c <= '9') || c == '_';
}

bool config_is_name(struct slice text)
{
    if (text.size == 0 || !is_lower(text.data[0]))
        return false;
    for (size_t i = 1; i < text.size; i++)
        if (!is_name_rest(text.data[i]))
            return false;
    return true;
}

size_t config_option_name_size(struct slice spelling)
{
    size_t equals = slice_find(spelling, '=');
    return equals < spelling.size && config_is_name(slice_first(spelling, equals)) ? equals : 0;
}

void config_lexer_init(struct config_lexer *lexer, const struct config_file *file,
                       struct config_errors *errors)
{
    *lexer = (struct config_lexer){.file = file, .errors = errors, .line = 1};
    if (slice_starts(file->text, CONFIG_BYTE_ORDER_MARK))
        lexer->at = lexer->line_start = CONFIG_BYTE_ORDER_MARK.size;
}

static struct config_place place_at(const struct config_lexer *lexer, size_t start, size_t end)
{
    return (struct config_place){
        .file = lexer->file,
        .line = lexer->line,
        .column = (uint32_t)(start - lexer->line_start) + 1,
        .width = (uint32_t)(end - start),
    };
}

static char byte_at(const struct config_lexer *lexer, size_t at)
{
    return at < lexer->file->text.size ? lexer->file->text.data[at] : '\n';
}

static bool is_end_of_line(const struct config_lexer *lexer, size_t at)
{
    char byte = byte_at(lexer, at);
    return byte == '\n' || (byte == '\r' && byte_at(lexer, at + 1) == '\n');
}

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\v' || byte == '\f';
}

/* Whether only blanks, and after at least one of them a comment, follow on the line. */
static bool is_rest_empty(const struct config_lexer *lexer, size_t at)
{
    size_t start = at;
    while (!is_end_of_line(lexer, at) && is_blank(byte_at(lexer, at)))
        at++;
    return is_end_of_line(lexer, at) || (at > start && byte_at(lexer, at) == '#');
}

/* The newline that a "\\" at `at` takes back; 0: it takes none. Blanks behind it do no harm; behind
 * another "\\" it is text. */
static size_t continued_at(const struct config_lexer *lexer, size_t at)
{
    if (byte_at(lexer, at) != '\\' || (at > 0 && byte_at(lexer, at - 1) == '\\'))
        return 0;
    size_t end = at + 1;
    while (is_blank(byte_at(lexer, end)))
        end++;
    return byte_at(lexer, end) == '\n' ? end : 0;
}

/* Whether a blank, the line's end, "\\" there or ";" follows. */
static bool stands_alone(const struct config_lexer *lexer, size_t at)
{
    char after = byte_at(lexer, at + 1);
    return is_blank(after) || after == '\n' || after == ';' || continued_at(lexer, at + 1) > 0;
}

/* A "{" before a blank opens a block even when it is glued to a word; behind another "{" it is the
 * second half of a literal brace. */
static bool ends_word(const struct config_lexer *lexer, size_t at)
{
    char byte = byte_at(lexer, at);
    bool is_second = at > 0 && byte_at(lexer, at - 1) == '{';
    return is_end_of_line(lexer, at) || is_blank(byte) || byte == ';' ||
           continued_at(lexer, at) > 0 || (byte == '{' && !is_second && stands_alone(lexer, at));
}

static void report_open(struct config_lexer *lexer, enum config_code code, size_t start, size_t end)
{
    lexer->is_broken = true;
    if (lexer->errors == NULL)
        return;
    struct slice mark = slice_first(slice_from(lexer->file->text, start), 1);
    CONFIG_REPORT(lexer->errors, code, place_at(lexer, start, end), mark);
}

/* The position behind a quoted part that begins at `at`; an unclosed one ends with its line. */
static size_t skip_quoted(struct config_lexer *lexer, size_t at)
{
    char quote = byte_at(lexer, at);
    size_t end = at + 1;
    while (!is_end_of_line(lexer, end) && byte_at(lexer, end) != quote)
        end +=
            quote == '"' && byte_at(lexer, end) == '\\' && !is_end_of_line(lexer, end + 1) ? 2 : 1;
    if (is_end_of_line(lexer, end)) {
        report_open(lexer, CONFIG_QUOTE_OPEN, at, end);
        return end;
    }
    return end + 1;
}

static size_t skip_environment(struct config_lexer *lexer, size_t at)
{
    size_t end = at + 2;
    while (!is_end_of_line(lexer, end) && byte_at(lexer, end) != '}')
        end++;
    if (is_end_of_line(lexer, end)) {
        report_open(lexer, CONFIG_ENV_SYNTAX, at, end);
        return end;
    }
    return end + 1;
}

static size_t skip_word(struct config_lexer *lexer, size_t at)
{
    while (!ends_word(lexer, at)) {
        char byte = byte_at(lexer, at);
        if (byte == '"' || byte == '\'')
            at = skip_quoted(lexer, at);
        else if (byte == '$' && byte_at(lexer, at + 1) == '{')
            at = skip_environment(lexer, at);
        else
            at++;
    }
    return at;
}

static void next_line(struct config_lexer *lexer, size_t newline)
{
    lexer->at = newline + 1;
    lexer->line_start = newline + 1;
    lexer->line++;
}

/* Passes blanks and continued lines; true when a line was continued. */
static bool skip_blanks(struct config_lexer *lexer)
{
    bool is_continued = false;
    for (;;) {
        char byte = byte_at(lexer, lexer->at);
        if (lexer->at >= lexer->file->text.size)
            return is_continued;
        size_t newline = continued_at(lexer, lexer->at);
        if (newline > 0) {
            if (newline >= lexer->file->text.size) {
                lexer->at = lexer->file->text.size;
                return is_continued;
            }
            next_line(lexer, newline);
            is_continued = true;
        } else if (is_blank(byte)) {
            lexer->at++;
        } else if (slice_starts(slice_from(lexer->file->text, lexer->at), CONFIG_BYTE_ORDER_MARK)) {
            /* Files that were appended to each other: nobody sees it, so it is no word. */
            lexer->at += CONFIG_BYTE_ORDER_MARK.size;
        } else {
            return is_continued;
        }
    }
}

static enum config_token_kind kind_at(const struct config_lexer *lexer, size_t at)
{
    char byte = byte_at(lexer, at);
    if (at >= lexer->file->text.size)
        return TOKEN_END;
    if (byte == '\n')
        return TOKEN_NEWLINE;
    if (byte == '#')
        return TOKEN_COMMENT;
    if (byte == ';')
        return TOKEN_SEMICOLON;
    if (byte == '{' && stands_alone(lexer, at))
        return TOKEN_OPEN;
    return byte == '}' && ends_word(lexer, at + 1) ? TOKEN_CLOSE : TOKEN_WORD;
}

struct config_token config_lexer_next(struct config_lexer *lexer)
{
    bool is_continued = skip_blanks(lexer);
    size_t start = lexer->at;
    enum config_token_kind kind = kind_at(lexer, start);
    size_t end = kind == TOKEN_END ? start : start + 1;
    if (kind == TOKEN_WORD)
        end = skip_word(lexer, start);
    else if (kind == TOKEN_COMMENT)
        while (!is_end_of_line(lexer, end))
            end++;
    struct config_token token = {
        .kind = kind,
        .spelling = slice_first(slice_from(lexer->file->text, start), end - start),
        .place = place_at(lexer, start, end),
        .is_continued = is_continued,
        .is_last = is_rest_empty(lexer, end) || (kind == TOKEN_CLOSE && byte_at(lexer, end) == ';'),
    };
    lexer->at = end;
    if (kind == TOKEN_NEWLINE)
        next_line(lexer, start);
    return token;
}

/* A word on its way from spelling to value. */
struct word_reader {
    struct config_errors *errors;
    config_environment *environment;
    struct config_token token;
    struct buffer text;
    struct buffer template;
    bool is_quoted;
    bool is_good;
};

static void put(struct word_reader *reader, char byte, bool is_literal)
{
    buffer_append_byte(&reader->text, byte);
    buffer_append_byte(&reader->template, byte);
    if (is_literal && (byte == '{' || byte == '}'))
        buffer_append_byte(&reader->template, byte);
}

static struct config_place part_place(const struct word_reader *reader, size_t start, size_t size)
{
    struct config_place place = reader->token.place;
    place.column += (uint32_t)start;
    place.width = (uint32_t)size;
    return place;
}

static bool is_variable_name(struct slice name)
{
    for (size_t i = 0; i < name.size; i++) {
        char lower = ascii_lower(name.data[i]);
        bool is_digit = name.data[i] >= '0' && name.data[i] <= '9';
        if (!is_lower(lower) && lower != '_' && (i == 0 || !is_digit))
            return false;
    }
    return name.size > 0;
}

static size_t read_environment(struct word_reader *reader, size_t start)
{
    struct slice spelling = slice_from(reader->token.spelling, start);
    spelling = slice_first(spelling, slice_find(spelling, '}') + 1);
    struct slice inside = slice_of(spelling.data + 2, spelling.size < 3 ? 0 : spelling.size - 3);
    struct slice name = slice_first(inside, slice_find(inside, ':'));
    struct slice rest = slice_from(inside, name.size);
    bool has_default = slice_starts(rest, SLICE(":-"));
    bool has_message = slice_starts(rest, SLICE(":?"));
    struct config_place place = part_place(reader, start, spelling.size);
    if (!is_variable_name(name) || (rest.size > 0 && !has_default && !has_message)) {
        CONFIG_REPORT(reader->errors, CONFIG_ENV_SYNTAX, place);
        reader->is_good = false;
        return start + spelling.size;
    }
    const char *found = reader->environment(arena_cstring(reader->errors->arena, name));
    struct slice value = slice_from_cstring(found);
    bool is_missing = found == NULL || (value.size == 0 && rest.size > 0);
    if (is_missing && has_default) {
        value = slice_from(rest, 2);
    } else if (is_missing) {
        struct config_error *error = CONFIG_REPORT(reader->errors, CONFIG_ENV_UNSET, place, name);
        struct slice message = slice_from(rest, 2);
        if (message.size > 0)
            config_error_note(reader->errors, error, "%.*s", SLICE_ARG(message));
        else
            config_error_note(reader->errors, error, "set it, or write ${%.*s:-default}",
                              SLICE_ARG(name));
        reader->is_good = false;
    }
    for (size_t i = 0; i < value.size && i <= CONFIG_WORD_MAX; i++)
        put(reader, value.data[i], true);
    return start + spelling.size;
}

static size_t read_escape(struct word_reader *reader, size_t at)
{
    char byte = reader->token.spelling.data[at + 1];
    if (byte == 'n' || byte == 't') {
        put(reader, byte == 'n' ? '\n' : '\t', false);
    } else if (byte == '"' || byte == '\\') {
        put(reader, byte, false);
    } else {
        size_t size = 2; /* a character of several bytes is shown whole */
        while (at + size < reader->token.spelling.size &&
               ((unsigned char)reader->token.spelling.data[at + size] & 0xc0) == 0x80)
            size++;
        struct slice escaped = slice_of(reader->token.spelling.data + at + 1, size - 1);
        CONFIG_REPORT(reader->errors, CONFIG_ESCAPE, part_place(reader, at, size), escaped);
        reader->is_good = false;
    }
    return at + 2;
}

static bool is_environment(struct slice spelling, size_t at)
{
    return at + 1 < spelling.size && spelling.data[at] == '$' && spelling.data[at + 1] == '{' &&
           slice_find(slice_from(spelling, at), '}') < spelling.size - at;
}

static size_t read_double(struct word_reader *reader, size_t at)
{
    struct slice spelling = reader->token.spelling;
    while (at < spelling.size && spelling.data[at] != '"') {
        if (spelling.data[at] == '\\' && at + 1 < spelling.size)
            at = read_escape(reader, at);
        else if (is_environment(spelling, at))
            at = read_environment(reader, at);
        else
            put(reader, spelling.data[at++], false);
    }
    return at + 1;
}

static size_t read_single(struct word_reader *reader, size_t at)
{
    struct slice spelling = reader->token.spelling;
    while (at < spelling.size && spelling.data[at] != '\'')
        put(reader, spelling.data[at++], true);
    return at + 1;
}

void config_word_read(struct config_errors *errors, config_environment *environment,
                      struct config_token token, struct config_word *word)
{
    struct word_reader reader = {
        .errors = errors,
        .environment = environment,
        .token = token,
        .text = buffer_in(errors->arena, token.spelling.size + 1),
        .template = buffer_in(errors->arena, token.spelling.size + 1),
        .is_good = true,
    };
    for (size_t at = 0; at < token.spelling.size;) {
        char byte = token.spelling.data[at];
        if (byte == '"' || byte == '\'') {
            reader.is_quoted = true;
            at = byte == '"' ? read_double(&reader, at + 1) : read_single(&reader, at + 1);
        } else if (is_environment(token.spelling, at)) {
            at = read_environment(&reader, at);
        } else {
            put(&reader, byte, false);
            at++;
        }
    }
    if (reader.is_good &&
        (reader.text.size > CONFIG_WORD_MAX || token.spelling.size > (size_t)2 * CONFIG_WORD_MAX)) {
        CONFIG_REPORT(errors, CONFIG_WORD_SIZE, token.place);
        reader.is_good = false;
    }
    *word = (struct config_word){
        .text = buffer_slice(&reader.text),
        .template = buffer_slice(&reader.template),
        .place = token.place,
        .is_quoted = reader.is_quoted,
        .is_bad = !reader.is_good,
    };
}

/* The size of the UTF-8 character at the front; 0: it is none (RFC 3629 §4). */
static size_t utf8_size(struct slice text)
{
    const unsigned char *at = (const unsigned char *)text.data;
    size_t size = at[0] < 0x80 ? 1 : at[0] < 0xc2 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
    if (size == 0 || at[0] > 0xf4 || size > text.size)
        return 0;
    for (size_t i = 1; i < size; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    bool is_overlong = (at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xf0 && at[1] < 0x90);
    bool is_surrogate = at[0] == 0xed && at[1] > 0x9f;
    return is_overlong || is_surrogate || (at[0] == 0xf4 && at[1] > 0x8f) ? 0 : size;
}

bool config_text_check(const struct config_file *file, struct config_errors *errors)
{
    struct config_place place = {.file = file, .line = 1, .column = 1, .width = 1};
    for (struct slice rest = file->text; rest.size > 0;) {
        size_t size = utf8_size(rest);
        if (size == 0 || rest.data[0] == '\0') {
            CONFIG_REPORT(errors, size == 0 ? CONFIG_UTF8 : CONFIG_NUL, place);
            return false;
        }
        place.column += (uint32_t)size;
        if (rest.data[0] == '\n') {
            place.line++;
            place.column = 1;
        }
        rest = slice_from(rest, size);
    }
    return true;
}
