/* SPDX-License-Identifier: Apache-2.0 */
/* weir check: everything that is wrong with a configuration, without running it. */
#include "cli/config_args.h"
#include "control/snapshot.h"

#include <stdio.h>
#include <unistd.h>

static const char USAGE[] =
    "usage: weir check [OPTIONS] [FILE|-]\n"
    "\n"
    "Checks a configuration and shows every mistake at once.\n"
    "\n"
    "  --config=FILE    the configuration, when it is not an operand\n"
    "  --no-files       do not look at the files that it names\n"
    "  --no-names       do not ask whether the names of servers resolve\n"
    "  --strict         warnings are a failure too (exit 1)\n"
    "  --json           the result as one JSON object on stdout\n"
    "  --format=github  mistakes as annotations of a GitHub workflow, on stdout\n"
    "  --color=WHEN     auto, always or never\n"
    "\n"
    "Exit codes: 0 usable, 1 only warnings and --strict, 2 wrong command line, 78 not usable.\n";

static const char *plural(size_t count)
{
    return count == 1 ? "" : "s";
}

static void print_summary(const struct config *config, struct slice name)
{
    printf("%.*s: ok (%zu site%s, %zu route%s, %zu upstream%s)\n", SLICE_ARG(name),
           config->sites_count, plural(config->sites_count), config->routes_count,
           plural(config->routes_count), config->upstreams_count, plural(config->upstreams_count));
}

static void print_json(const struct config *config, const struct config_errors *errors,
                       struct slice name)
{
    struct buffer out = buffer_in(errors->arena, 1024);
    buffer_append(&out, SLICE("{\"file\":"));
    config_json_string(&out, name);
    buffer_format(&out, ",\"ok\":%s", errors->errors == 0 ? "true" : "false");
    buffer_format(&out, ",\"sites\":%zu,\"routes\":%zu,\"upstreams\":%zu", config->sites_count,
                  config->routes_count, config->upstreams_count);
    buffer_format(&out, ",\"error_count\":%zu,\"warning_count\":%zu,\"errors\":", errors->errors,
                  errors->warnings);
    config_errors_render_json(errors, &out);
    buffer_append(&out, SLICE("}\n"));
    cli_print(buffer_slice(&out));
}

/* The service reads a line up to its end; what it must not see inside is written as %XX. */
static void append_escaped(struct buffer *out, struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        char byte = text.data[i];
        bool is_special = byte == '%' || byte == '\n' || byte == '\r';
        if (is_special)
            buffer_format(out, "%%%02X", (unsigned char)byte);
        else
            buffer_append_byte(out, byte);
    }
}

static void print_github(const struct config_errors *errors)
{
    struct buffer out = buffer_in(errors->arena, 1024);
    for (size_t i = 0; i < errors->count; i++) {
        const struct config_error *error = &errors->items[i];
        buffer_append(&out, config_code_is_warning(error->code) ? SLICE("::warning ")
                                                                : SLICE("::error "));
        if (error->place.file != NULL) {
            buffer_append(&out, SLICE("file="));
            append_escaped(&out, error->place.file->name);
            buffer_format(&out, ",line=%u,col=%u,", error->place.line, error->place.column);
        }
        buffer_format(&out, "title=%s::", config_code_name(error->code));
        append_escaped(&out, error->message);
        if (error->note.size > 0) {
            buffer_append(&out, SLICE(": "));
            append_escaped(&out, error->note);
        }
        buffer_append_byte(&out, '\n');
    }
    cli_print(buffer_slice(&out));
}

struct check_options {
    bool no_files, no_names, strict, json;
    const char *config, *format, *colour;
};

static int check(const struct check_options *options, const char *path, struct arena *arena)
{
    struct config_errors errors;
    bool with_colour = false;
    struct config_request request = {
        .path = slice_from_cstring(path),
        .check_files = !options->no_files,
    };
    if (!cli_colour(options->colour, STDERR_FILENO, &with_colour))
        return cli_usage_error("check", "--color is auto, always or never");
    config_errors_init(&errors, arena);
    const struct config *config = config_load(&request, arena, &errors);
    if (errors.errors == 0)
        snapshot_check(config, options->no_files, options->no_names, &errors);
    struct slice name = config->file->name;
    if (options->json)
        print_json(config, &errors, name);
    else if (options->format != NULL)
        print_github(&errors);
    else if (errors.errors == 0)
        print_summary(config, name);
    if (!options->json && options->format == NULL)
        cli_show_errors(&errors, with_colour, name);
    if (errors.errors > 0)
        return EXIT_CONFIG;
    return options->strict && errors.warnings > 0 ? EXIT_FAILED : EXIT_DONE;
}

int command_check(int argc, char **argv)
{
    struct check_options options = {0};
    const struct cli_option table[] = {
        {"--config", "FILE", NULL, &options.config},
        {"-c", "FILE", NULL, &options.config},
        {"--no-files", NULL, &options.no_files, NULL},
        {"--no-names", NULL, &options.no_names, NULL},
        {"--strict", NULL, &options.strict, NULL},
        {"--json", NULL, &options.json, NULL},
        {"--format", "github", NULL, &options.format},
        {"--color", "WHEN", NULL, &options.colour},
        {0},
    };
    int count;
    int code = cli_options(argc, argv, table, USAGE, &count);
    if (code >= 0)
        return code;
    if (count > 1)
        return cli_usage_error("check", "one file at a time");
    if (options.format != NULL && strcmp(options.format, "github") != 0)
        return cli_usage_error("check", "--format is github");
    struct arena arena;
    arena_init(&arena, NULL, 0);
    const char *path = cli_config_path(count == 1 ? argv[1] : NULL, options.config);
    code = path == NULL ? EXIT_CONFIG : check(&options, path, &arena);
    arena_done(&arena);
    return code;
}
