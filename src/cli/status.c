/* SPDX-License-Identifier: Apache-2.0 */
/* weir status and weir upstreams: how a running weir and its servers are. */
#include "cli/admin_client.h"
#include "cli/table.h"

#include <stdio.h>

static const char STATUS_USAGE[] =
    "usage: weir status [OPTIONS]\n"
    "\n"
    "Says how a running weir is.\n"
    "\n"
    "  --ready       say nothing; exit 0 when it serves, else 1 or 69: for health checks\n" //
    WATCH_USAGE ADMIN_USAGE "\n"
    "Exit codes: 0 done, 1 failed, 2 wrong command line, 69 no weir runs, 77 not permitted.\n";

static const char UPSTREAMS_USAGE[] =
    "usage: weir upstreams [OPTIONS] [NAME]\n"
    "\n"
    "Shows the servers of a running weir: their state, what is in work there and kept open.\n"
    "\n" WATCH_USAGE ADMIN_USAGE "\n"
    "Exit codes: 0 done, 1 failed or no such upstream, 2 wrong command line, 69 no weir runs,\n"
    "77 not permitted.\n";

static void show_memory(const struct json_value *memory)
{
    double mib = 1024.0 * 1024.0;
    if (admin_member(memory, "budget") == NULL || admin_member(memory, "used") == NULL)
        return;
    struct slice level = admin_text(memory, "level");
    printf("memory     %.0f of %.0f MiB, %.*s", admin_seconds(memory, "used") / mib,
           admin_seconds(memory, "budget") / mib, SLICE_ARG(level));
    double committed = admin_seconds(memory, "committed") / mib;
    if (committed >= admin_seconds(memory, "used") / mib + 1)
        printf(", %.0f MiB with what is promised", committed);
    printf("\n");
}

static void show_refused(const struct json_value *refused)
{
    const struct json_value *first = refused == NULL ? NULL : refused->children;
    if (first == NULL)
        return;
    printf("refused    ");
    for (const struct json_value *r = first; r != NULL; r = r->next)
        printf("%.*s %.*s%s", SLICE_ARG(r->text), SLICE_ARG(r->name), r->next == NULL ? "" : ", ");
    putchar('\n');
}

static int show_status(struct admin_client *client, const struct json_value *status)
{
    const struct json_value *config = admin_member(status, "config");
    const struct json_value *listeners = admin_member(status, "listeners");
    printf("weir       %.*s (%.*s), pid %lld, %.*s\n", SLICE_ARG(admin_text(status, "version")),
           SLICE_ARG(admin_text(status, "commit")), (long long)admin_number(status, "pid"),
           SLICE_ARG(admin_text(status, "state")));
    printf("up         %.*s, %lld workers, %lld connections\n",
           SLICE_ARG(admin_age(&client->arena, admin_text(status, "started"))),
           (long long)admin_number(status, "workers"),
           (long long)admin_number(status, "connections"));
    printf("listens    ");
    for (const struct json_value *l = listeners == NULL ? NULL : listeners->children; l != NULL;
         l = l->next)
        printf("%.*s%s", SLICE_ARG(l->text), l->next == NULL ? "" : ", ");
    printf("\nconfig     %.*s, version %lld%s, applied %.*s ago\n",
           SLICE_ARG(admin_text(config, "file")), (long long)admin_number(config, "version"),
           admin_is(config, "ephemeral") ? " (pushed: not what the file says)" : "",
           SLICE_ARG(admin_age(&client->arena, admin_text(config, "applied"))));
    printf("           %lld sites, %lld routes, %lld upstreams\n",
           (long long)admin_number(config, "sites"), (long long)admin_number(config, "routes"),
           (long long)admin_number(config, "upstreams"));
    printf("servers    %lld of %lld usable\n", (long long)admin_number(status, "servers_usable"),
           (long long)admin_number(status, "servers"));
    show_memory(admin_member(status, "memory"));
    show_refused(admin_member(status, "refused"));
    if (admin_number(config, "overrides") > 0)
        printf("overrides  %lld; weir overrides shows them\n",
               (long long)admin_number(config, "overrides"));
    return EXIT_DONE;
}

static int show_nothing(struct admin_client *client, const struct json_value *answer)
{
    (void)client, (void)answer;
    return EXIT_DONE;
}

int command_status(int argc, char **argv)
{
    struct admin_client client;
    bool is_ready = false;
    int count;
    admin_client_init(&client);
    const struct cli_option table[] = {
        ADMIN_OPTIONS(client), WATCH_OPTIONS(client), {"--ready", NULL, &is_ready, NULL}, {0}};
    int code = cli_options(argc, argv, table, STATUS_USAGE, &count);
    if (code < 0 && count > 0)
        code = cli_usage_error("status", "takes no \"%s\"", argv[1]);
    if (code < 0 && is_ready && client.watch.is_on)
        code = cli_usage_error("status", "--ready looks once");
    struct admin_question question = {.method = "GET",
                                      .path = is_ready ? SLICE("/readyz") : SLICE("/v1/status")};
    if (code < 0)
        code = admin_look(&client, &question, is_ready ? show_nothing : show_status, "status");
    if (is_ready && code == EXIT_TRY_AGAIN)
        code = EXIT_FAILED;
    return admin_client_end(&client, code);
}

static void fill_row(struct arena *arena, const struct json_value *server, struct slice upstream,
                     struct slice *row)
{
    struct slice by = admin_text(server, "by");
    double expected = admin_seconds(server, "expected");
    row[0] = upstream;
    row[1] = admin_text(server, "id");
    row[2] = admin_text(server, "state");
    row[3] = arena_format(arena, "%lld", (long long)admin_number(server, "weight"));
    row[4] = arena_format(arena, "%lld", (long long)admin_number(server, "active"));
    row[5] = arena_format(arena, "%lld", (long long)admin_number(server, "idle"));
    if (expected > 0)
        row[6] = arena_format(arena, "%.1fms", expected * 1000);
    row[7] = admin_age(arena, admin_text(server, "since"));
    if (row[7].size == 0)
        row[7] = SLICE("-");
    if (by.size > 0)
        row[7] = arena_format(arena, "%.*s   by API (%.*s)", SLICE_ARG(row[7]), SLICE_ARG(by));
    else if (admin_text(server, "reason").size > 0)
        row[7] = arena_format(arena, "%.*s   %.*s", SLICE_ARG(row[7]),
                              SLICE_ARG(admin_text(server, "reason")));
}

static int show_upstreams(struct admin_client *client, const struct json_value *answer)
{
    static const char *const HEAD[] = {"UPSTREAM", "SERVER", "STATE",  "WEIGHT",
                                       "ACTIVE",   "IDLE",   "ANSWER", "SINCE"};
    const struct json_value *list = admin_member(answer, "upstreams");
    const struct json_value *first = list == NULL ? answer : list->children; /* one alone, or all */
    struct table table;
    table_begin(&table, &client->arena, HEAD, sizeof HEAD / sizeof *HEAD);
    for (const struct json_value *u = first; u != NULL; u = u->next) {
        const struct json_value *servers = admin_member(u, "servers");
        struct slice name = admin_text(u, "name");
        for (const struct json_value *s = servers == NULL ? NULL : servers->children; s != NULL;
             s = s->next) {
            fill_row(table.arena, s, name, table_row(&table));
            name = SLICE(" ");
        }
    }
    table_print(&table);
    return EXIT_DONE;
}

int command_upstreams(int argc, char **argv)
{
    struct admin_client client;
    int count;
    admin_client_init(&client);
    const struct cli_option table[] = {ADMIN_OPTIONS(client), WATCH_OPTIONS(client), {0}};
    int code = cli_options(argc, argv, table, UPSTREAMS_USAGE, &count);
    if (code < 0 && count > 1)
        code = cli_usage_error("upstreams", "one name at a time");
    if (code < 0) {
        struct slice name =
            count == 1 ? admin_escape(&client, slice_from_cstring(argv[1])) : SLICE("");
        struct admin_question question = {
            .method = "GET",
            .path = arena_format(&client.arena, "/v1/upstreams%s%.*s", count == 1 ? "/" : "",
                                 SLICE_ARG(name)),
        };
        code = admin_look(&client, &question, show_upstreams, "upstreams");
    }
    return admin_client_end(&client, code);
}
