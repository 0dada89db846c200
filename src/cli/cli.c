/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <stdarg.h>
#include <stdio.h>

static const struct cli_command COMMANDS[] = {
#define COMMAND(name, function, usage, sentence) {name, function, usage, sentence},
#include "cli/commands.def"
#undef COMMAND
};

/* Set while a command is asked what it knows. */
static struct {
    cli_collector *collector;
    void *argument;
} collecting;

const struct cli_command *cli_command(size_t index)
{
    return index < sizeof COMMANDS / sizeof *COMMANDS ? &COMMANDS[index] : NULL;
}

void cli_collect(command_function *command, const char *name, cli_collector *collector,
                 void *argument)
{
    char word[32];
    char *argv[] = {word, NULL};
    snprintf(word, sizeof word, "%s", name);
    collecting.collector = collector;
    collecting.argument = argument;
    (void)command(1, argv); /* ends where it reads its options */
    collecting.collector = NULL;
}

int cli_usage_error(const char *command, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "weir %s: ", command);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    for (size_t i = 0; i < sizeof COMMANDS / sizeof *COMMANDS; i++)
        if (strcmp(COMMANDS[i].name, command) == 0)
            fprintf(stderr, "usage: weir %s %s\n", command, COMMANDS[i].arguments);
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
    if (collecting.collector != NULL) {
        collecting.collector(collecting.argument, options, usage);
        return EXIT_DONE;
    }
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
