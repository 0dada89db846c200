/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers with their units: durations, sizes, percents, rates. */
#include "base/clock.h"
#include "control/config_value.h"

struct unit {
    const char *name;
    int64_t factor;
};

/* Largest last, for writing. The spellings that are not ours come behind the NULL and serve the
 * hint. */
static const struct unit DURATIONS[] = {{"ms", MILLISECONDS(1)}, {"s", SECONDS(1)},
                                        {"m", SECONDS(60)},      {"h", SECONDS(3600)},
                                        {"d", SECONDS(86400)},   {NULL, 0}};
static const struct unit SIZES[] = {
    {"B", 1}, {"KiB", 1024}, {"MiB", 1024 * 1024}, {"GiB", 1024 * 1024 * 1024}, {NULL, 0}};
static const struct unit SPEEDS[] = {
    {"B/s", 1}, {"KiB/s", 1024}, {"MiB/s", 1024 * 1024}, {"GiB/s", 1024 * 1024 * 1024}, {NULL, 0}};
static const struct unit SIZES_SHORT[] = {
    {"K", 1024}, {"M", 1024 * 1024}, {"G", 1024 * 1024 * 1024}, {NULL, 0}};
static const struct unit PERCENTS[] = {{"%", 100}, {NULL, 0}};

static const struct {
    const char *other;
    const char *ours;
} HABITS[] = {{"sec", "s"},  {"secs", "s"},  {"second", "s"},  {"seconds", "s"}, {"S", "s"},
              {"min", "m"},  {"mins", "m"},  {"minute", "m"},  {"minutes", "m"}, {"hr", "h"},
              {"hour", "h"}, {"hours", "h"}, {"H", "h"},       {"day", "d"},     {"days", "d"},
              {"D", "d"},    {"msec", "ms"}, {"millis", "ms"}, {"b", "B"},       {"bytes", "B"},
              {"k", "KiB"},  {"kb", "KiB"},  {"KB", "KiB"},    {"kB", "KiB"},    {"kib", "KiB"},
              {"m", "MiB"},  {"mb", "MiB"},  {"MB", "MiB"},    {"mib", "MiB"},   {"g", "GiB"},
              {"gb", "GiB"}, {"GB", "GiB"},  {"gib", "GiB"},   {"percent", "%"}, {NULL, NULL}};

static const struct unit *unit_find(const struct unit *units, struct slice name)
{
    for (const struct unit *unit = units; unit->name != NULL; unit++)
        if (slice_equal(slice_from_cstring(unit->name), name))
            return unit;
    return NULL;
}

static const struct unit *units_of(enum option_type type)
{
    return type == OPTION_DURATION ? DURATIONS
           : type == OPTION_SIZE   ? SIZES
           : type == OPTION_SPEED  ? SPEEDS
                                   : PERCENTS;
}

static const char *type_name(enum option_type type)
{
    return type == OPTION_DURATION  ? "duration"
           : type == OPTION_SIZE    ? "size"
           : type == OPTION_SPEED   ? "speed"
           : type == OPTION_PERCENT ? "percentage"
                                    : "rate";
}

static size_t digits_size(struct slice text)
{
    size_t size = 0;
    while (size < text.size && text.data[size] >= '0' && text.data[size] <= '9')
        size++;
    return size;
}

void config_number_write(struct buffer *out, enum option_type type, int64_t number)
{
    if (number < 0 || number == CLOCK_NEVER) {
        buffer_append(out, SLICE("off"));
        return;
    }
    if (type != OPTION_DURATION && type != OPTION_SIZE && type != OPTION_SPEED &&
        type != OPTION_PERCENT) {
        buffer_append_u64(out, (uint64_t)number);
        return;
    }
    const struct unit *units = units_of(type);
    const struct unit *best = units;
    for (const struct unit *unit = units; unit->name != NULL; unit++)
        if (number >= unit->factor && number % unit->factor == 0)
            best = unit;
    buffer_append_u64(out, (uint64_t)(number / best->factor));
    buffer_append(out, slice_from_cstring(best->name));
}

static bool fail_unit(const struct config_value *value, const char *why, struct slice digits,
                      const char *unit, const char *other_unit)
{
    struct config_errors *errors = value->decoder->errors;
    struct slice text = value->word->text;
    enum option_type type = value->option->type;
    struct config_error *error =
        CONFIG_REPORT(errors, CONFIG_UNIT, value->word->place, text,
                      slice_from_cstring(type_name(type)), slice_from_cstring(why));
    if (digits.size == 0)
        digits = type == OPTION_SIZE || type == OPTION_SPEED ? SLICE("16") : SLICE("30");
    error->suggestion = arena_format(errors->arena, "%.*s%s", SLICE_ARG(digits), unit);
    if (other_unit == NULL)
        config_error_note(errors, error, "write %.*s", SLICE_ARG(error->suggestion));
    else
        config_error_note(errors, error, "write %.*s or %.*s%s", SLICE_ARG(error->suggestion),
                          SLICE_ARG(digits), other_unit);
    return false;
}

static bool fail_number(const struct config_value *value, struct slice digits, struct slice unit)
{
    enum option_type type = value->option->type;
    if (type == OPTION_INT)
        return config_value_fail(value, CONFIG_NUMBER, "", "%s", "");
    if (type == OPTION_STATUS)
        return config_value_fail(value, CONFIG_STATUS, "it is a number from 100 to 599", "%s", "");
    const char *usual = type == OPTION_DURATION ? "s"
                        : type == OPTION_SIZE   ? "KiB"
                        : type == OPTION_SPEED  ? "KiB/s"
                                                : "%";
    const char *other = type == OPTION_DURATION ? "m"
                        : type == OPTION_SIZE   ? "MiB"
                        : type == OPTION_SPEED  ? "MiB/s"
                                                : NULL;
    if (digits.size == 0)
        return fail_unit(value, "it does not begin with a number", digits, usual, other);
    if (unit.size == 0)
        return fail_unit(value, "it has no unit", digits, usual, other);
    struct slice why =
        arena_format(value->decoder->arena, "unknown unit \"%.*s\"", SLICE_ARG(unit));
    const char *reason = arena_cstring(value->decoder->arena, why);
    for (size_t i = 0; HABITS[i].other != NULL; i++) {
        bool is_habit = slice_equal(unit, slice_from_cstring(HABITS[i].other));
        if (is_habit && unit_find(units_of(type), slice_from_cstring(HABITS[i].ours)) != NULL)
            return fail_unit(value, reason, digits, HABITS[i].ours, NULL);
    }
    return fail_unit(value, reason, digits, usual, other);
}

static bool fail_range(const struct config_value *value)
{
    const struct option *option = value->option;
    struct config_errors *errors = value->decoder->errors;
    struct config_error *error = CONFIG_REPORT(errors, CONFIG_RANGE, value->word->place,
                                               value->word->text, slice_from_cstring(value->label));
    struct buffer note = buffer_in(errors->arena, 64);
    buffer_append(&note, SLICE("allowed: "));
    if (option->min != 0 || option->max != 0) {
        config_number_write(&note, option->type, option->min);
        buffer_append(&note, SLICE(" to "));
        config_number_write(&note, option->type, option->max);
    } else {
        buffer_append(&note, SLICE("smaller numbers"));
    }
    if (option->flags & OPTION_MAY_BE_OFF)
        buffer_append(&note, SLICE(", or off"));
    if (option->standard != NULL)
        buffer_format(&note, " (default %s)", option->standard);
    error->note = buffer_slice(&note);
    return false;
}

static bool store_number(const struct config_value *value, struct slice digits, int64_t factor)
{
    const struct option *option = value->option;
    uint64_t count = 0;
    int64_t number;
    /* CLOCK_NEVER and its like are no numbers that could be written. */
    if (!slice_to_u64(digits, INT64_MAX - 1, &count) ||
        __builtin_mul_overflow((int64_t)count, factor, &number) || number == INT64_MAX)
        return fail_range(value);
    if ((option->min != 0 || option->max != 0) && (number < option->min || number > option->max))
        return fail_range(value);
    *(int64_t *)value->field = number;
    return true;
}

/* Percents alone may have a fraction, of at most two digits. */
static bool read_percent(const struct config_value *value, struct slice digits, struct slice unit)
{
    struct slice text = value->word->text;
    if (unit.size > 1 && unit.data[0] == '.' && text.data[text.size - 1] == '%') {
        struct slice fraction = slice_of(unit.data + 1, unit.size - 2);
        char padded[3] = "00";
        if (digits.size > 0 && fraction.size > 0 && fraction.size <= 2 &&
            digits_size(fraction) == fraction.size && digits.size < 9) {
            memcpy(padded, fraction.data, fraction.size);
            struct slice all =
                arena_format(value->decoder->arena, "%.*s%s", SLICE_ARG(digits), padded);
            return store_number(value, all, 1);
        }
    }
    return slice_equal(unit, SLICE("%")) && digits.size > 0 ? store_number(value, digits, 100)
                                                            : fail_number(value, digits, unit);
}

bool config_number_read(const struct config_value *value)
{
    const struct option *option = value->option;
    struct slice text = value->word->text;
    struct slice digits = slice_first(text, digits_size(text));
    struct slice unit = slice_from(text, digits.size);
    if ((option->flags & OPTION_MAY_BE_OFF) && slice_equal(text, SLICE("off"))) {
        *(int64_t *)value->field = option->type == OPTION_DURATION ? CLOCK_NEVER : -1;
        return true;
    }
    if (option->words != NULL && slice_equal(text, slice_from_cstring(option->words[0]))) {
        *(int64_t *)value->field = 0;
        return true;
    }
    if (option->type == OPTION_PERCENT)
        return read_percent(value, digits, unit);
    if (option->type == OPTION_INT || option->type == OPTION_STATUS) {
        if (digits.size == 0 || unit.size > 0)
            return fail_number(value, digits, unit);
        uint64_t status = 0;
        bool is_status = slice_to_u64(digits, 599, &status) && status >= 100;
        if (option->type == OPTION_STATUS && !is_status)
            return fail_number(value, digits, unit);
        return store_number(value, digits, 1);
    }
    const struct unit *found = unit_find(units_of(option->type), unit);
    if (found == NULL && option->type == OPTION_SIZE)
        found = unit_find(SIZES_SHORT, unit);
    if (found == NULL || digits.size == 0)
        return fail_number(value, digits, unit);
    return store_number(value, digits, found->factor);
}

bool config_rate_read(const struct config_value *value)
{
    struct slice text = value->word->text;
    struct slice digits = slice_first(text, digits_size(text));
    struct slice unit = slice_from(text, digits.size);
    struct option_rate *rate = value->field;
    int64_t per = slice_equal(unit, SLICE("r/s"))   ? SECONDS(1)
                  : slice_equal(unit, SLICE("r/m")) ? SECONDS(60)
                  : slice_equal(unit, SLICE("r/h")) ? SECONDS(3600)
                                                    : 0;
    if (digits.size == 0 || per == 0)
        return fail_unit(value, "it is a number of requests per time", digits, "r/s", "r/m");
    int64_t count = 0;
    struct config_value number = *value;
    number.field = &count;
    if (!store_number(&number, digits, 1))
        return false;
    *rate = (struct option_rate){.count = count, .per = per};
    return true;
}
