/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <stdarg.h>
#include <stdio.h>

static const struct {
    const char *name;
    const char *usage;
} USAGES[] = {
#define COMMAND(name, function, usage, sentence) {name, usage},
#include "cli/commands.def"
#undef COMMAND
};

int cli_usage(const char *command, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "weir %s: ", command);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    for (size_t i = 0; i < sizeof USAGES / sizeof *USAGES; i++)
        if (strcmp(USAGES[i].name, command) == 0)
            fprintf(stderr, "usage: weir %s %s\n", command, USAGES[i].usage);
    return EXIT_USAGE;
}
