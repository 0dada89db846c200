/* SPDX-License-Identifier: Apache-2.0 */
/* What all commands share. Results go to stdout, everything else to stderr. */
#pragma once

#include "base/slice.h"

#define WEIR_VERSION "0.1.0"

enum exit_code {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,        /* the command line is wrong */
    EXIT_NOT_RUNNING = 69, /* no weir answers */
    EXIT_TRY_AGAIN = 75,
    EXIT_NOT_PERMITTED = 77,
    EXIT_CONFIG = 78, /* the configuration is invalid or missing */
};

/* A command: its arguments, the first of which is its own name. */
typedef int command_function(int argc, char **argv);

#define COMMAND(name, function, usage, sentence) command_function function;
#include "cli/commands.def"
#undef COMMAND

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
/* What the options and the explanation of a command are, for completions and manual pages: calls
 * back instead of running it. */
typedef void cli_collector(void *argument, const struct cli_option *options, const char *usage);
void cli_collect(command_function *command, const char *name, cli_collector *collector,
                 void *argument);
/* All commands, from 0; NULL past the last. */
struct cli_command {
    const char *name;
    command_function *function;
    const char *arguments; /* "[--ready] [--json]" */
    const char *sentence;  /* "how a running weir is" */
};
const struct cli_command *cli_command(size_t index);
/* Prints to stderr what is wrong with the command line and how it should look; gives EXIT_USAGE. */
int cli_usage_error(const char *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Serves the configuration in `text`, called `name` in messages (NULL text: the file of that name
 * is read); returns the exit code when it has ended. */
int run_configuration(struct slice text, const char *name);
