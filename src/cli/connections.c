/* SPDX-License-Identifier: Apache-2.0 */
/* weir connections: the clients of a running weir, and ending one. */
#include "cli/admin_client.h"
#include "cli/table.h"

#include <stdio.h>

static const char USAGE[] =
    "usage: weir connections [OPTIONS]\n"
    "       weir connections kill ID\n"
    "\n"
    "Shows the connections of clients, the oldest first, with what has been in work on each the\n"
    "longest; or ends one, with what is in work on it. Tunnels, such as WebSockets, are among "
    "them.\n"
    "\n"
    "  --site=NAME      those with a request to that site in work\n"
    "  --client=ADDR    of that address\n"
    "  --slow=TIME      with a request that has been in work so long: 1s, 250ms\n"
    "  --limit=NUMBER   so many (100; 1 to 1000)\n"
    "  --after=ID       those behind it, as the last line of a page says\n" WATCH_USAGE ADMIN_USAGE
    "\n"
    "Exit codes: 0 done, 1 failed or no such connection, 2 wrong command line, 69 no weir runs,\n"
    "77 not permitted.\n";

struct connections_options {
    struct admin_client client;
    const char *values[5];
};
static const char *const NAMES[5] = {"site", "client", "slow", "limit", "after"};

static struct slice seconds_text(struct arena *arena, double seconds)
{
    return seconds < 10 ? arena_format(arena, "%.0fms", seconds * 1000)
                        : arena_format(arena, "%.0fs", seconds);
}

static void fill_row(struct arena *arena, const struct json_value *c, struct slice *row)
{
    const struct json_value *request = admin_member(c, "request");
    row[0] = admin_text(c, "id");
    row[1] = admin_text(c, "client");
    row[2] = arena_format(arena, "%.*s%s", SLICE_ARG(admin_text(c, "protocol")),
                          admin_is(c, "tls") ? " tls" : "");
    row[3] = admin_text(c, "state");
    row[4] = seconds_text(arena, admin_seconds(c, "age"));
    row[5] = arena_format(arena, "%lld", (long long)admin_number(c, "requests"));
    if (request == NULL)
        return;
    struct slice what =
        arena_format(arena, "%.*s %.*s%.*s %.*s %.*s", SLICE_ARG(admin_text(request, "method")),
                     SLICE_ARG(admin_text(request, "host")), SLICE_ARG(admin_text(request, "path")),
                     SLICE_ARG(seconds_text(arena, admin_seconds(request, "took"))),
                     SLICE_ARG(admin_text(request, "server")));
    row[6] = what;
}

static int show(struct admin_client *client, const struct json_value *answer)
{
    static const char *const HEAD[] = {"ID",  "CLIENT",   "PROTOCOL", "STATE",
                                       "AGE", "REQUESTS", "IN WORK"};
    struct table table;
    table_begin(&table, &client->arena, HEAD, sizeof HEAD / sizeof *HEAD);
    table_each(&table, admin_member(answer, "connections"), fill_row);
    table_print(&table);
    if (admin_number(answer, "left") > 0)
        printf("%lld more: --after=%.*s\n", (long long)admin_number(answer, "left"),
               SLICE_ARG(admin_text(answer, "after")));
    return EXIT_DONE;
}

static int list(struct connections_options *options)
{
    struct admin_client *client = &options->client;
    struct buffer path = buffer_in(&client->arena, 128);
    buffer_append(&path, SLICE("/v1/connections?"));
    for (size_t i = 0; i < 5; i++)
        if (options->values[i] != NULL)
            buffer_format(&path, "%s=%.*s&", NAMES[i],
                          SLICE_ARG(admin_escape(client, slice_from_cstring(options->values[i]))));
    struct admin_question question = {.method = "GET", .path = buffer_slice(&path)};
    return admin_look(client, &question, show, "connections");
}

static int end_one(struct connections_options *options, const char *id)
{
    struct admin_reply reply;
    struct admin_client *client = &options->client;
    struct admin_question question = {
        .method = "DELETE",
        .path = arena_format(&client->arena, "/v1/connections/%.*s",
                             SLICE_ARG(admin_escape(client, slice_from_cstring(id)))),
    };
    int code = admin_ask(client, &question, &reply);
    if (code == EXIT_DONE && client->json)
        printf("{\"ended\":true}\n");
    else if (code == EXIT_DONE)
        printf("ended %s\n", id);
    return code;
}

int command_connections(int argc, char **argv)
{
    struct connections_options options = {0};
    int count;
    admin_client_init(&options.client);
    const struct cli_option table[] = {
        ADMIN_OPTIONS(options.client),
        WATCH_OPTIONS(options.client),
        {"--site", "NAME", NULL, &options.values[0]},
        {"--client", "ADDR", NULL, &options.values[1]},
        {"--slow", "TIME", NULL, &options.values[2]},
        {"--limit", "NUMBER", NULL, &options.values[3]},
        {"--after", "ID", NULL, &options.values[4]},
        {0},
    };
    int code = cli_options(argc, argv, table, USAGE, &count);
    bool is_kill = count == 2 && strcmp(argv[1], "kill") == 0;
    if (code < 0 && count > 0 && !is_kill)
        code = cli_usage_error("connections", "takes no \"%s\", but: kill ID", argv[1]);
    if (code < 0)
        code = is_kill ? end_one(&options, argv[2]) : list(&options);
    return admin_client_end(&options.client, code);
}
