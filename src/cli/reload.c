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
    "  --no-wait     do not wait for what comes of it\n" ADMIN_USAGE "\n"
    "Exit codes: 0 done, 1 failed, 2 wrong command line, 69 no weir runs, 75 another change is\n"
    "under way, 77 not permitted, 78 the configuration is not usable.\n";

static const char DIFF_USAGE[] =
    "usage: weir diff [OPTIONS]\n"
    "\n"
    "Says what a reload would change: what runs against the file on disk.\n"
    "\n" ADMIN_USAGE "\n"
    "Exit codes: as weir reload.\n";

static void show(const struct admin_reply *reply, const char *verb)
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
    show(reply, "changed  ");
    long long version = admin_number(&reply->json, "version");
    long long before = admin_number(&reply->json, "version_before");
    if (version != before)
        printf("applied   version %lld (was %lld) in %.0f ms\n", version, before,
               admin_seconds(&reply->json, "took") * 1000);
}

static int ask(struct admin_client *client, const struct admin_question *question, bool is_dry)
{
    struct admin_reply reply;
    int code = admin_ask(client, question, &reply);
    if (code != EXIT_DONE)
        return code;
    if (client->json)
        cli_print(reply.body);
    else if (reply.status == 202)
        printf("begun\n");
    else if (is_dry)
        show(&reply, "would change");
    else
        show_applied(&reply);
    return EXIT_DONE;
}

/* Pushes a text in the place of the file's. */
static int push(struct admin_client *client, const char *path, bool is_dry)
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
        .path = is_dry ? SLICE("/v1/config?dry_run=true") : SLICE("/v1/config?ephemeral=true"),
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
    int count;
    admin_client_init(&client);
    const struct cli_option table[] = {
        ADMIN_OPTIONS(client),
        {"--dry-run", NULL, &is_dry, NULL},
        {"--no-wait", NULL, &no_wait, NULL},
        {0},
    };
    int code = cli_options(argc, argv, table, USAGE, &count);
    if (code < 0 && count > 1)
        code = cli_usage_error("reload", "one file at a time");
    if (code < 0 && no_wait && (is_dry || count > 0))
        code = cli_usage_error("reload", "--no-wait goes with neither --dry-run nor a file");
    if (code < 0 && count == 1) {
        code = push(&client, argv[1], is_dry);
    } else if (code < 0) {
        struct admin_question question = {
            .method = "POST",
            .path = is_dry    ? SLICE("/v1/reload?dry_run=true")
                    : no_wait ? SLICE("/v1/reload?wait=false")
                              : SLICE("/v1/reload"),
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
