/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/config_args.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

bool cli_colour(const char *word, int fd, bool *with_colour)
{
    *with_colour = false;
    if (word == NULL || strcmp(word, "auto") == 0) {
        const char *refused = getenv("NO_COLOR");
        *with_colour = isatty(fd) && (refused == NULL || refused[0] == '\0');
        return true;
    }
    *with_colour = strcmp(word, "always") == 0;
    return *with_colour || strcmp(word, "never") == 0;
}

const char *cli_find_configuration(void)
{
    static const char *const PLACES[] = {"weir.conf", "/etc/weir/weir.conf", NULL};
    const char *named = getenv("WEIR_CONFIG");
    if (named != NULL && named[0] != '\0')
        return named;
    for (size_t i = 0; PLACES[i] != NULL; i++)
        if (access(PLACES[i], F_OK) == 0)
            return PLACES[i];
    return NULL;
}

const char *cli_config_path(const char *operand, const char *option)
{
    const char *path = operand != NULL ? operand : option;
    if (path == NULL)
        path = cli_find_configuration();
    if (path == NULL)
        fprintf(stderr, "weir: no configuration: looked in $WEIR_CONFIG, ./weir.conf and "
                        "/etc/weir/weir.conf; `weir demo` starts a demo\n");
    return path;
}

void cli_show_errors(const struct config_errors *errors, bool with_colour, struct slice name)
{
    struct buffer out = buffer_in(errors->arena, 1024);
    config_errors_render(errors, with_colour, &out);
    if (errors->errors > 0)
        buffer_format(&out, "\n%.*s: %zu error%s\n", SLICE_ARG(name), errors->errors,
                      errors->errors == 1 ? "" : "s");
    (void)fwrite(out.data, 1, out.size, stderr);
}

void cli_print(struct slice text)
{
    (void)fwrite(text.data, 1, text.size, stdout);
}
