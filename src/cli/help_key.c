/* SPDX-License-Identifier: Apache-2.0 */
/* weir help KEY: what a word of the configuration means. */
#include "cli/config_args.h"
#include "cli/config_commands.h"
#include "control/config_docs.h"

#include <stdio.h>

static const char USAGE[] =
    "usage: weir help [COMMAND|KEY|CODE]\n"
    "\n"
    "Explains a command, or a key, an option or an error code of the configuration.\n"
    "weir schema --keys lists the keys.\n";

static int not_found(const char *verb, struct slice word)
{
    const struct config_schema *schema = config_schema();
    struct config_suggest suggest = config_suggest_start(word);
    for (size_t i = 0; i < schema->count; i++) {
        config_suggest_try(&suggest, slice_from_cstring(schema->keys[i]->name));
        for (size_t j = 0; j < config_options_count(schema->keys[i]->options); j++)
            config_suggest_try(&suggest, slice_from_cstring(schema->keys[i]->options[j].name));
    }
    fprintf(stderr, "weir %s: no command, key, option or code named \"%.*s\"\n", verb,
            SLICE_ARG(word));
    if (suggest.best.size > 0)
        fprintf(stderr, "hint: did you mean %.*s?\n", SLICE_ARG(suggest.best));
    else
        fprintf(stderr, "hint: weir schema --keys lists all\n");
    return EXIT_FAILED;
}

bool help_is_key(const char *name)
{
    const struct config_schema *schema = config_schema();
    for (size_t i = 0; i < schema->count; i++)
        if (strcmp(schema->keys[i]->name, name) == 0)
            return true;
    return false;
}

int command_help_key(int argc, char **argv)
{
    const struct cli_option table[] = {{0}};
    int count;
    int code = cli_options(argc, argv, table, USAGE, &count);
    if (code >= 0)
        return code;
    if (count != 1)
        return cli_usage_error(argv[0], "which key?");
    struct arena arena;
    arena_init(&arena, NULL, 0);
    struct buffer out = buffer_in(&arena, 4096);
    struct slice word = slice_from_cstring(argv[1]);
    code = EXIT_DONE;
    if (config_docs_help(config_schema(), word, &out))
        cli_print(buffer_slice(&out));
    else
        code = not_found(argv[0], word);
    arena_done(&arena);
    return code;
}
