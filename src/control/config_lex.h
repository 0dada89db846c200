/* SPDX-License-Identifier: Apache-2.0 */
/* Cuts the text of a configuration into tokens and turns the spelling of a word into its value. */
#pragma once

#include "control/config_error.h"

/* U+FEFF in UTF-8, which some editors put at the start of a file. */
#define CONFIG_BYTE_ORDER_MARK SLICE("\xef\xbb\xbf")

enum config_token_kind {
    TOKEN_WORD,
    TOKEN_OPEN,      /* "{" */
    TOKEN_CLOSE,     /* "}" */
    TOKEN_SEMICOLON, /* ends a statement like a newline */
    TOKEN_NEWLINE,
    TOKEN_COMMENT, /* to the end of its line, without it */
    TOKEN_END,
};

struct config_token {
    enum config_token_kind kind;
    struct slice spelling;
    struct config_place place;
    bool is_continued; /* the line before it ended in "\" */
    bool is_last;      /* OPEN, CLOSE: only blanks or a comment follow on its line; CLOSE: or ";" */
};

struct config_lexer {
    const struct config_file *file;
    struct config_errors *errors; /* NULL: mistakes are passed over in silence */
    size_t at;
    size_t line_start;
    uint32_t line;
    bool is_broken; /* a quote or ${ was not closed */
};

/* Starts at the beginning of the file's text, behind a byte order mark. */
void config_lexer_init(struct config_lexer *lexer, const struct config_file *file,
                       struct config_errors *errors);
struct config_token config_lexer_next(struct config_lexer *lexer);

/* Where ${NAME} is looked up; NULL for a variable that is not set. */
typedef const char *config_environment(const char *name);

/* Removes quotes, applies escapes, fills the environment in. Mistakes are reported and make the
 * word bad. */
void config_word_read(struct config_errors *errors, config_environment *environment,
                      struct config_token token, struct config_word *word);

/* The length of the name before "=" when the spelling is an option; 0: it is a value. */
size_t config_option_name_size(struct slice spelling);
/* Lower-case letters, digits and _; begins with a letter. */
bool config_is_name(struct slice text);

/* Refuses NUL bytes and what is not UTF-8 (RFC 3629); reports the first place. */
bool config_text_check(const struct config_file *file, struct config_errors *errors);
