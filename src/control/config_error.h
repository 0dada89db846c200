/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong with a configuration: all of it at once, each with its place, a reason and a way
 * out. */
#pragma once

#include "base/buffer.h"
#include "control/config_node.h"

enum config_code {
#define CONFIG_ERROR(id, code, title, format, help)   CONFIG_##id,
#define CONFIG_WARNING(id, code, title, format, help) CONFIG_##id,
#include "control/config_error.def"
#undef CONFIG_ERROR
#undef CONFIG_WARNING
    CONFIG_CODES,
};

enum {
    CONFIG_ERRORS_SHOWN = 50,  /* the rest is counted */
    CONFIG_ERRORS_KEPT = 5000, /* likewise; bounds the memory of a hopeless file */
    CONFIG_NAME_LONGEST = 64,  /* longer words get no suggestion */
};

struct config_error {
    enum config_code code;
    struct config_place place;
    struct slice message;
    struct slice note;       /* stands beside the caret; may be empty */
    struct slice help;       /* a line of its own; may be empty */
    struct slice suggestion; /* what to write in its place, for machines; may be empty */
    size_t order;            /* in which it was reported */
};

struct config_errors {
    struct arena *arena;
    struct config_error *items;
    size_t count;
    size_t capacity;
    size_t errors;   /* those that are no warnings, dropped ones included */
    size_t warnings; /* likewise */
};

void config_errors_init(struct config_errors *errors, struct arena *arena);

/* Reports; `arguments` stand for $1, $2 … of the message. What is returned may be given a note, a
 * help and a suggestion, and is valid until the next report. */
struct config_error *config_error_add(struct config_errors *errors, enum config_code code,
                                      struct config_place place, const struct slice *arguments,
                                      size_t count);
#define CONFIG_REPORT(errors, code, place, ...)                                                    \
    config_error_add(errors, code, place, (const struct slice[]){{0}, __VA_ARGS__},                \
                     sizeof((const struct slice[]){{0}, __VA_ARGS__}) / sizeof(struct slice))

void config_error_note(struct config_errors *errors, struct config_error *error, const char *format,
                       ...) __attribute__((format(printf, 3, 4)));
void config_error_help(struct config_errors *errors, struct config_error *error, const char *format,
                       ...) __attribute__((format(printf, 3, 4)));

/* By place, equal ones once. To be called before anything is shown. */
void config_errors_sort(struct config_errors *errors);

/* For people: the first 50, and how many more there are. Colours are terminal sequences. */
void config_errors_render(const struct config_errors *errors, bool with_colour, struct buffer *out);
/* For machines: a JSON array of {code, severity, message, file, line, column, length, …}. */
void config_errors_render_json(const struct config_errors *errors, struct buffer *out);

/* The spelling at a place of a file. */
struct slice config_place_text(struct config_place place);

/* About a code: for the docs. */
const char *config_code_name(enum config_code code); /* "E0101" */
const char *config_code_title(enum config_code code);
const char *config_code_help(enum config_code code);
const char *config_code_format(enum config_code code);
bool config_code_is_warning(enum config_code code);

/* How many insertions, deletions, replacements and swaps of neighbours lead from a to b. */
size_t config_distance(struct slice a, struct slice b);

/* Finds the candidate nearest to a word; near enough to be meant, or none. */
struct config_suggest {
    struct slice word;
    struct slice best; /* empty: none so far */
    size_t best_distance;
};
struct config_suggest config_suggest_start(struct slice word);
void config_suggest_try(struct config_suggest *suggest, struct slice candidate);

/* Appends text as a JSON string, quotes included. */
void config_json_string(struct buffer *out, struct slice text);
