/* SPDX-License-Identifier: Apache-2.0 */
/* weir config: the configurations that a running weir has served. */
#include "cli/admin_client.h"
#include "cli/config_args.h"

#include <stdio.h>

enum {
    COLUMNS = 6,
};

static const char USAGE[] =
    "usage: weir config get [VERSION]\n"
    "       weir config history\n"
    "       weir config diff [FROM [TO]]\n"
    "       weir config rollback [VERSION] [--dry-run] [--rollback-after=TIME]\n"
    "       weir config confirm\n"
    "\n"
    "Shows what a running weir serves or has served (the last 20 versions are kept), what is "
    "different\n"
    "between two, and goes back: to the version before, when none is named. Without a version "
    "diff\n"
    "says what a reload would change.\n"
    "\n"
    "  --dry-run              say what would change, and change nothing\n"
    "  --rollback-after=TIME  what was served before comes back by itself after that time (60s, "
    "5m),\n"
    "                         unless weir config confirm says that it is good\n" ADMIN_USAGE "\n"
    "Exit codes: 0 done, 1 failed or no such version, 2 wrong command line, 69 no weir runs,\n"
    "75 another change is under way, 77 not permitted, 78 the configuration is not usable.\n";

struct config_options {
    struct admin_client client;
    bool is_dry;
    const char *rollback_after;
};

static void fill_row(struct admin_client *client, const struct json_value *version,
                     struct slice *row)
{
    struct arena *arena = &client->arena;
    const struct json_value *changes = admin_member(version, "changes");
    const struct json_value *first = changes == NULL ? NULL : changes->children;
    size_t count = 0;
    for (const struct json_value *line = first; line != NULL; line = line->next)
        count++;
    row[0] = arena_format(arena, "%lld", (long long)admin_number(version, "version"));
    row[1] = admin_is(version, "served")      ? SLICE("served")
             : admin_is(version, "confirmed") ? SLICE("")
                                              : SLICE("not confirmed");
    if (admin_is(version, "served") && !admin_is(version, "confirmed"))
        row[1] = SLICE("served, not confirmed");
    row[2] = arena_format(arena, "%.*s ago",
                          SLICE_ARG(admin_age(arena, admin_text(version, "applied"))));
    row[3] = arena_format(arena, "%lld", (long long)admin_number(version, "size"));
    row[4] = admin_text(version, "by");
    row[5] = first == NULL ? SLICE("-")
             : count == 1
                 ? first->text
                 : arena_format(arena, "%.*s (and %zu more)", SLICE_ARG(first->text), count - 1);
}

static void show_history(struct admin_client *client, const struct json_value *answer)
{
    static const char *const HEAD[COLUMNS] = {"VERSION", "STATE", "APPLIED",
                                              "BYTES",   "BY",    "CHANGES"};
    const struct json_value *list = admin_member(answer, "versions");
    const struct json_value *first = list == NULL ? NULL : list->children;
    size_t rows = 1;
    for (const struct json_value *v = first; v != NULL; v = v->next)
        rows++;
    struct slice *cells = arena_alloc(&client->arena, rows * COLUMNS * sizeof *cells);
    for (size_t i = 0; i < COLUMNS; i++)
        cells[i] = slice_from_cstring(HEAD[i]);
    size_t row = 1;
    for (const struct json_value *v = first; v != NULL; v = v->next)
        fill_row(client, v, &cells[row++ * COLUMNS]);
    admin_table(cells, rows, COLUMNS);
    if (admin_number(answer, "unconfirmed") > 0)
        printf("version %lld goes at %.*s unless: weir config confirm\n",
               (long long)admin_number(answer, "unconfirmed"),
               SLICE_ARG(admin_text(answer, "rollback_at")));
}

static int ask(struct admin_client *client, const char *method, struct slice path,
               struct slice body, struct admin_reply *reply)
{
    struct admin_question question = {
        .method = method,
        .path = path,
        .type = body.data == NULL ? NULL : "application/json",
        .body = body,
        .is_text = !client->json,
    };
    return admin_ask(client, &question, reply);
}

static int get(struct config_options *options, int count, char **argv)
{
    struct admin_reply reply;
    struct admin_client *client = &options->client;
    struct slice name = count > 1 ? admin_escape(client, slice_from_cstring(argv[2])) : SLICE("");
    int code = ask(client, "GET",
                   arena_format(&client->arena, "/v1/config%s%.*s", count > 1 ? "/versions/" : "",
                                SLICE_ARG(name)),
                   (struct slice){NULL, 0}, &reply);
    if (code == EXIT_DONE)
        cli_print(reply.body);
    return code;
}

static int history(struct config_options *options, int count, char **argv)
{
    struct admin_reply reply;
    (void)count, (void)argv;
    int code =
        ask(&options->client, "GET", SLICE("/v1/config/versions"), (struct slice){NULL, 0}, &reply);
    if (code == EXIT_DONE && options->client.json)
        cli_print(reply.body);
    else if (code == EXIT_DONE)
        show_history(&options->client, &reply.json);
    return code;
}

static int diff(struct config_options *options, int count, char **argv)
{
    struct admin_reply reply;
    struct admin_client *client = &options->client;
    struct buffer path = buffer_in(&client->arena, 64);
    buffer_append(&path, SLICE("/v1/config/diff"));
    for (int i = 2; i <= count; i++)
        buffer_format(&path, "%s%.*s", i == 2 ? "?from=" : "&to=",
                      SLICE_ARG(admin_escape(client, slice_from_cstring(argv[i]))));
    int code = ask(client, "GET", buffer_slice(&path), (struct slice){NULL, 0}, &reply);
    if (code == EXIT_DONE && client->json)
        cli_print(reply.body);
    else if (code == EXIT_DONE)
        admin_show_changes(&reply, count > 1 ? "changed     " : "would change");
    return code;
}

static int rollback(struct config_options *options, int count, char **argv)
{
    struct admin_reply reply;
    struct admin_client *client = &options->client;
    struct slice body =
        count > 1 ? arena_format(&client->arena, "{\"to\":%s}", argv[2]) : SLICE("{}");
    struct slice path = admin_reload_path(client, SLICE("/v1/config/rollback"), options->is_dry,
                                          options->rollback_after);
    int code = ask(client, "POST", path, body, &reply);
    if (code == EXIT_DONE)
        admin_show_reload(client, &reply, options->is_dry);
    return code;
}

static int confirm(struct config_options *options, int count, char **argv)
{
    struct admin_reply reply;
    (void)count, (void)argv;
    int code =
        ask(&options->client, "POST", SLICE("/v1/config/confirm"), (struct slice){NULL, 0}, &reply);
    if (code == EXIT_DONE && options->client.json)
        cli_print(reply.body);
    else if (code == EXIT_DONE)
        printf("confirmed version %lld\n", (long long)admin_number(&reply.json, "confirmed"));
    return code;
}

static const struct {
    const char *name;
    int (*run)(struct config_options *options, int count, char **argv);
    int operands; /* at most, with its own name */
} ACTIONS[] = {
    {"get", get, 2},           {"history", history, 1}, {"diff", diff, 3},
    {"rollback", rollback, 2}, {"confirm", confirm, 1},
};

static int run(struct config_options *options, int count, char **argv)
{
    for (size_t i = 0; i < sizeof ACTIONS / sizeof *ACTIONS; i++) {
        bool is_rollback = ACTIONS[i].run == rollback;
        if (count == 0 || strcmp(ACTIONS[i].name, argv[1]) != 0)
            continue;
        if (count > ACTIONS[i].operands)
            return cli_usage_error("config", "%s takes no \"%s\"", argv[1], argv[count]);
        if (!is_rollback && (options->is_dry || options->rollback_after != NULL))
            return cli_usage_error("config", "--dry-run and --rollback-after go with rollback");
        uint64_t number;
        for (int j = 2; j <= count; j++)
            if (!slice_to_u64(slice_from_cstring(argv[j]), INT64_MAX, &number))
                return cli_usage_error("config", "\"%s\" is no version: weir config history",
                                       argv[j]);
        return ACTIONS[i].run(options, count, argv);
    }
    return cli_usage_error("config", "get, history, diff, rollback or confirm?");
}

int command_config(int argc, char **argv)
{
    struct config_options options = {0};
    int count;
    admin_client_init(&options.client);
    const struct cli_option table[] = {
        ADMIN_OPTIONS(options.client),
        {"--dry-run", NULL, &options.is_dry, NULL},
        {"--rollback-after", "TIME", NULL, &options.rollback_after},
        {0},
    };
    int code = cli_options(argc, argv, table, USAGE, &count);
    if (code < 0 && !admin_is_duration(options.rollback_after))
        code = cli_usage_error("config", "--rollback-after is a time such as 60s or 5m");
    if (code < 0)
        code = run(&options, count, argv);
    return admin_client_end(&options.client, code);
}
