/* SPDX-License-Identifier: Apache-2.0 */
/* Values that stay text, and what each may look like. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "control/config_value.h"

#include <pcre2.h>

/* RFC 9110 §5.6.2. */
static bool is_token_byte(char c)
{
    char lower = ascii_lower(c);
    return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool is_token(struct slice text)
{
    for (size_t i = 0; i < text.size; i++)
        if (!is_token_byte(text.data[i]))
            return false;
    return text.size > 0;
}

static bool is_name_byte(char c)
{
    char lower = ascii_lower(c);
    return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.';
}

static bool is_upper_word(struct slice text)
{
    for (size_t i = 0; i < text.size; i++)
        if ((text.data[i] < 'A' || text.data[i] > 'Z') && text.data[i] != '-' &&
            text.data[i] != '_')
            return false;
    return text.size > 0;
}

static bool fail_token(const struct config_value *value, const char *what, const char *why)
{
    struct config_decoder *decoder = value->decoder;
    CONFIG_REPORT(decoder->errors, CONFIG_TOKEN, value->word->place, value->word->text,
                  slice_from_cstring(what), slice_from_cstring(why));
    return false;
}

static bool read_name(const struct config_value *value)
{
    struct slice text = value->word->text;
    for (size_t i = 0; i < text.size; i++)
        if (!is_name_byte(text.data[i]))
            return fail_token(value, "a name", "it may hold letters, digits, _ - and .");
    if (text.size == 0)
        return fail_token(value, "a name", "it is empty");
    return config_value_store(value, text);
}

/* Compiles for the error alone; the one that matches is made by whoever uses it. */
static bool regex_is_good(const struct config_value *value, struct slice pattern)
{
    int code = 0;
    size_t at = 0;
    pcre2_code *regex = pcre2_compile((PCRE2_SPTR)pattern.data, pattern.size,
                                      PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C, &code, &at, NULL);
    if (regex != NULL) {
        pcre2_code_free(regex);
        return true;
    }
    char why[160];
    pcre2_get_error_message(code, (PCRE2_UCHAR *)why, sizeof(why));
    return config_value_fail(value, CONFIG_REGEX, why, "near character %zu of the expression",
                             at + 1);
}

static bool read_pattern(const struct config_value *value)
{
    struct slice text = value->word->text;
    if (slice_starts(text, SLICE("~")))
        return regex_is_good(value, slice_from(text, 1)) && config_value_store(value, text);
    if (!slice_starts(text, SLICE("/")))
        return config_value_fail(value, CONFIG_PATTERN, "it does not begin with / or ~",
                                 "write /%.*s", SLICE_ARG(text));
    size_t star = slice_find(text, '*');
    if (star == text.size)
        return config_value_store(value, text);
    if (star != text.size - 1)
        return config_value_fail(value, CONFIG_PATTERN, "a * stands at the end only", "%s",
                                 "a regular expression can match inside: ~^/...");
    if (text.data[star - 1] != '/')
        return config_value_fail(value, CONFIG_PATTERN, "a * stands behind a / only",
                                 "write %.*s/*", SLICE_ARG(slice_first(text, star)));
    return config_value_store(value, text);
}

static bool read_path(const struct config_value *value)
{
    struct slice text = value->word->text;
    if (!slice_starts(text, SLICE("/")))
        return config_value_fail(value, CONFIG_PATH, "it does not begin with /", "write /%.*s",
                                 SLICE_ARG(text));
    return config_value_store(value, text);
}

/* 200, 200-299, 5xx. */
static bool read_status_range(const struct config_value *value)
{
    struct slice text = value->word->text;
    uint64_t low = 0;
    uint64_t high = 0;
    size_t dash = slice_find(text, '-');
    bool is_class = text.size == 3 && slice_equal(slice_from(text, 1), SLICE("xx")) &&
                    text.data[0] >= '1' && text.data[0] <= '5';
    bool is_range = slice_to_u64(slice_first(text, dash), 599, &low) && low >= 100 &&
                    (dash == text.size ||
                     (slice_to_u64(slice_from(text, dash + 1), 599, &high) && high >= low));
    if (is_class || is_range)
        return config_value_store(value, text);
    return config_value_fail(value, CONFIG_STATUS, "write one such as 404, a range 500-599 or 5xx",
                             "%s", "");
}

static bool read_secret(const struct config_value *value)
{
    struct slice text = value->word->text;
    static const char *const KINDS[] = {"file:", "env:", "credential:"};
    for (size_t i = 0; i < sizeof(KINDS) / sizeof(KINDS[0]); i++) {
        struct slice kind = slice_from_cstring(KINDS[i]);
        if (slice_equal(text, kind))
            return config_value_fail(value, CONFIG_SECRET, "nothing follows the colon", "%s", "");
        if (slice_starts(text, kind))
            return config_value_store(value, text);
    }
    CONFIG_REPORT(value->decoder->errors, CONFIG_SECRET_LITERAL, value->word->place);
    return config_value_store(value, text);
}

static void refer(const struct config_value *value)
{
    struct config_decoder *decoder = value->decoder;
    struct config_reference *reference = arena_alloc(decoder->arena, sizeof(*reference));
    *reference = (struct config_reference){
        .kind = value->option->words[0], .word = value->word, .next = decoder->references};
    decoder->references = reference;
}

bool config_text_read(const struct config_value *value)
{
    struct slice text = value->word->text;
    switch (value->option->type) {
    case OPTION_NAME:
        return read_name(value);
    case OPTION_PATTERN:
        return read_pattern(value);
    case OPTION_PATH:
        return read_path(value);
    case OPTION_STATUS_RANGE:
        return read_status_range(value);
    case OPTION_SECRET:
        return read_secret(value);
    case OPTION_REGEX:
        return regex_is_good(value, text) && config_value_store(value, text);
    case OPTION_FIELD:
        return is_token(text) ? config_value_store(value, text)
                              : fail_token(value, "the name of a header",
                                           "it may hold letters, digits and !#$%&'*+-.^_`|~");
    case OPTION_METHOD:
        return is_upper_word(text)
                   ? config_value_store(value, text)
                   : fail_token(value, "a method", "methods are upper-case words such as GET");
    case OPTION_FILE:
    case OPTION_DIR:
        return text.size > 0 ? config_value_store(value, text)
                             : config_value_fail(value, CONFIG_PATH, "it is empty", "%s", "");
    case OPTION_REFERENCE:
        refer(value);
        return config_value_store(value, text);
    default:
        return config_value_store(value, text);
    }
}

/* A listed name that ends in ".NAME" stands for any word behind the dot. */
static bool names_match(struct slice listed, struct slice name)
{
    static const struct slice OPEN = {".NAME", 5};
    if (!slice_ends(listed, OPEN))
        return slice_equal(listed, name);
    size_t start = listed.size - OPEN.size + 1;
    return slice_starts(name, slice_first(listed, start)) && is_token(slice_from(name, start));
}

/* How often the part stands in the text before that place of it. */
static size_t count_before(struct slice text, struct slice part)
{
    size_t count = 0;
    while (text.size > 0) {
        text = slice_from(text, slice_find_slice(text, part));
        if (text.data >= part.data)
            break;
        count++;
        text = slice_from(text, 1);
    }
    return count;
}

/* The place of a part of a word. It is searched in the spelling, because quotes and escapes move
 * what follows them: the third in the text is the third there. */
static struct config_place part_place(const struct config_value *value, struct slice part)
{
    struct config_place place = value->word->place;
    if (value->decoder->errors->count == CONFIG_ERRORS_KEPT || part.size == 0)
        return place;
    struct slice spelling = config_place_text(place);
    size_t at = slice_find_slice(spelling, part);
    for (size_t before = count_before(value->word->template, part); before > 0; before--)
        at =
            at < spelling.size ? at + 1 + slice_find_slice(slice_from(spelling, at + 1), part) : at;
    if (at < spelling.size) {
        place.column += (uint32_t)at;
        place.width = (uint32_t)part.size;
    }
    return place;
}

static bool fail_placeholder(const struct config_value *value, struct slice braced)
{
    struct config_decoder *decoder = value->decoder;
    struct slice name = slice_of(braced.data + 1, braced.size - 2);
    struct config_suggest suggest = config_suggest_start(name);
    struct buffer allowed = buffer_in(decoder->arena, 200);
    const char *listed;
    for (size_t i = 0; (listed = decoder->schema->placeholder(i)) != NULL; i++) {
        config_suggest_try(&suggest, slice_from_cstring(listed));
        buffer_format(&allowed, "%s{%s}", i == 0 ? "" : " ", listed);
    }
    struct config_error *error =
        CONFIG_REPORT(decoder->errors, CONFIG_PLACEHOLDER, part_place(value, braced), name);
    config_error_help(decoder->errors, error, "placeholders: %.*s",
                      SLICE_ARG(buffer_slice(&allowed)));
    if (suggest.best.size > 0) {
        error->suggestion = arena_format(decoder->arena, "{%.*s}", SLICE_ARG(suggest.best));
        error->help = SLICE("");
        config_error_note(decoder->errors, error, "did you mean %.*s?",
                          SLICE_ARG(error->suggestion));
    }
    return false;
}

static bool is_placeholder(const struct config_decoder *decoder, struct slice name)
{
    const char *listed;
    for (size_t i = 0; (listed = decoder->schema->placeholder(i)) != NULL; i++)
        if (names_match(slice_from_cstring(listed), name))
            return true;
    return false;
}

/* Users of nginx write $host; to us it is text, so they would wonder for long. */
static void warn_of_dollar(const struct config_value *value, struct slice rest)
{
    static const struct {
        const char *theirs;
        const char *ours;
    } NAMES[] = {
        {"$host", "{host}"},       {"$request_uri", "{uri}"},       {"$uri", "{path}"},
        {"$args", "{query}"},      {"$query_string", "{query}"},    {"$remote_addr", "{client_ip}"},
        {"$scheme", "{scheme}"},   {"$request_method", "{method}"}, {"$request_id", "{request_id}"},
        {"$server_name", "{host}"}};
    size_t size = 1;
    while (size < rest.size &&
           ((rest.data[size] >= 'a' && rest.data[size] <= 'z') || rest.data[size] == '_'))
        size++;
    struct slice written = slice_first(rest, size);
    for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
        if (!slice_equal(written, slice_from_cstring(NAMES[i].theirs)))
            continue;
        struct config_errors *errors = value->decoder->errors;
        struct config_error *error =
            CONFIG_REPORT(errors, CONFIG_DOLLAR, part_place(value, written), written);
        config_error_note(errors, error, "did you mean %s?", NAMES[i].ours);
        error->suggestion = slice_from_cstring(NAMES[i].ours);
    }
}

static bool fail_brace(const struct config_value *value, struct slice rest, const char *why)
{
    CONFIG_REPORT(value->decoder->errors, CONFIG_BRACES, part_place(value, rest),
                  slice_from_cstring(why));
    return false;
}

bool config_template_read(const struct config_value *value)
{
    struct slice rest = value->word->template;
    while (rest.size > 0) {
        bool is_double = rest.size > 1 && rest.data[0] == rest.data[1] &&
                         (rest.data[0] == '{' || rest.data[0] == '}');
        if (is_double) {
            rest = slice_from(rest, 2);
        } else if (rest.data[0] == '{') {
            size_t close = slice_find(rest, '}');
            if (close == rest.size)
                return fail_brace(value, rest, "a \"{\" is not followed by NAME}");
            if (!is_placeholder(value->decoder, slice_of(rest.data + 1, close - 1)))
                return fail_placeholder(value, slice_first(rest, close + 1));
            rest = slice_from(rest, close + 1);
        } else if (rest.data[0] == '}') {
            return fail_brace(value, slice_first(rest, 1), "a \"}\" closes no placeholder");
        } else {
            if (rest.data[0] == '$')
                warn_of_dollar(value, rest);
            rest = slice_from(rest, 1);
        }
    }
    return config_value_store(value, value->word->template);
}
