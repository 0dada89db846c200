/* SPDX-License-Identifier: Apache-2.0 */
#include "control/config_error.h"

#include "base/check.h"

#include <stdlib.h>

static const struct code_text {
    const char *name;
    const char *title;
    const char *format;
    const char *help;
    bool is_warning;
} CODES[] = {
#define CONFIG_ERROR(id, code, title, format, help)                                                \
    [CONFIG_##id] = {code, title, format, help, false},
#define CONFIG_WARNING(id, code, title, format, help)                                              \
    [CONFIG_##id] = {code, title, format, help, true},
#include "control/config_error.def"
#undef CONFIG_ERROR
#undef CONFIG_WARNING
};

void config_errors_init(struct config_errors *errors, struct arena *arena)
{
    *errors = (struct config_errors){.arena = arena};
}

/* Fills $1, $2 … in. Control characters of the file must not reach a terminal. */
static struct slice message_of(struct arena *arena, const char *format,
                               const struct slice *arguments, size_t count)
{
    struct buffer out = buffer_in(arena, 80);
    for (const char *at = format; *at != '\0'; at++) {
        bool is_hole = at[0] == '$' && at[1] >= '1' && at[1] <= '9';
        if (!is_hole) {
            buffer_append_byte(&out, *at);
            continue;
        }
        size_t index = (size_t)(*++at - '0');
        check(index < count);
        struct slice argument = slice_first(arguments[index], 200);
        for (size_t i = 0; i < argument.size; i++) {
            unsigned char byte = (unsigned char)argument.data[i];
            buffer_append_byte(&out, byte < 0x20 || byte == 0x7f ? '?' : (char)byte);
        }
        if (argument.size < arguments[index].size)
            buffer_append(&out, SLICE("..."));
    }
    return buffer_slice(&out);
}

static struct config_error *place_for(struct config_errors *errors)
{
    if (errors->count == CONFIG_ERRORS_KEPT)
        return &errors->items[errors->count - 1];
    if (errors->count == errors->capacity) {
        size_t capacity = errors->capacity == 0 ? 16 : errors->capacity * 2;
        struct config_error *items = arena_alloc(errors->arena, capacity * sizeof(*items));
        if (errors->count > 0)
            memcpy(items, errors->items, errors->count * sizeof(*items));
        errors->items = items;
        errors->capacity = capacity;
    }
    return &errors->items[errors->count++];
}

struct config_error *config_error_add(struct config_errors *errors, enum config_code code,
                                      struct config_place place, const struct slice *arguments,
                                      size_t count)
{
    check(code < CONFIG_CODES);
    struct config_error *error = place_for(errors);
    *error = (struct config_error){
        .code = code,
        .place = place,
        .message = message_of(errors->arena, CODES[code].format, arguments, count),
        .help = slice_from_cstring(CODES[code].help),
        .order = errors->errors + errors->warnings,
    };
    if (CODES[code].is_warning)
        errors->warnings++;
    else
        errors->errors++;
    return error;
}

void config_error_note(struct config_errors *errors, struct config_error *error, const char *format,
                       ...)
{
    va_list arguments;
    va_start(arguments, format);
    error->note = arena_vformat(errors->arena, format, arguments);
    va_end(arguments);
}

void config_error_help(struct config_errors *errors, struct config_error *error, const char *format,
                       ...)
{
    va_list arguments;
    va_start(arguments, format);
    error->help = arena_vformat(errors->arena, format, arguments);
    va_end(arguments);
}

/* The files in the order they were read: one that includes comes before what it includes. */
static int compare_places(const struct config_place *a, const struct config_place *b)
{
    if (a->file != b->file) {
        if (a->file == NULL || b->file == NULL)
            return a->file == NULL ? -1 : 1;
        if (a->file->depth != b->file->depth)
            return a->file->depth < b->file->depth ? -1 : 1;
        int order = slice_compare(a->file->path, b->file->path);
        if (order != 0)
            return order;
    }
    if (a->line != b->line)
        return a->line < b->line ? -1 : 1;
    return a->column == b->column ? 0 : a->column < b->column ? -1 : 1;
}

/* Errors before warnings would tear apart what stands together in the file: place decides. */
static int compare_errors(const void *left, const void *right)
{
    const struct config_error *a = left;
    const struct config_error *b = right;
    int order = compare_places(&a->place, &b->place);
    if (order != 0)
        return order;
    return a->order == b->order ? 0 : a->order < b->order ? -1 : 1;
}

void config_errors_sort(struct config_errors *errors)
{
    if (errors->count == 0)
        return;
    qsort(errors->items, errors->count, sizeof(*errors->items), compare_errors);
    size_t kept = 1;
    for (size_t i = 1; i < errors->count; i++) {
        struct config_error *error = &errors->items[i];
        struct config_error *last = &errors->items[kept - 1];
        bool is_same = error->code == last->code &&
                       compare_places(&error->place, &last->place) == 0 &&
                       slice_equal(error->message, last->message);
        if (!is_same)
            errors->items[kept++] = *error;
        else if (CODES[error->code].is_warning)
            errors->warnings--;
        else
            errors->errors--;
    }
    errors->count = kept;
}

const char *config_code_name(enum config_code code)
{
    return CODES[code].name;
}

const char *config_code_title(enum config_code code)
{
    return CODES[code].title;
}

const char *config_code_help(enum config_code code)
{
    return CODES[code].help;
}

const char *config_code_format(enum config_code code)
{
    return CODES[code].format;
}

bool config_code_is_warning(enum config_code code)
{
    return CODES[code].is_warning;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t config_distance(struct slice a, struct slice b)
{
    uint8_t rows[3][CONFIG_NAME_LONGEST + 1];
    check(a.size <= CONFIG_NAME_LONGEST && b.size <= CONFIG_NAME_LONGEST);
    for (size_t j = 0; j <= b.size; j++)
        rows[0][j] = (uint8_t)j;
    for (size_t i = 1; i <= a.size; i++) {
        uint8_t *row = rows[i % 3];
        const uint8_t *above = rows[(i - 1) % 3];
        const uint8_t *twice_above = rows[(i + 1) % 3]; /* (i − 2) mod 3 */
        row[0] = (uint8_t)i;
        for (size_t j = 1; j <= b.size; j++) {
            size_t best = least(above[j], row[j - 1]) + 1u;
            best = least(best, above[j - 1] + (a.data[i - 1] == b.data[j - 1] ? 0u : 1u));
            bool is_swap =
                i > 1 && j > 1 && a.data[i - 1] == b.data[j - 2] && a.data[i - 2] == b.data[j - 1];
            if (is_swap)
                best = least(best, twice_above[j - 2] + 1u);
            row[j] = (uint8_t)best;
        }
    }
    return rows[a.size % 3][b.size];
}

struct config_suggest config_suggest_start(struct slice word)
{
    return (struct config_suggest){.word = word, .best_distance = word.size / 3 + 1};
}

void config_suggest_try(struct config_suggest *suggest, struct slice candidate)
{
    if (suggest->word.size > CONFIG_NAME_LONGEST || candidate.size > CONFIG_NAME_LONGEST ||
        suggest->word.size < 2)
        return;
    size_t distance = config_distance(suggest->word, candidate);
    bool is_prefix = suggest->word.size >= 3 && slice_starts(candidate, suggest->word);
    if (is_prefix && distance >= suggest->best_distance && suggest->best.size == 0)
        distance = suggest->best_distance - 1;
    if (distance < suggest->best_distance) {
        suggest->best_distance = distance;
        suggest->best = candidate;
    }
}
