/* SPDX-License-Identifier: Apache-2.0 */
/* weir explain: what becomes of a request, and why. */
#include "control/explain.h"
#include "cli/admin_client.h"
#include "cli/config_args.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    FIELDS_MAX = 32,
};

static const char USAGE[] =
    "usage: weir explain [OPTIONS] [METHOD] URL\n"
    "\n"
    "Says which site, route and steps of a configuration a request meets, and why. Nothing is "
    "sent.\n"
    "\n"
    "  -H 'NAME: VALUE'  a field of the request; may be given several times\n"
    "  --client=ADDRESS  who asks; 127.0.0.1 when it is left out\n"
    "  --config=FILE     the configuration, when it is not found by itself\n"
    "  --running         of the weir that runs, not of a file\n" ADMIN_USAGE "\n"
    "Exit codes: 0 it has a route, 1 it is refused, 2 wrong command line, 69 no weir runs,\n"
    "77 not permitted, 78 the configuration is not usable.\n";

struct explain_options {
    struct admin_client client;
    struct slice fields[FIELDS_MAX];
    size_t fields_count;
    const char *config, *from;
    bool is_running;
};

static void show_routes(const struct json_value *list, const char *what)
{
    if (list == NULL || list->children == NULL)
        return;
    printf("          %s", what);
    for (const struct json_value *r = list->children; r != NULL; r = r->next) {
        struct slice pattern = admin_text(r, "pattern");
        struct slice at = admin_text(r, "at");
        printf("%s%.*s (%.*s)", r == list->children ? "" : ", ", SLICE_ARG(pattern), SLICE_ARG(at));
    }
    printf("\n");
}

static void show_place(const char *what, struct slice name, const struct json_value *of)
{
    struct slice at = admin_text(of, "at");
    struct slice why = admin_text(of, "why");
    printf("%-9s %-32.*s  %.*s%s%.*s\n", what, SLICE_ARG(name), SLICE_ARG(at),
           why.size > 0 ? "   " : "", SLICE_ARG(why));
}

static int show(const struct json_value *e)
{
    const struct json_value *route = admin_member(e, "route");
    const struct json_value *site = admin_member(e, "site");
    const struct json_value *steps = admin_member(e, "steps");
    struct slice trouble = admin_text(e, "trouble");
    if (trouble.size > 0) {
        fprintf(stderr, "weir explain: %.*s\n", SLICE_ARG(trouble));
        return EXIT_FAILED;
    }
    printf("%-9s %.*s\n", "listener", SLICE_ARG(admin_text(e, "listener")));
    if (site != NULL)
        show_place("site", admin_text(site, "name"), site);
    if (admin_text(e, "path").size > 0)
        printf("%-9s %.*s\n", "path", SLICE_ARG(admin_text(e, "path")));
    if (route != NULL)
        show_place("route", admin_text(route, "pattern"), route);
    show_routes(admin_member(e, "also"), "also matched: ");
    show_routes(admin_member(e, "unmet"), "a condition fails: ");
    for (const struct json_value *s = steps == NULL ? NULL : steps->children; s != NULL;
         s = s->next) {
        show_place(s->next == NULL ? "answer" : "step", admin_text(s, "name"), s);
        if (admin_text(s, "says").size > 0)
            printf("          %.*s\n", SLICE_ARG(admin_text(s, "says")));
    }
    if (route == NULL)
        printf("%-9s %lld %.*s\n", "refused", (long long)admin_number(e, "status"),
               SLICE_ARG(admin_text(e, "reason")));
    return route == NULL ? EXIT_FAILED : EXIT_DONE;
}

/* Text of JSON to the command's end: as it is, or in words. */
static int conclude(struct explain_options *options, struct slice text)
{
    struct json_value value = {0};
    struct arena *arena = &options->client.arena;
    if (!admin_read_json(arena, text, &value)) {
        fprintf(stderr, "weir explain: the answer is no JSON\n");
        return EXIT_FAILED;
    }
    if (!options->client.json)
        return show(&value);
    cli_print(text);
    return admin_member(&value, "route") == NULL ? EXIT_FAILED : EXIT_DONE;
}

static int explain_file(struct explain_options *options, struct explain_question *question)
{
    struct arena *arena = &options->client.arena;
    struct config_errors errors;
    const char *path = cli_config_path(NULL, options->config);
    if (path == NULL)
        return EXIT_CONFIG;
    struct config_request request = {.path = slice_from_cstring(path)};
    config_errors_init(&errors, arena);
    const struct config *config = config_load(&request, arena, &errors);
    struct snapshot *snapshot = errors.errors > 0 ? NULL : snapshot_to_look_at(config, &errors);
    if (snapshot == NULL) {
        bool with_colour = false;
        (void)cli_colour(NULL, STDERR_FILENO, &with_colour);
        cli_show_errors(&errors, with_colour, config->file->name);
        return EXIT_CONFIG;
    }
    struct explanation explanation;
    struct buffer out = buffer_in(arena, 1024);
    explain(snapshot, question, arena, &explanation);
    explain_write(&explanation, &out);
    snapshot_free(snapshot);
    return conclude(options, buffer_slice(&out));
}

static int explain_running(struct explain_options *options, const struct explain_question *question,
                           const char *from)
{
    struct admin_client *client = &options->client;
    struct admin_reply reply;
    struct buffer path = buffer_in(&client->arena, 512);
    buffer_format(&path, "/v1/explain?method=%.*s&url=%.*s&client=%s",
                  SLICE_ARG(admin_escape(client, question->method)),
                  SLICE_ARG(admin_escape(client, question->url)), from);
    for (size_t i = 0; i < question->fields_count; i++)
        buffer_format(&path, "&field=%.*s", SLICE_ARG(admin_escape(client, question->fields[i])));
    struct admin_question asked = {.method = "GET", .path = buffer_slice(&path)};
    int code = admin_ask(client, &asked, &reply);
    return code == EXIT_DONE ? conclude(options, reply.body) : code;
}

/* -H may stand several times, which is no option of the common kind. Takes them out of argv. */
static bool take_fields(int *argc, char **argv, struct explain_options *options)
{
    int kept = 1;
    for (int i = 1; i < *argc; i++) {
        if (strcmp(argv[i], "-H") != 0) {
            argv[kept++] = argv[i];
            continue;
        }
        if (i + 1 == *argc || options->fields_count == FIELDS_MAX)
            return false;
        options->fields[options->fields_count++] = slice_from_cstring(argv[++i]);
    }
    *argc = kept;
    return true;
}

/* Not inlined: the frame of its caller would hold both. */
__attribute__((noinline)) static int run(struct explain_options *options, int count, char **argv)
{
    const char *from = options->from == NULL ? "127.0.0.1" : options->from;
    struct explain_question question = {
        .method = count == 2 ? slice_from_cstring(argv[1]) : SLICE("GET"),
        .url = slice_from_cstring(argv[count]),
        .fields = options->fields,
        .fields_count = options->fields_count,
    };
    if (!address_parse_ip(slice_from_cstring(from), &question.client))
        return cli_usage_error("explain", "\"%s\" is no address", from);
    return options->is_running || options->client.address != NULL
               ? explain_running(options, &question, from)
               : explain_file(options, &question);
}

int command_explain(int argc, char **argv)
{
    struct explain_options options = {0};
    int count;
    admin_client_init(&options.client);
    const struct cli_option table[] = {
        ADMIN_OPTIONS(options.client),
        {"--config", "FILE", NULL, &options.config},
        {"-c", "FILE", NULL, &options.config},
        {"--client", "ADDRESS", NULL, &options.from},
        {"--running", NULL, &options.is_running, NULL},
        {0},
    };
    int code =
        take_fields(&argc, argv, &options)
            ? cli_options(argc, argv, table, USAGE, &count)
            : cli_usage_error("explain", "-H needs a field, and there may be %d", FIELDS_MAX);
    if (code < 0 && (count < 1 || count > 2))
        code = cli_usage_error("explain", "takes a method and a URL");
    if (code < 0)
        code = run(&options, count, argv);
    return admin_client_end(&options.client, code);
}
