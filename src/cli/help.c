/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include "cli/config_commands.h"

#include <stdio.h>

static const struct {
    const char *name, *usage, *sentence;
} COMMANDS[] = {
#define COMMAND(name, function, usage, sentence) {name, usage, sentence},
#include "cli/commands.def"
#undef COMMAND
};

static int list(void)
{
    printf("weir: a reverse proxy\n\nusage: weir COMMAND [ARGUMENTS]\n\n");
    for (size_t i = 0; i < sizeof COMMANDS / sizeof *COMMANDS; i++)
        printf("  %-9s %s\n", COMMANDS[i].name, COMMANDS[i].sentence);
    printf(
        "\nweir help COMMAND, weir help KEY (of the configuration), weir help CODE (of an error)\n"
        "Without a command: serve the configuration that is found, else the demo.\n");
    return EXIT_DONE;
}

int command_help(int argc, char **argv)
{
    if (argc == 1)
        return list();
    for (size_t i = 0; i < sizeof COMMANDS / sizeof *COMMANDS; i++) {
        if (argc != 2 || strcmp(COMMANDS[i].name, argv[1]) != 0)
            continue;
        printf("usage: weir %s %s\n\n%s\n", COMMANDS[i].name, COMMANDS[i].usage,
               COMMANDS[i].sentence);
        return EXIT_DONE;
    }
    return command_help_key(argc, argv);
}
