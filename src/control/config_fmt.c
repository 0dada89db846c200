/* SPDX-License-Identifier: Apache-2.0 */
/* Works on tokens, not on the tree: spelling, comments, includes and ${...} stay as written. */
#include "control/config_fmt.h"

enum {
    INDENT = 4,
};

struct formatter {
    struct buffer *out;
    size_t depth;
    size_t words;     /* on the current line */
    size_t newlines;  /* since the last token that was written */
    bool has_written; /* anything at all */
    bool has_opened;  /* the last line opened a block: no empty line behind it */
};

static void indent(struct formatter *formatter, size_t more)
{
    for (size_t i = 0; i < (formatter->depth + more) * INDENT; i++)
        buffer_append_byte(formatter->out, ' ');
}

/* Ends the line before and keeps one of the empty lines that stood there. */
static void begin_line(struct formatter *formatter, bool closes)
{
    bool wants_empty =
        formatter->newlines > 1 && formatter->has_written && !formatter->has_opened && !closes;
    if (wants_empty)
        buffer_append_byte(formatter->out, '\n');
    if (closes && formatter->depth > 0)
        formatter->depth--;
    indent(formatter, 0);
    formatter->has_written = true;
    formatter->has_opened = false;
    formatter->newlines = 0;
}

/* Ends the line of a statement. A "\\" at its end would take the newline back: there a ";" ends
 * it. */
static void end_line(struct formatter *formatter)
{
    const struct buffer *out = formatter->out;
    bool is_taken_back = formatter->words > 0 && out->data[out->size - 1] == '\\' &&
                         (out->size < 2 || out->data[out->size - 2] != '\\');
    if (is_taken_back)
        buffer_append_byte(formatter->out, ';');
    buffer_append_byte(formatter->out, '\n');
    formatter->words = 0;
}

static void put_word(struct formatter *formatter, const struct config_token *token)
{
    if (formatter->words == 0) {
        begin_line(formatter, false);
    } else if (token->is_continued) {
        buffer_append(formatter->out, SLICE(" \\\n"));
        indent(formatter, 1);
    } else {
        buffer_append_byte(formatter->out, ' ');
    }
    buffer_append(formatter->out, token->spelling);
    formatter->words++;
}

static void put_comment(struct formatter *formatter, const struct config_token *token)
{
    struct slice text = token->spelling;
    while (text.size > 0 && (text.data[text.size - 1] == ' ' || text.data[text.size - 1] == '\t' ||
                             text.data[text.size - 1] == '\r'))
        text.size--;
    /* A comment behind a "{" or "}" belongs to their line, which has been ended already. */
    bool is_behind = formatter->words == 0 && formatter->has_written && formatter->newlines == 0;
    if (is_behind)
        formatter->out->size--;
    if (formatter->words > 0 || is_behind)
        buffer_append(formatter->out, SLICE("  "));
    else
        begin_line(formatter, false);
    buffer_append(formatter->out, text);
    buffer_append_byte(formatter->out, '\n');
    formatter->words = 0;
}

static void put_token(struct formatter *formatter, const struct config_token *token)
{
    switch (token->kind) {
    case TOKEN_WORD:
        put_word(formatter, token);
        break;
    case TOKEN_OPEN:
        buffer_append(formatter->out, formatter->words > 0 ? SLICE(" {") : SLICE("{"));
        end_line(formatter);
        formatter->depth++;
        formatter->has_opened = true;
        break;
    case TOKEN_CLOSE:
        begin_line(formatter, true);
        buffer_append_byte(formatter->out, '}');
        end_line(formatter);
        break;
    case TOKEN_COMMENT:
        put_comment(formatter, token);
        formatter->newlines = 0;
        break;
    case TOKEN_NEWLINE:
    case TOKEN_SEMICOLON:
        if (formatter->words > 0)
            end_line(formatter);
        formatter->newlines += token->kind == TOKEN_NEWLINE;
        break;
    case TOKEN_END:
        if (formatter->words > 0)
            end_line(formatter);
        break;
    }
}

static const char *no_variable(const char *name)
{
    (void)name;
    return "x";
}

static enum status no_file(const char *path, size_t size_max, struct arena *arena,
                           struct slice *text, const char **why)
{
    (void)path;
    (void)size_max;
    (void)arena;
    (void)why;
    *text = SLICE("");
    return OK;
}

static void no_match(const char *pattern, struct arena *arena, struct slice_list *paths)
{
    (void)pattern;
    (void)arena;
    paths->count = 0;
}

/* Parsed once for its mistakes, without the files and variables that it names. */
static bool is_sound(const struct config_file *file, struct arena *arena,
                     struct config_errors *errors)
{
    static const struct config_source NOTHING = {no_variable, no_file, no_match};
    struct config_errors found;
    config_errors_init(&found, arena);
    struct config_tree *tree = config_tree_new(arena, &found, &NOTHING);
    config_tree_parse(tree, file->name, file->text);
    if (!tree->is_broken)
        return true;
    *errors = found;
    config_errors_sort(errors);
    return false;
}

bool config_fmt(const struct config_file *file, struct arena *arena, struct config_errors *errors,
                struct buffer *out)
{
    if (!is_sound(file, arena, errors))
        return false;
    struct formatter formatter = {.out = out};
    struct config_lexer lexer;
    config_lexer_init(&lexer, file, NULL);
    struct config_token token;
    do {
        token = config_lexer_next(&lexer);
        put_token(&formatter, &token);
    } while (token.kind != TOKEN_END);
    return true;
}
