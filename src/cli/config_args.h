/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands about configurations have in common: their options, where the configuration is
 * looked for, how mistakes are shown. */
#pragma once

#include "cli/cli.h"

#include "control/config.h"

/* An option "--name" or "--name=VALUE" of a command. */
struct cli_option {
    const char *name; /* with its dashes; NULL at the end */
    const char *word; /* what VALUE is called; NULL: takes none */
    bool *is_set;     /* may be NULL */
    const char **value;
};

/* Takes the options out of argv: what is left are the operands, `*count` of them from argv[1] on.
 * Every command also knows --help, which prints `usage`. Returns −1 to go on, else the exit code.
 */
int cli_options(int argc, char **argv, const struct cli_option *options, const char *usage,
                int *count);
/* Prints to stderr what is wrong with the command line, and gives the exit code. */
int cli_usage_error(const char *verb, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* "always", "never", "auto" or NULL: whether text on the descriptor is coloured. False for
 * another word. */
bool cli_colour(const char *word, int fd, bool *with_colour);

/* The operand, or --config, $WEIR_CONFIG, ./weir.conf, /etc/weir/weir.conf: the first that there
 * is. NULL after a message when there is none. */
const char *cli_config_path(const char *operand, const char *option, struct arena *arena);

/* Shows the errors and the closing line on stderr. */
void cli_show_errors(const struct config_errors *errors, bool with_colour, struct slice name);
void cli_print(struct slice text); /* on stdout */
