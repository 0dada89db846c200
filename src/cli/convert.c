/* SPDX-License-Identifier: Apache-2.0 */
/* weir convert: a configuration from text to JSON and back. */
#include "cli/config_args.h"
#include "control/config_json.h"

#include <unistd.h>

static const char USAGE[] =
    "usage: weir convert [--from=FORM] [--to=FORM] [--config=FILE] [--color=WHEN] [FILE|-]\n"
    "\n"
    "Prints a configuration in another form: json or conf. Files that it includes and snippets\n"
    "that it uses are written out; comments and the spelling of ${VARIABLES} are not kept.\n"
    "\n"
    "  --from=FORM  of the file; by default json for names that end in .json, else conf\n"
    "  --to=FORM    of the result; by default the other one\n";

static bool form_of(const char *word, bool *is_json)
{
    *is_json = strcmp(word, "json") == 0;
    return *is_json || strcmp(word, "conf") == 0;
}

static int convert(const struct config_request *request, bool to_json, bool with_colour,
                   struct arena *arena)
{
    struct config_errors errors;
    config_errors_init(&errors, arena);
    const struct config *config = config_load(request, arena, &errors);
    if (errors.errors > 0) {
        cli_show_errors(&errors, with_colour, config->file->name);
        return EXIT_CONFIG;
    }
    struct buffer out = buffer_in(arena, 4096);
    if (to_json)
        config_json_write(config_schema(), config->root, &out);
    else
        config_text_write(config->root, &out);
    cli_print(buffer_slice(&out));
    return EXIT_DONE;
}

int command_convert(int argc, char **argv)
{
    const char *from = NULL, *to = NULL, *file = NULL, *colour = NULL;
    const struct cli_option table[] = {
        {"--from", "json|conf", NULL, &from}, {"--to", "json|conf", NULL, &to},
        {"--config", "FILE", NULL, &file},    {"-c", "FILE", NULL, &file},
        {"--color", "WHEN", NULL, &colour},   {0},
    };
    int count;
    bool from_json = false, to_json = false, with_colour;
    int code = cli_options(argc, argv, table, USAGE, &count);
    if (code >= 0)
        return code;
    if (count > 1)
        return cli_usage_error("convert", "one file at a time");
    if (!cli_colour(colour, STDERR_FILENO, &with_colour))
        return cli_usage_error("convert", "--color is auto, always or never");
    struct arena arena;
    arena_init(&arena, NULL, 0);
    const char *path = cli_config_path(count == 1 ? argv[1] : NULL, file);
    if (path == NULL) {
        arena_done(&arena);
        return EXIT_CONFIG;
    }
    struct config_request request = {.path = slice_from_cstring(path)};
    from_json = slice_ends(request.path, SLICE(".json"));
    bool is_good = from == NULL || form_of(from, &from_json);
    to_json = !from_json;
    is_good = is_good && (to == NULL || form_of(to, &to_json));
    request.is_json = from_json;
    code = is_good ? convert(&request, to_json, with_colour, &arena)
                   : cli_usage_error("convert", "a form is json or conf");
    arena_done(&arena);
    return code;
}
