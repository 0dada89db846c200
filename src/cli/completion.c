/* SPDX-License-Identifier: Apache-2.0 */
/* weir completion: what a shell has to know to complete words, from the commands' own tables. */
#include "cli/config_args.h"
#include "control/config_docs.h"

#include <stdio.h>

static const char USAGE[] =
    "usage: weir completion bash|zsh|fish\n"
    "\n"
    "Prints what a shell needs to complete words of weir:\n"
    "\n"
    "  bash  source <(weir completion bash), or into /usr/share/bash-completion/completions/weir\n"
    "  zsh   into a directory of $fpath, as _weir\n"
    "  fish  into ~/.config/fish/completions/weir.fish\n";

static void take_options(void *argument, const struct cli_option *options, const char *usage)
{
    struct buffer *out = argument;
    (void)usage;
    for (; options->name != NULL; options++)
        buffer_format(out, "%s%s%s", out->size > 0 ? " " : "", options->name,
                      options->word != NULL && options->name[1] == '-' ? "=" : "");
}

/* "get|history|diff" of "get|history|diff [N]" as words; empty where no such words come first. */
static void put_actions(const struct cli_command *command, struct buffer *out)
{
    struct slice text = slice_from_cstring(command->arguments);
    struct slice first = slice_first(text, slice_find(text, ' '));
    if (slice_find(first, '|') == first.size)
        return;
    for (size_t i = 0; i < first.size; i++)
        if (first.data[i] != '|' && (first.data[i] < 'a' || first.data[i] > 'z'))
            return;
    for (size_t i = 0; i < first.size; i++)
        buffer_append_byte(out, first.data[i] == '|' ? ' ' : first.data[i]);
    buffer_append_byte(out, ' ');
}

/* What may follow a command. */
static struct slice words_of(const struct cli_command *command, struct arena *arena)
{
    struct buffer actions = buffer_in(arena, 128);
    struct buffer options = buffer_in(arena, 256);
    put_actions(command, &actions);
    if (strcmp(command->name, "help") == 0) {
        const struct config_schema *schema = config_schema();
        for (size_t i = 0; cli_command(i) != NULL; i++)
            buffer_format(&actions, "%s ", cli_command(i)->name);
        for (size_t i = 0; i < schema->count; i++)
            buffer_format(&actions, "%s ", schema->keys[i]->name);
    }
    cli_collect(command->function, command->name, take_options, &options);
    buffer_append(&actions, buffer_slice(&options));
    buffer_format(&actions, "%s--help", options.size > 0 ? " " : "");
    return buffer_slice(&actions);
}

static void write_bash(struct arena *arena)
{
    printf("# bash completion for weir: weir completion bash\n"
           "_weir()\n{\n"
           "    local current=${COMP_WORDS[COMP_CWORD]} command= words= i\n"
           "    # Bash takes --name=value apart.\n"
           "    [[ $current == '=' ]] && current=\n"
           "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
           "        [[ ${COMP_WORDS[i]} != -* ]] && { command=${COMP_WORDS[i]}; break; }\n"
           "    done\n"
           "    case $command in\n    '') words='");
    for (size_t i = 0; cli_command(i) != NULL; i++)
        printf("%s%s", i == 0 ? "" : " ", cli_command(i)->name);
    printf("' ;;\n");
    for (size_t i = 0; cli_command(i) != NULL; i++) {
        const struct cli_command *command = cli_command(i);
        printf("    %s) words='%.*s' ;;\n", command->name, SLICE_ARG(words_of(command, arena)));
    }
    printf("    esac\n"
           "    COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
           "    [[ -n $command && $current != -* ]] && COMPREPLY+=($(compgen -f -- \"$current\"))\n"
           "    [[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null\n"
           "    return 0\n"
           "}\n"
           "complete -F _weir weir\n");
}

/* Single quotes end the text in every shell. */
static struct slice quoted(const char *text, struct arena *arena)
{
    struct buffer out = buffer_in(arena, 128);
    for (; *text != '\0'; text++)
        buffer_append(&out, *text == '\'' ? SLICE("'\\''") : slice_of(text, 1));
    return buffer_slice(&out);
}

static void write_zsh(struct arena *arena)
{
    printf("#compdef weir\n# zsh completion for weir: weir completion zsh\n"
           "_weir()\n{\n    local -a commands\n    commands=(\n");
    for (size_t i = 0; cli_command(i) != NULL; i++)
        printf("        '%s:%.*s'\n", cli_command(i)->name,
               SLICE_ARG(quoted(cli_command(i)->sentence, arena)));
    printf("    )\n    if ((CURRENT == 2)); then\n        _describe command commands\n"
           "        return\n    fi\n    case ${words[2]} in\n");
    for (size_t i = 0; cli_command(i) != NULL; i++) {
        const struct cli_command *command = cli_command(i);
        printf("    %s) compadd -- %.*s ;;\n", command->name, SLICE_ARG(words_of(command, arena)));
    }
    printf("    esac\n    _files\n}\n"
           "if [[ ${zsh_eval_context[-1]} == loadautofunc ]]; then\n    _weir \"$@\"\nelse\n"
           "    compdef _weir weir\nfi\n");
}

struct fish_out {
    const char *command;
};

static void fish_options(void *argument, const struct cli_option *options, const char *usage)
{
    const struct fish_out *out = argument;
    (void)usage;
    for (; options->name != NULL; options++) {
        bool is_long = options->name[1] == '-';
        printf("complete -c weir -n '__fish_seen_subcommand_from %s' %s %s%s\n", out->command,
               is_long ? "-l" : "-s", options->name + (is_long ? 2 : 1),
               options->word != NULL ? " -r" : "");
    }
}

static void write_fish(struct arena *arena)
{
    printf("# fish completion for weir: weir completion fish\n");
    for (size_t i = 0; cli_command(i) != NULL; i++)
        printf("complete -c weir -n __fish_use_subcommand -f -a %s -d '%.*s'\n",
               cli_command(i)->name, SLICE_ARG(quoted(cli_command(i)->sentence, arena)));
    for (size_t i = 0; cli_command(i) != NULL; i++) {
        struct buffer actions = buffer_in(arena, 128);
        struct fish_out out = {cli_command(i)->name};
        put_actions(cli_command(i), &actions);
        if (actions.size > 0)
            printf("complete -c weir -n '__fish_seen_subcommand_from %s' -f -a '%.*s'\n",
                   out.command, (int)actions.size - 1, actions.data);
        cli_collect(cli_command(i)->function, out.command, fish_options, &out);
    }
}

int command_completion(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*write)(struct arena *arena);
    } SHELLS[] = {{"bash", write_bash}, {"zsh", write_zsh}, {"fish", write_fish}};
    const struct cli_option table[] = {{0}};
    int count;
    int code = cli_options(argc, argv, table, USAGE, &count);
    if (code >= 0)
        return code;
    for (size_t i = 0; count == 1 && i < sizeof SHELLS / sizeof *SHELLS; i++) {
        struct arena arena;
        if (strcmp(SHELLS[i].name, argv[1]) != 0)
            continue;
        arena_init(&arena, NULL, 0);
        SHELLS[i].write(&arena);
        arena_done(&arena);
        return EXIT_DONE;
    }
    return cli_usage_error("completion", "bash, zsh or fish?");
}
