/* SPDX-License-Identifier: Apache-2.0 */
/* weir config: the configurations that a running weir has served. */
#include "cli/admin_client.h"
#include "cli/config_args.h"
#include "cli/table.h"

#include <stdio.h>

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
    "  --dry-run              say what would change, and change nothing\n" ROLLBACK_USAGE
        WATCH_USAGE ADMIN_USAGE "\n"
    "Exit codes: 0 done, 1 failed or no such version, 2 wrong command line, 69 no weir runs,\n"
    "75 another change is under way, 77 not permitted, 78 the configuration is not usable.\n";

static const char CONFIRM_USAGE[] =
    "usage: weir confirm [OPTIONS]\n"
    "\n"
    "What came with --rollback-after is good: it stays. The same as weir config confirm.\n"
    "\n" ADMIN_USAGE "\n"
    "Exit codes: 0 done, 1 failed, 2 wrong command line, 69 no weir runs, 75 nothing waits to be\n"
    "confirmed, 77 not permitted.\n";

struct config_options {
    struct admin_client client;
    bool is_dry;
    struct admin_rollback rollback;
};

static void fill_row(struct arena *arena, const struct json_value *version, struct slice *row)
{
    const struct json_value *changes = admin_member(version, "changes");
    const struct json_value *first = changes == NULL ? NULL : changes->children;
    size_t count = 0;
    for (const struct json_value *line = first; line != NULL; line = line->next)
        count++;
    row[0] = arena_format(arena, "%lld", (long long)admin_number(version, "version"));
    row[1] = admin_is(version, "served")      ? SLICE("served")
             : admin_is(version, "confirmed") ? SLICE(" ")
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

static int show_history(struct admin_client *client, const struct json_value *answer)
{
    static const char *const HEAD[] = {"VERSION", "STATE", "APPLIED", "BYTES", "BY", "CHANGES"};
    struct table table;
    table_begin(&table, &client->arena, HEAD, sizeof HEAD / sizeof *HEAD);
    table_each(&table, admin_member(answer, "versions"), fill_row);
    table_print(&table);
    if (admin_number(answer, "unconfirmed") > 0)
        printf("version %lld goes at %.*s unless: weir confirm\n",
               (long long)admin_number(answer, "unconfirmed"),
               SLICE_ARG(admin_text(answer, "rollback_at")));
    return EXIT_DONE;
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
    struct admin_question question = {.method = "GET", .path = SLICE("/v1/config/versions")};
    (void)count, (void)argv;
    return admin_look(&options->client, &question, show_history, "config");
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
                                          &options->rollback);
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
        if (ACTIONS[i].run != history && options->client.watch.is_on)
            return cli_usage_error("config", "--watch goes with history");
        if (!is_rollback && (options->is_dry || options->rollback.after != NULL))
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
        WATCH_OPTIONS(options.client),
        ROLLBACK_OPTIONS(options.rollback),
        {0},
    };
    int code = cli_options(argc, argv, table, USAGE, &count);
    if (code < 0)
        code = admin_rollback_check(&options.rollback, "config");
    if (code < 0)
        code = run(&options, count, argv);
    return admin_client_end(&options.client, code);
}

int command_confirm(int argc, char **argv)
{
    struct config_options options = {0};
    int count;
    admin_client_init(&options.client);
    const struct cli_option table[] = {ADMIN_OPTIONS(options.client), {0}};
    int code = cli_options(argc, argv, table, CONFIRM_USAGE, &count);
    if (code < 0 && count > 0)
        code = cli_usage_error("confirm", "takes no \"%s\"", argv[1]);
    if (code < 0)
        code = confirm(&options, count, argv);
    return admin_client_end(&options.client, code);
}
