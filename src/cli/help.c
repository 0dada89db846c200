/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include "cli/config_commands.h"

#include <stdio.h>

static const struct {
    const char *name;
    command_function *function;
    const char *sentence;
} COMMANDS[] = {
#define COMMAND(name, function, usage, sentence) {name, function, sentence},
#include "cli/commands.def"
#undef COMMAND
};

static const char HELP_USAGE[] = "usage: weir help [COMMAND|KEY|CODE]\n"
                                 "\n"
                                 "Explains a command, or a key, an option or an error code of the "
                                 "configuration.\n";

static int list(void)
{
    printf("weir: a reverse proxy\n\nusage: weir COMMAND [ARGUMENTS]\n\n");
    for (size_t i = 0; i < sizeof COMMANDS / sizeof *COMMANDS; i++)
        printf("  %-11s %s\n", COMMANDS[i].name, COMMANDS[i].sentence);
    printf(
        "\nweir help COMMAND, weir help KEY (of the configuration), weir help CODE (of an error)\n"
        "Without a command: serve the configuration that is found, else the demo.\n");
    return EXIT_DONE;
}

/* A command explains itself when it is asked for --help. */
static int about_command(command_function *function, const char *name)
{
    char words[2][16];
    char *argv[] = {words[0], words[1], NULL};
    snprintf(words[0], sizeof words[0], "%s", name);
    snprintf(words[1], sizeof words[1], "--help");
    return function(2, argv);
}

int command_help(int argc, char **argv)
{
    int count;
    if (argc == 1) { /* asked what it knows, it says so */
        static const struct cli_option NONE[] = {{0}};
        int code = cli_options(argc, argv, NONE, HELP_USAGE, &count);
        if (code >= 0)
            return code;
    }
    if (argc == 1)
        return list();
    for (size_t i = 0; i < sizeof COMMANDS / sizeof *COMMANDS; i++) {
        if (argc != 2 || strcmp(COMMANDS[i].name, argv[1]) != 0)
            continue;
        int code = about_command(COMMANDS[i].function, argv[1]);
        if (code == EXIT_DONE && help_is_key(argv[1])) {
            printf("\n%s is a key of the configuration too:\n\n", argv[1]);
            code = command_help_key(argc, argv);
        }
        return code;
    }
    return command_help_key(argc, argv);
}
