/* SPDX-License-Identifier: Apache-2.0 */
#include "control/config_value.h"

#include "base/check.h"

size_t config_value_size(const struct option *option)
{
    if (option->flags & OPTION_MANY)
        return sizeof(struct slice_list);
    switch (option->type) {
    case OPTION_FLAG:
    case OPTION_BOOL:
        return sizeof(bool);
    case OPTION_ENUM:
        return sizeof(int);
    case OPTION_RATE:
        return sizeof(struct option_rate);
    case OPTION_INT:
    case OPTION_SIZE:
    case OPTION_SPEED:
    case OPTION_DURATION:
    case OPTION_PERCENT:
    case OPTION_STATUS:
        return sizeof(int64_t);
    default:
        return sizeof(struct slice);
    }
}

bool config_value_fail(const struct config_value *value, enum config_code code, const char *why,
                       const char *note_format, ...)
{
    struct config_errors *errors = value->decoder->errors;
    struct config_error *error =
        CONFIG_REPORT(errors, code, value->word->place, value->word->text, slice_from_cstring(why));
    if (note_format[0] != '\0') {
        va_list arguments;
        va_start(arguments, note_format);
        error->note = arena_vformat(errors->arena, note_format, arguments);
        va_end(arguments);
    }
    return false;
}

static bool read_bool(const struct config_value *value)
{
    struct slice text = value->word->text;
    bool is_on = slice_equal(text, SLICE("on"));
    if (is_on || slice_equal(text, SLICE("off"))) {
        *(bool *)value->field = is_on;
        return true;
    }
    bool is_yes = slice_equal_nocase(text, SLICE("yes")) || slice_equal_nocase(text, SLICE("true"));
    bool is_no = slice_equal_nocase(text, SLICE("no")) || slice_equal_nocase(text, SLICE("false"));
    return config_value_fail(value, CONFIG_ENUM, value->label,
                             is_yes  ? "write on"
                             : is_no ? "write off"
                                     : "write on or off");
}

static bool read_enum(const struct config_value *value)
{
    struct config_errors *errors = value->decoder->errors;
    struct slice text = value->word->text;
    struct config_suggest suggest = config_suggest_start(text);
    struct buffer allowed = buffer_in(errors->arena, 80);
    for (int i = 0; value->option->words[i] != NULL; i++) {
        struct slice word = slice_from_cstring(value->option->words[i]);
        if (slice_equal(text, word)) {
            if (value->option->flags & OPTION_MANY)
                return config_value_store(value, word);
            *(int *)value->field = i;
            return true;
        }
        config_suggest_try(&suggest, word);
        buffer_format(&allowed, "%s%.*s", i == 0 ? "" : ", ", SLICE_ARG(word));
    }
    struct config_error *error = CONFIG_REPORT(errors, CONFIG_ENUM, value->word->place, text,
                                               slice_from_cstring(value->label));
    error->suggestion = suggest.best;
    if (suggest.best.size > 0)
        config_error_note(errors, error, "did you mean \"%.*s\"?", SLICE_ARG(suggest.best));
    config_error_help(errors, error, "allowed: %.*s", SLICE_ARG(buffer_slice(&allowed)));
    return false;
}

/* Whether a value of a PATTERN, HOST … may hold control characters: none may, they would end up in
 * logs and header fields. */
static bool has_controls(struct slice text)
{
    for (size_t i = 0; i < text.size; i++)
        if (((unsigned char)text.data[i] < 0x20 && text.data[i] != '\t' && text.data[i] != '\n') ||
            text.data[i] == 0x7f)
            return true;
    return false;
}

static bool read_one(const struct config_value *value)
{
    switch (value->option->type) {
    case OPTION_FLAG:
    case OPTION_BOOL:
        return read_bool(value);
    case OPTION_ENUM:
        return read_enum(value);
    case OPTION_INT:
    case OPTION_SIZE:
    case OPTION_SPEED:
    case OPTION_DURATION:
    case OPTION_PERCENT:
    case OPTION_STATUS:
        return config_number_read(value);
    case OPTION_RATE:
        return config_rate_read(value);
    case OPTION_TEMPLATE:
        return config_template_read(value);
    case OPTION_ADDRESS:
    case OPTION_SERVER:
    case OPTION_UPSTREAM:
    case OPTION_CIDR:
    case OPTION_HOST:
    case OPTION_URL:
        return config_address_read(value);
    default:
        return config_text_read(value);
    }
}

bool config_value_read(struct config_decoder *decoder, const struct option *option,
                       const char *label, const struct config_word *word, void *field)
{
    struct config_value value = {decoder, option, label, word, field};
    check(option->type != OPTION_END);
    if (word->is_bad)
        return false;
    if (has_controls(word->text)) {
        CONFIG_REPORT(decoder->errors, CONFIG_CONTROL, word->place, slice_from_cstring(label));
        return false;
    }
    return read_one(&value);
}
