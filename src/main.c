/* SPDX-License-Identifier: Apache-2.0 */
/* weir: a reverse proxy. What follows the program's name is a command; cli/ has a file for each. */
#include "cli/config_args.h"
#include "control/config_error.h"
#include "net/tls_memory.h"

#include <stdio.h>
#include <unistd.h>

static const struct {
    const char *name;
    command_function *function;
} COMMANDS[] = {
#define COMMAND(name, function, usage, sentence) {name, function},
#include "cli/commands.def"
#undef COMMAND
};

/* The command that is at most two letters away; NULL: none. */
static const char *nearest(const char *name)
{
    const char *best = NULL;
    size_t least = 3;
    for (size_t i = 0; i < sizeof COMMANDS / sizeof *COMMANDS; i++) {
        size_t distance =
            config_distance(slice_from_cstring(name), slice_from_cstring(COMMANDS[i].name));
        if (distance < least) {
            least = distance;
            best = COMMANDS[i].name;
        }
    }
    return best;
}

/* Alone on a terminal and without a configuration, weir shows what it can do. */
static int run_or_demo(char **argv)
{
    if (cli_find_configuration() == NULL && isatty(1)) {
        fprintf(stderr, "No configuration found (looked in $WEIR_CONFIG, ./weir.conf and "
                        "/etc/weir/weir.conf). Starting the demo.\n");
        return command_demo(1, argv);
    }
    return command_run(1, argv);
}

int main(int argc, char **argv)
{
    tls_memory_prepare();
    if (argc == 1)
        return run_or_demo(argv);
    const char *name = argv[1];
    static char run[] = "run";
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        name = "help";
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0)
        name = "version";
    if (strcmp(name, "--config") == 0 || strcmp(name, "-c") == 0) {
        argv[0] = run;
        return command_run(argc, argv);
    }
    for (size_t i = 0; i < sizeof COMMANDS / sizeof *COMMANDS; i++)
        if (strcmp(COMMANDS[i].name, name) == 0)
            return COMMANDS[i].function(argc - 1, argv + 1);
    const char *near = nearest(name);
    fprintf(stderr, "weir: no command \"%s\"%s%s%s; `weir help` lists them\n", name,
            near == NULL ? "" : "; did you mean \"", near == NULL ? "" : near,
            near == NULL ? "" : "\"?");
    return EXIT_USAGE;
}
