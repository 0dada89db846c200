/* SPDX-License-Identifier: Apache-2.0 */
/* weir reload and weir diff: the file, or another configuration, in the place of what runs. */
#include "cli/admin_client.h"
#include "cli/config_args.h"
#include "fiber/file.h"

#include <stdio.h>

static const char USAGE[] =
    "usage: weir reload [OPTIONS] [FILE|-]\n"
    "\n"
    "Has a running weir read its configuration again; with FILE it serves that one until the next\n"
    "reload. Nothing changes unless all of it is right.\n"
    "\n"
    "  --dry-run     say what would change, and change nothing\n"
    "  --no-wait     do not wait for what comes of it\n" ROLLBACK_USAGE ADMIN_USAGE "\n"
    "Exit codes: 0 done, 1 failed, 2 wrong command line, 69 no weir runs, 75 another change is\n"
    "under way, 77 not permitted, 78 the configuration is not usable.\n";

static const char DIFF_USAGE[] =
    "usage: weir diff [OPTIONS]\n"
    "\n"
    "Says what a reload would change: what runs against the file on disk.\n"
    "\n" ADMIN_USAGE "\n"
    "Exit codes: as weir reload.\n";

void admin_show_changes(const struct admin_reply *reply, const char *verb)
{
    const struct json_value *changes = admin_member(&reply->json, "changes");
    for (const struct json_value *line = changes == NULL ? NULL : changes->children; line != NULL;
         line = line->next)
        printf("%s %.*s\n", verb, SLICE_ARG(line->text));
    if (changes == NULL || changes->children == NULL)
        printf("unchanged\n");
}

static void show_applied(const struct admin_reply *reply)
{
    admin_show_changes(reply, "changed  ");
    long long version = admin_number(&reply->json, "version");
    long long before = admin_number(&reply->json, "version_before");
    struct slice until = admin_text(&reply->json, "rollback_at");
    if (version != before)
        printf("applied   version %lld (was %lld) in %.0f ms\n", version, before,
               admin_seconds(&reply->json, "took") * 1000);
    if (until.size > 0)
        printf("goes      at %.*s unless: weir confirm\n", SLICE_ARG(until));
}

void admin_show_reload(const struct admin_client *client, const struct admin_reply *reply,
                       bool is_dry)
{
    if (client->json)
        cli_print(reply->body);
    else if (reply->status == 202)
        printf("begun\n");
    else if (is_dry)
        admin_show_changes(reply, "would change");
    else
        show_applied(reply);
}

int admin_rollback_check(const struct admin_rollback *rollback, const char *command)
{
    bool is_down_time = rollback->down == NULL || strcmp(rollback->down, "off") == 0 ||
                        admin_is_duration(rollback->down);
    if (!admin_is_duration(rollback->after))
        return cli_usage_error(command, "--rollback-after is a time such as 60s or 5m");
    if (!is_down_time)
        return cli_usage_error(command, "--rollback-down is a time such as 5s, or off");
    if (rollback->after == NULL && (rollback->errors != NULL || rollback->down != NULL))
        return cli_usage_error(command, "--rollback-errors and --rollback-down go with "
                                        "--rollback-after");
    return -1;
}

struct slice admin_reload_path(struct admin_client *client, struct slice path, bool is_dry,
                               const struct admin_rollback *rollback)
{
    struct buffer out = buffer_in(&client->arena, path.size + 64);
    char mark = slice_find(path, '?') < path.size ? '&' : '?';
    buffer_append(&out, path);
    if (is_dry) {
        buffer_append_byte(&out, mark);
        buffer_append(&out, SLICE("dry_run=true"));
        mark = '&';
    }
    const struct {
        const char *name, *value;
    } PARAMETERS[] = {
        {"after", rollback->after}, {"errors", rollback->errors}, {"down", rollback->down}};
    for (size_t i = 0; i < sizeof PARAMETERS / sizeof *PARAMETERS; i++) {
        if (PARAMETERS[i].value == NULL)
            continue;
        struct slice value = admin_escape(client, slice_from_cstring(PARAMETERS[i].value));
        buffer_format(&out, "%crollback_%s=%.*s", mark, PARAMETERS[i].name, SLICE_ARG(value));
        mark = '&';
    }
    return buffer_slice(&out);
}

static int ask(struct admin_client *client, const struct admin_question *question, bool is_dry)
{
    struct admin_reply reply;
    int code = admin_ask(client, question, &reply);
    if (code == EXIT_DONE)
        admin_show_reload(client, &reply, is_dry);
    return code;
}

/* Pushes a text in the place of the file's. */
static int push(struct admin_client *client, const char *path, bool is_dry,
                const struct admin_rollback *rollback)
{
    bool is_stdin = strcmp(path, "-") == 0;
    bool is_json = slice_ends(slice_from_cstring(path), SLICE(".json"));
    const char *why = "";
    struct slice text;
    if (file_read(is_stdin ? "/dev/stdin" : path, CONFIG_FILE_MAX, &client->arena, &text, &why) !=
        OK) {
        fprintf(stderr, "weir: cannot read %s: %s\n", path, why);
        return EXIT_CONFIG;
    }
    struct admin_question question = {
        .method = "PUT",
        .path = admin_reload_path(client,
                                  is_dry ? SLICE("/v1/config") : SLICE("/v1/config?ephemeral=true"),
                                  is_dry, rollback),
        .type = is_json ? "application/json" : "text/weir",
        .body = text,
        .match = "*",
    };
    return ask(client, &question, is_dry);
}

int command_reload(int argc, char **argv)
{
    struct admin_client client;
    bool is_dry = false;
    bool no_wait = false;
    struct admin_rollback rollback = {0};
    int count;
    admin_client_init(&client);
    const struct cli_option table[] = {
        ADMIN_OPTIONS(client),
        {"--dry-run", NULL, &is_dry, NULL},
        {"--no-wait", NULL, &no_wait, NULL},
        ROLLBACK_OPTIONS(rollback),
        {0},
    };
    int code = cli_options(argc, argv, table, USAGE, &count);
    if (code < 0 && count > 1)
        code = cli_usage_error("reload", "one file at a time");
    if (code < 0 && no_wait && (is_dry || count > 0 || rollback.after != NULL))
        code = cli_usage_error("reload", "--no-wait goes alone");
    if (code < 0)
        code = admin_rollback_check(&rollback, "reload");
    if (code < 0 && count == 1) {
        code = push(&client, argv[1], is_dry, &rollback);
    } else if (code < 0) {
        struct admin_question question = {
            .method = "POST",
            .path = no_wait ? SLICE("/v1/reload?wait=false")
                            : admin_reload_path(&client, SLICE("/v1/reload"), is_dry, &rollback),
        };
        code = ask(&client, &question, is_dry);
    }
    return admin_client_end(&client, code);
}

int command_diff(int argc, char **argv)
{
    struct admin_client client;
    int count;
    admin_client_init(&client);
    const struct cli_option table[] = {ADMIN_OPTIONS(client), {0}};
    int code = cli_options(argc, argv, table, DIFF_USAGE, &count);
    if (code < 0 && count > 0)
        code = cli_usage_error("diff", "takes no \"%s\"", argv[1]);
    struct admin_question question = {.method = "GET", .path = SLICE("/v1/config/diff")};
    if (code < 0)
        code = ask(&client, &question, true);
    return admin_client_end(&client, code);
}
