/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/config_args.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int cli_usage_error(const char *verb, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "weir %s: ", verb);
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\nhint: weir %s --help\n", verb);
    va_end(arguments);
    return EXIT_USAGE;
}

static const struct cli_option *option_find(const struct cli_option *options, struct slice name)
{
    for (; options->name != NULL; options++)
        if (slice_equal(slice_from_cstring(options->name), name))
            return options;
    return NULL;
}

/* Applies one option; `next` is the word behind it. Returns how many words it took, 0: an error
 * was printed. */
static int apply(const char *verb, const struct cli_option *options, char *word, char *next)
{
    struct slice text = slice_from_cstring(word);
    size_t equals = slice_find(text, '=');
    const struct cli_option *option = option_find(options, slice_first(text, equals));
    bool has_value = equals < text.size;
    if (option == NULL) {
        cli_usage_error(verb, "unknown option %.*s", (int)equals, word);
        return 0;
    }
    if (option->is_set != NULL)
        *option->is_set = true;
    if (option->word == NULL) {
        if (has_value)
            cli_usage_error(verb, "%s takes no value", option->name);
        return has_value ? 0 : 1;
    }
    if (!has_value && next == NULL) {
        cli_usage_error(verb, "%s needs a value: %s=%s", option->name, option->name, option->word);
        return 0;
    }
    *option->value = has_value ? word + equals + 1 : next;
    return has_value ? 1 : 2;
}

int cli_options(int argc, char **argv, const struct cli_option *options, const char *usage,
                int *count)
{
    bool is_operand = false;
    *count = 0;
    for (int i = 1; i < argc;) {
        bool is_option = !is_operand && argv[i][0] == '-' && argv[i][1] != '\0';
        if (!is_option) {
            argv[++*count] = argv[i++];
            continue;
        }
        if (strcmp(argv[i], "--") == 0) {
            is_operand = true;
            i++;
            continue;
        }
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            printf("%s", usage);
            return EXIT_DONE;
        }
        int taken = apply(argv[0], options, argv[i], i + 1 < argc ? argv[i + 1] : NULL);
        if (taken == 0)
            return EXIT_USAGE;
        i += taken;
    }
    return -1;
}

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

const char *cli_config_path(const char *operand, const char *option, struct arena *arena)
{
    static const char *const PLACES[] = {"weir.conf", "/etc/weir/weir.conf"};
    const char *set = getenv("WEIR_CONFIG");
    if (operand != NULL || option != NULL)
        return operand != NULL ? operand : option;
    if (set != NULL && set[0] != '\0')
        return set;
    for (size_t i = 0; i < sizeof(PLACES) / sizeof(PLACES[0]); i++) {
        struct slice text;
        const char *why;
        if (CONFIG_SYSTEM.read(PLACES[i], CONFIG_FILE_MAX, arena, &text, &why) != ERR_UNREACHABLE)
            return PLACES[i];
    }
    fprintf(stderr, "weir: no configuration: looked for ./weir.conf and /etc/weir/weir.conf\n");
    return NULL;
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
