/* SPDX-License-Identifier: Apache-2.0 */
/* weir test: requests and what a configuration is expected to do with them, without running it. */
#include "cli/config_args.h"
#include "control/config_text.h"
#include "control/explain.h"

#include <stdio.h>
#include <unistd.h>

enum {
    FIELDS_MAX = 32,
    URL_ARGUMENTS = 2, /* a method, and the URL */
};

static const char USAGE[] =
    "usage: weir test [OPTIONS] FILE\n"
    "\n"
    "Runs the tests of a file against a configuration, without running it or sending anything. In\n"
    "the language of configurations:\n"
    "\n"
    "  config weir.conf                      relative to this file; else --config, or what is "
    "found\n"
    "  test \"products are cached\" {\n"
    "      request GET https://example.com/api/products/7\n"
    "      field \"X-Beta: yes\"               may stand several times\n"
    "      client 192.0.2.7                  127.0.0.1 when it is left out\n"
    "      expect site example.com\n"
    "      expect route /api/products/*\n"
    "      expect step cache                 also: no_step, answer, path, listener\n"
    "  }\n"
    "  test \"nothing else\" {\n"
    "      request https://example.com/../x\n"
    "      expect refused 400                without a status: any refusal\n"
    "  }\n"
    "\n"
    "What steps decide at the time (limits, passwords, caches) and servers is not tested.\n"
    "\n"
    "  --config=FILE  the configuration\n"
    "  --json         the result as one JSON object\n"
    "\n"
    "Exit codes: 0 all pass, 1 one fails, 2 wrong command line, 78 the file or the configuration "
    "is\n"
    "not usable.\n";

struct run {
    struct arena *arena;
    struct snapshot *snapshot;
    struct buffer *json; /* NULL: for people */
    size_t passed, failed;
    bool is_broken; /* a line cannot be understood */
};

/* What one test asks, as far as it was read. */
struct asked {
    struct explain_question question;
    struct slice fields[FIELDS_MAX];
    struct explanation explanation;
    bool has_url, is_explained;
    bool has_failed;
};

static void say(struct run *run, struct config_place place, struct slice message)
{
    if (run->json == NULL) {
        fprintf(stderr, "%.*s:%u:%u: %.*s\n", SLICE_ARG(place.file->name), place.line, place.column,
                SLICE_ARG(message));
        return;
    }
    if (run->json->data[run->json->size - 1] == '}')
        buffer_append_byte(run->json, ',');
    buffer_format(run->json, "{\"line\":%u,\"column\":%u,\"message\":", place.line, place.column);
    config_json_string(run->json, message);
    buffer_append_byte(run->json, '}');
}

static void refuse(struct run *run, struct config_place place, const char *message)
{
    run->is_broken = true;
    say(run, place, slice_from_cstring(message));
}

static bool has_values(struct run *run, const struct config_node *line, size_t least, size_t most,
                       const char *usage)
{
    if (line->values_count >= least && line->values_count <= most && line->options_count == 0 &&
        !line->has_block)
        return true;
    refuse(run, line->place, usage);
    return false;
}

static struct slice steps_of(struct arena *arena, const struct route *route)
{
    struct buffer out = buffer_in(arena, 128);
    for (size_t i = 0; i < route->steps_count; i++)
        buffer_format(&out, "%s%s", i == 0 ? "" : " ", route->steps[i].step->key->name);
    return buffer_slice(&out);
}

static bool has_step(const struct route *route, struct slice name)
{
    for (size_t i = 0; i < route->steps_count; i++)
        if (slice_equal(slice_from_cstring(route->steps[i].step->key->name), name))
            return true;
    return false;
}

/* What is there in the place of what is expected; empty data: what is expected. */
static struct slice differs(struct run *run, const struct explanation *e, struct slice what,
                            struct slice wanted)
{
    const struct route *route = e->route;
    struct slice is = SLICE("");
    bool is_step = slice_equal(what, SLICE("step"));
    bool is_answer = slice_equal(what, SLICE("answer"));
    if (slice_equal(what, SLICE("refused"))) {
        int status = refusal_text(e->refusal)->status;
        is = e->refusal == REFUSAL_NONE ? SLICE("not refused")
                                        : arena_format(run->arena, "%d", status);
        bool is_same = e->refusal != REFUSAL_NONE && (wanted.size == 0 || slice_equal(is, wanted));
        return is_same ? (struct slice){NULL, 0} : is;
    }
    if (slice_equal(what, SLICE("listener")) && e->listener != NULL)
        is = e->listener->name;
    if (slice_equal(what, SLICE("site")) && e->site != NULL)
        is = e->site->name;
    if (slice_equal(what, SLICE("path")))
        is = e->path;
    if (slice_equal(what, SLICE("route")) && route != NULL)
        is = route->is_fallback ? SLICE("/*") : route->pattern;
    if (is_answer && route != NULL && route->steps_count > 0)
        is = slice_from_cstring(route->steps[route->steps_count - 1].step->key->name);
    if (slice_equal(what, SLICE("no_step")) && route != NULL && !has_step(route, wanted))
        return (struct slice){NULL, 0};
    if ((is_step || slice_equal(what, SLICE("no_step"))) && route != NULL)
        is = is_step && has_step(route, wanted) ? wanted : steps_of(run->arena, route);
    bool is_same = is.size > 0 && slice_equal(is, wanted) && !slice_equal(what, SLICE("no_step"));
    if (is_same)
        return (struct slice){NULL, 0};
    if (e->refusal != REFUSAL_NONE)
        return arena_format(run->arena, "it is refused: %d %s", refusal_text(e->refusal)->status,
                            refusal_text(e->refusal)->reason);
    return is.size > 0 ? is : SLICE("there is none");
}

static bool is_expectation(struct slice word)
{
    static const char *const WORDS[] = {"site", "route",    "answer",  "step",
                                        "path", "listener", "no_step", "refused"};
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++)
        if (slice_equal(slice_from_cstring(WORDS[i]), word))
            return true;
    return false;
}

static bool explain_once(struct run *run, struct asked *asked, const struct config_node *line)
{
    if (!asked->has_url) {
        refuse(run, line->place, "a request comes before what is expected of it");
        return false;
    }
    if (!asked->is_explained) {
        asked->question.fields = asked->fields;
        explain(run->snapshot, &asked->question, run->arena, &asked->explanation);
        asked->is_explained = true;
        if (asked->explanation.trouble != NULL)
            refuse(run, line->place, asked->explanation.trouble);
    }
    return asked->explanation.trouble == NULL;
}

static void expect(struct run *run, struct asked *asked, const struct config_node *line)
{
    struct slice what = line->values_count > 0 ? line->values[0].text : SLICE("");
    bool is_refused = slice_equal(what, SLICE("refused"));
    if (!is_expectation(what)) {
        refuse(run, line->values_count > 0 ? line->values[0].place : line->place,
               "expect site, route, answer, step, no_step, path, listener or refused");
        return;
    }
    if (!has_values(run, line, is_refused ? 1 : 2, 2, "expect WHAT VALUE") ||
        !explain_once(run, asked, line))
        return;
    struct slice wanted = line->values_count > 1 ? line->values[1].text : SLICE("");
    struct slice is = differs(run, &asked->explanation, what, wanted);
    if (is.data == NULL)
        return;
    asked->has_failed = true;
    say(run, line->values[line->values_count - 1].place,
        arena_format(run->arena, "expected %.*s%s%.*s: %.*s", SLICE_ARG(what),
                     wanted.size > 0 ? " " : "", SLICE_ARG(wanted), SLICE_ARG(is)));
}

static void read_line(struct run *run, struct asked *asked, const struct config_node *line)
{
    if (slice_equal(line->name, SLICE("expect"))) {
        expect(run, asked, line);
    } else if (asked->is_explained) {
        refuse(run, line->place, "what is asked comes before what is expected");
    } else if (slice_equal(line->name, SLICE("request"))) {
        if (!has_values(run, line, 1, URL_ARGUMENTS, "request [METHOD] URL"))
            return;
        asked->has_url = true;
        asked->question.url = line->values[line->values_count - 1].text;
        if (line->values_count == URL_ARGUMENTS)
            asked->question.method = line->values[0].text;
    } else if (slice_equal(line->name, SLICE("field"))) {
        if (!has_values(run, line, 1, 1, "field \"Name: value\""))
            return;
        if (asked->question.fields_count == FIELDS_MAX)
            refuse(run, line->place, "more than 32 fields");
        else
            asked->fields[asked->question.fields_count++] = line->values[0].text;
    } else if (slice_equal(line->name, SLICE("client"))) {
        if (has_values(run, line, 1, 1, "client ADDRESS") &&
            !address_parse_ip(line->values[0].text, &asked->question.client))
            refuse(run, line->values[0].place, "that is no address");
    } else {
        refuse(run, line->place, "in a test stand request, field, client and expect");
    }
}

static void run_test(struct run *run, const struct config_node *test)
{
    struct asked *asked = arena_zero(run->arena, sizeof *asked);
    size_t before = run->failed;
    if (!test->has_block || test->values_count != 1) {
        refuse(run, test->place, "test \"NAME\" { ... }");
        return;
    }
    asked->question.method = SLICE("GET");
    (void)address_parse_ip(SLICE("127.0.0.1"), &asked->question.client);
    if (run->json != NULL) {
        if (run->json->data[run->json->size - 1] == '}')
            buffer_append_byte(run->json, ',');
        buffer_append(run->json, SLICE("{\"name\":"));
        config_json_string(run->json, test->values[0].text);
        buffer_format(run->json, ",\"line\":%u,\"errors\":[", test->place.line);
    }
    for (const struct config_node *line = test->children; line != NULL; line = line->next)
        read_line(run, asked, line);
    if (!asked->is_explained && !run->is_broken)
        refuse(run, test->place, "it expects nothing");
    run->failed += asked->has_failed;
    run->passed += !asked->has_failed;
    if (run->json != NULL)
        buffer_format(run->json, "],\"ok\":%s}", run->failed == before ? "true" : "false");
    else if (asked->has_failed)
        fprintf(stderr, "failed: %.*s\n", SLICE_ARG(test->values[0].text));
}

static struct slice beside(struct arena *arena, struct slice file, struct slice path)
{
    while (file.size > 0 && file.data[file.size - 1] != '/')
        file.size--;
    if (path.size > 0 && path.data[0] == '/')
        return path;
    return arena_format(arena, "%.*s%.*s", SLICE_ARG(file), SLICE_ARG(path));
}

/* NULL: it has been said why not. */
static struct snapshot *load(struct arena *arena, struct slice path)
{
    struct config_errors errors;
    bool with_colour = false;
    struct config_request request = {.path = path};
    config_errors_init(&errors, arena);
    const struct config *config = config_load(&request, arena, &errors);
    struct snapshot *snapshot = errors.errors > 0 ? NULL : snapshot_to_look_at(config, &errors);
    (void)cli_colour(NULL, STDERR_FILENO, &with_colour);
    if (snapshot == NULL)
        cli_show_errors(&errors, with_colour, config->file->name);
    return snapshot;
}

static int conclude(const struct run *run)
{
    if (run->json != NULL) {
        buffer_format(run->json, "],\"passed\":%zu,\"failed\":%zu,\"ok\":%s}\n", run->passed,
                      run->failed, run->failed == 0 && !run->is_broken ? "true" : "false");
        cli_print(buffer_slice(run->json));
    } else if (!run->is_broken) {
        printf("%zu passed, %zu failed\n", run->passed, run->failed);
    }
    if (run->is_broken)
        return EXIT_CONFIG;
    return run->failed > 0 ? EXIT_FAILED : EXIT_DONE;
}

static int run_file(struct run *run, const struct config_tree *tree, const char *option)
{
    struct slice path = SLICE("");
    for (const struct config_node *line = tree->root->children; line != NULL; line = line->next)
        if (slice_equal(line->name, SLICE("config")) && has_values(run, line, 1, 1, "config FILE"))
            path = beside(run->arena, tree->file->path, line->values[0].text);
    if (option != NULL || path.size == 0) {
        const char *found = cli_config_path(NULL, option);
        if (found == NULL)
            return EXIT_CONFIG;
        path = slice_from_cstring(found);
    }
    run->snapshot = load(run->arena, path);
    if (run->snapshot == NULL)
        return EXIT_CONFIG;
    for (const struct config_node *line = tree->root->children; line != NULL; line = line->next) {
        if (slice_equal(line->name, SLICE("test")))
            run_test(run, line);
        else if (!slice_equal(line->name, SLICE("config")))
            refuse(run, line->place, "in this file stand config and test");
    }
    if (run->passed + run->failed == 0 && !run->is_broken) {
        run->is_broken = true;
        fprintf(stderr, "weir test: there are no tests in it\n");
    }
    int code = conclude(run);
    snapshot_free(run->snapshot);
    return code;
}

int command_test(int argc, char **argv)
{
    const char *config = NULL;
    bool is_json = false;
    int count;
    const struct cli_option table[] = {
        {"--config", "FILE", NULL, &config},
        {"-c", "FILE", NULL, &config},
        {"--json", NULL, &is_json, NULL},
        {0},
    };
    int code = cli_options(argc, argv, table, USAGE, &count);
    if (code >= 0)
        return code;
    if (count != 1)
        return cli_usage_error("test", "one file of tests");
    struct arena arena;
    struct config_errors errors;
    arena_init(&arena, NULL, 0);
    config_errors_init(&errors, &arena);
    struct buffer json = buffer_in(&arena, 1024);
    buffer_append(&json, SLICE("{\"tests\":["));
    struct config_tree *tree = config_tree_new(&arena, &errors, &CONFIG_SYSTEM);
    struct run run = {.arena = &arena, .json = is_json ? &json : NULL};
    config_tree_read(tree, slice_from_cstring(argv[1]));
    if (errors.errors > 0) {
        cli_show_errors(&errors, false, slice_from_cstring(argv[1]));
        code = EXIT_CONFIG;
    } else {
        code = run_file(&run, tree, config);
    }
    arena_done(&arena);
    return code;
}
