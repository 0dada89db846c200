/* SPDX-License-Identifier: Apache-2.0 */
/* Shows errors: to people with the line and a caret under the word, to machines as JSON. */
#include "control/config_error.h"

#include <stdio.h>

enum {
    LINE_SHOWN = 160, /* bytes of a source line that are shown, around the word */
};

struct colours {
    const char *error, *warning, *bold, *dim, *end;
};
static const struct colours PLAIN = {"", "", "", "", ""};
static const struct colours COLOURED = {"\033[1;31m", "\033[1;33m", "\033[1m", "\033[34m",
                                        "\033[0m"};

static struct slice line_of(struct config_place place)
{
    struct slice text = place.file->text;
    for (uint32_t line = 1; line < place.line; line++)
        text = slice_from(text, slice_find(text, '\n') + 1);
    text = slice_first(text, slice_find(text, '\n'));
    if (text.size > 0 && text.data[text.size - 1] == '\r')
        text.size--;
    return text;
}

struct slice config_place_text(struct config_place place)
{
    if (place.file == NULL || place.line == 0 || place.column == 0)
        return SLICE("");
    return slice_first(slice_from(line_of(place), place.column - 1), place.width);
}

/* UTF-8: every byte but the continuing ones begins a character. */
static size_t characters(struct slice text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.size; i++)
        count += ((unsigned char)text.data[i] & 0xc0) != 0x80;
    return count;
}

static uint32_t shown_column(struct config_place place)
{
    return place.column == 0
               ? 0
               : (uint32_t)characters(slice_first(line_of(place), place.column - 1)) + 1;
}

static uint32_t shown_width(struct config_place place)
{
    struct slice line = line_of(place);
    size_t start = place.column == 0 ? 0 : place.column - 1;
    size_t width = characters(slice_first(slice_from(line, start), place.width));
    return width == 0 ? 1 : (uint32_t)width;
}

/* What a terminal would act upon is shown as a question mark; tabs stay, so that the caret below,
 * which copies them, stands under its word. */
static void append_source(struct buffer *out, struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        unsigned char byte = (unsigned char)text.data[i];
        bool is_control = (byte < 0x20 && byte != '\t') || byte == 0x7f;
        buffer_append_byte(out, is_control ? '?' : (char)byte);
    }
}

/* The line, with asterisks for secrets that are written in it: what is shown here ends up in logs.
 */
static struct slice line_shown(const struct config_errors *errors, struct config_place place)
{
    struct slice line = line_of(place);
    char *copy = NULL;
    for (size_t i = 0; i < errors->count; i++) {
        struct config_place secret = errors->items[i].place;
        if (errors->items[i].code != CONFIG_SECRET_LITERAL || secret.file != place.file ||
            secret.line != place.line || secret.column == 0)
            continue;
        if (copy == NULL) {
            copy = arena_alloc(errors->arena, line.size + 1);
            memcpy(copy, line.data, line.size);
            line.data = copy;
        }
        for (size_t at = secret.column - 1; at < line.size && at < secret.column - 1 + secret.width;
             at++)
            copy[at] = '*';
    }
    return line;
}

static void render_caret(struct buffer *out, const struct config_errors *errors,
                         const struct config_error *error, int gutter,
                         const struct colours *colours)
{
    struct config_place place = error->place;
    struct slice line = line_shown(errors, place);
    size_t before = place.column == 0 ? 0 : place.column - 1;
    if (before > line.size)
        before = line.size;
    size_t cut = before > LINE_SHOWN / 2 && line.size > LINE_SHOWN ? before - LINE_SHOWN / 2 : 0;
    while (cut < before && ((unsigned char)line.data[cut] & 0xc0) == 0x80)
        cut++;
    struct slice shown = slice_first(slice_from(line, cut), LINE_SHOWN);
    buffer_format(out, "%s%*s |%s\n", colours->dim, gutter, "", colours->end);
    buffer_format(out, "%s%*u |%s ", colours->dim, gutter, place.line, colours->end);
    append_source(out, shown);
    buffer_format(out, "\n%s%*s |%s ", colours->dim, gutter, "", colours->end);
    for (size_t i = cut; i < before; i++)
        if (((unsigned char)line.data[i] & 0xc0) != 0x80)
            buffer_append_byte(out, line.data[i] == '\t' ? '\t' : ' ');
    uint32_t width = shown_width(place);
    size_t left = shown.size > before - cut ? shown.size - (before - cut) : 1;
    buffer_append(out, slice_from_cstring(config_code_is_warning(error->code) ? colours->warning
                                                                              : colours->error));
    for (uint32_t i = 0; i < width && i < left; i++)
        buffer_append_byte(out, '^');
    if (error->note.size > 0) {
        buffer_append_byte(out, ' ');
        append_source(out, error->note);
    }
    buffer_format(out, "%s\n", colours->end);
}

static void render_one(struct buffer *out, const struct config_errors *errors,
                       const struct config_error *error, const struct colours *colours)
{
    struct config_place place = error->place;
    bool is_warning = config_code_is_warning(error->code);
    buffer_format(out, "%s%s[%s]%s%s: %.*s%s\n", is_warning ? colours->warning : colours->error,
                  is_warning ? "warning" : "error", config_code_name(error->code), colours->end,
                  colours->bold, SLICE_ARG(error->message), colours->end);
    int gutter = 1;
    if (place.file != NULL && place.line > 0) {
        char digits[16];
        gutter = snprintf(digits, sizeof(digits), "%u", place.line);
        buffer_format(out, "%s%*s-->%s %.*s:%u:%u\n", colours->dim, gutter, "", colours->end,
                      SLICE_ARG(place.file->name), place.line, shown_column(place));
        render_caret(out, errors, error, gutter, colours);
    } else if (place.file != NULL) {
        buffer_format(out, "%s%*s-->%s %.*s\n", colours->dim, gutter, "", colours->end,
                      SLICE_ARG(place.file->name));
    }
    if (error->help.size > 0)
        buffer_format(out, "%s%*s =%s help: %.*s\n", colours->dim, gutter, "", colours->end,
                      SLICE_ARG(error->help));
    for (const struct config_file *file = place.file; file != NULL && file->parent != NULL;
         file = file->parent)
        buffer_format(out, "%s%*s =%s included from %.*s:%u\n", colours->dim, gutter, "",
                      colours->end, SLICE_ARG(file->parent->name), file->parent_line);
}

void config_errors_render(const struct config_errors *errors, bool with_colour, struct buffer *out)
{
    const struct colours *colours = with_colour ? &COLOURED : &PLAIN;
    size_t shown = errors->count < CONFIG_ERRORS_SHOWN ? errors->count : CONFIG_ERRORS_SHOWN;
    for (size_t i = 0; i < shown; i++) {
        if (i > 0)
            buffer_append_byte(out, '\n');
        render_one(out, errors, &errors->items[i], colours);
    }
    size_t all = errors->errors + errors->warnings;
    if (all > shown)
        buffer_format(out, "\n... and %zu more\n", all - shown);
}

void config_json_string(struct buffer *out, struct slice text)
{
    buffer_append_byte(out, '"');
    for (size_t i = 0; i < text.size; i++) {
        unsigned char byte = (unsigned char)text.data[i];
        if (byte == '"' || byte == '\\')
            buffer_append_byte(out, '\\');
        if (byte == '\n')
            buffer_append(out, SLICE("\\n"));
        else if (byte == '\t')
            buffer_append(out, SLICE("\\t"));
        else if (byte < 0x20 || byte == 0x7f)
            buffer_format(out, "\\u%04x", byte);
        else
            buffer_append_byte(out, (char)byte);
    }
    buffer_append_byte(out, '"');
}

static void json_member(struct buffer *out, const char *name, struct slice text)
{
    if (text.size == 0)
        return;
    buffer_format(out, ",\"%s\":", name);
    config_json_string(out, text);
}

void config_errors_render_json(const struct config_errors *errors, struct buffer *out)
{
    size_t shown = errors->count < CONFIG_ERRORS_SHOWN ? errors->count : CONFIG_ERRORS_SHOWN;
    buffer_append_byte(out, '[');
    for (size_t i = 0; i < shown; i++) {
        const struct config_error *error = &errors->items[i];
        buffer_format(out, "%s{\"code\":\"%s\",\"severity\":\"%s\"", i == 0 ? "" : ",",
                      config_code_name(error->code),
                      config_code_is_warning(error->code) ? "warning" : "error");
        json_member(out, "message", error->message);
        if (error->place.file != NULL) {
            json_member(out, "file", error->place.file->name);
            if (error->place.line > 0)
                buffer_format(out, ",\"line\":%u,\"column\":%u,\"length\":%u", error->place.line,
                              shown_column(error->place), shown_width(error->place));
        }
        json_member(out, "note", error->note);
        json_member(out, "help", error->help);
        json_member(out, "suggestion", error->suggestion);
        buffer_append_byte(out, '}');
    }
    buffer_append_byte(out, ']');
}
