/* SPDX-License-Identifier: Apache-2.0 */
/* weir fmt: the house's layout for configurations. */
#include "cli/config_args.h"
#include "control/config_fmt.h"
#include "fiber/file.h"

#include <stdio.h>
#include <unistd.h>

static const char USAGE[] =
    "usage: weir fmt [-w|--check] [--color=WHEN] FILE...\n"
    "\n"
    "Lays configurations out: four blanks a level, one statement a line. Comments stay.\n"
    "\n"
    "  -w, --write  put the result into the file; else it is printed\n"
    "  --check      print the names of files that would change (then exit 1)\n";

struct fmt_options {
    bool write, check, with_colour;
};

static int save(const char *path, struct slice text)
{
    const char *why = "";
    if (file_rewrite(path, text, &why) == OK)
        return EXIT_DONE;
    fprintf(stderr, "weir fmt: cannot write %s: %s\n", path, why);
    return EXIT_FAILED;
}

static int format_file(const struct fmt_options *options, const char *path, struct arena *arena)
{
    bool is_stdin = strcmp(path, "-") == 0;
    const char *why = "";
    struct config_errors errors;
    struct config_file file = {.name = slice_from_cstring(is_stdin ? "(standard input)" : path)};
    file.path = file.name;
    config_errors_init(&errors, arena);
    if (file_read(is_stdin ? "/dev/stdin" : path, CONFIG_FILE_MAX, arena, &file.text, &why) != OK) {
        fprintf(stderr, "weir fmt: cannot read %s: %s\n", path, why);
        return EXIT_FAILED;
    }
    struct buffer out = buffer_in(arena, file.text.size + 1024);
    if (!config_fmt(&file, arena, &errors, &out)) {
        cli_show_errors(&errors, options->with_colour, file.name);
        return EXIT_CONFIG;
    }
    bool is_same = slice_equal(buffer_slice(&out), file.text);
    if (options->check) {
        if (!is_same)
            printf("%s\n", path);
        return is_same ? EXIT_DONE : EXIT_FAILED;
    }
    if (options->write && !is_stdin)
        return is_same ? EXIT_DONE : save(path, buffer_slice(&out));
    cli_print(buffer_slice(&out));
    return EXIT_DONE;
}

int command_fmt(int argc, char **argv)
{
    struct fmt_options options = {0};
    const char *colour = NULL;
    const struct cli_option table[] = {
        {"-w", NULL, &options.write, NULL},
        {"--write", NULL, &options.write, NULL},
        {"--check", NULL, &options.check, NULL},
        {"--color", "WHEN", NULL, &colour},
        {0},
    };
    int count;
    int code = cli_options(argc, argv, table, USAGE, &count);
    if (code >= 0)
        return code;
    if (count == 0)
        return cli_usage_error("fmt", "which file? - is standard input");
    if (options.write && options.check)
        return cli_usage_error("fmt", "-w and --check exclude each other");
    if (!cli_colour(colour, STDERR_FILENO, &options.with_colour))
        return cli_usage_error("fmt", "--color is auto, always or never");
    code = EXIT_DONE;
    for (int i = 1; i <= count; i++) {
        struct arena arena;
        arena_init(&arena, NULL, 0);
        int result = format_file(&options, argv[i], &arena);
        arena_done(&arena);
        code = result > code ? result : code;
    }
    return code;
}
