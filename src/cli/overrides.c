/* SPDX-License-Identifier: Apache-2.0 */
/* weir overrides: what was changed at run time on top of the configuration. */
#include "cli/admin_client.h"
#include "cli/config_args.h"
#include "cli/table.h"

#include <stdio.h>

static const char USAGE[] =
    "usage: weir overrides [show] [OPTIONS]\n"
    "       weir overrides rm [OPTIONS] ID\n"
    "\n"
    "Shows what was changed at run time, or takes one of it back. A change lasts until the\n"
    "configuration says something else of its server.\n"
    "\n"
    "  --as-config   lines to paste into the configuration\n" ADMIN_USAGE "\n"
    "Exit codes: 0 done, 1 failed or no such override, 2 wrong command line, 69 no weir runs,\n"
    "75 another change is under way, 77 not permitted.\n";

static struct slice change_of(struct arena *arena, const struct json_value *entry)
{
    struct slice change = admin_text(entry, "change");
    struct slice state = admin_text(entry, "state");
    long long weight = admin_number(entry, "weight");
    if (slice_equal(change, SLICE("set")))
        change = SLICE("");
    if (weight > 0)
        return arena_format(arena, "%.*s%s%.*s%sweight=%lld", SLICE_ARG(change),
                            change.size > 0 ? ", " : "", SLICE_ARG(state),
                            state.size > 0 ? ", " : "", weight);
    return arena_format(arena, "%.*s%s%.*s", SLICE_ARG(change),
                        change.size > 0 && state.size > 0 ? ", " : "", SLICE_ARG(state));
}

static void fill_row(struct arena *arena, const struct json_value *e, struct slice *row)
{
    row[0] = arena_format(arena, "%lld", (long long)admin_number(e, "id"));
    row[1] = admin_text(e, "upstream");
    row[2] = admin_text(e, "server");
    row[3] = change_of(arena, e);
    row[4] = admin_age(arena, admin_text(e, "since"));
    row[5] = admin_text(e, "by");
}

static int show(struct admin_client *client, const struct json_value *answer)
{
    static const char *const HEAD[] = {"ID", "UPSTREAM", "SERVER", "CHANGE", "SINCE", "BY"};
    struct table table;
    table_begin(&table, &client->arena, HEAD, sizeof HEAD / sizeof *HEAD);
    table_each(&table, admin_member(answer, "overrides"), fill_row);
    if (table.rows == 1)
        printf("nothing was changed at run time\n");
    else
        table_print(&table);
    return EXIT_DONE;
}

static int ask(struct admin_client *client, bool as_config)
{
    struct admin_reply reply;
    struct admin_question question = {
        .method = "GET",
        .path = as_config ? SLICE("/v1/overrides?as_config=true") : SLICE("/v1/overrides"),
    };
    if (!as_config)
        return admin_look(client, &question, show, "overrides");
    int code = admin_ask(client, &question, &reply);
    if (code == EXIT_DONE)
        cli_print(reply.body);
    return code;
}

static int take_back(struct admin_client *client, const char *id)
{
    struct admin_reply reply;
    struct slice name = admin_escape(client, slice_from_cstring(id));
    struct admin_question question = {
        .method = "DELETE",
        .path = arena_format(&client->arena, "/v1/overrides/%.*s", SLICE_ARG(name)),
    };
    int code = admin_ask(client, &question, &reply);
    if (code == EXIT_DONE && client->json)
        printf("{\"taken_back\":true}\n");
    else if (code == EXIT_DONE)
        printf("taken back: %s\n", id);
    return code;
}

int command_overrides(int argc, char **argv)
{
    struct admin_client client;
    bool as_config = false;
    int count;
    admin_client_init(&client);
    const struct cli_option table[] = {
        ADMIN_OPTIONS(client), {"--as-config", NULL, &as_config, NULL}, {0}};
    int code = cli_options(argc, argv, table, USAGE, &count);
    bool is_rm = code < 0 && count > 0 && strcmp(argv[1], "rm") == 0;
    bool is_show = code < 0 && (count == 0 || (count == 1 && strcmp(argv[1], "show") == 0));
    if (is_rm && count == 2 && !as_config)
        code = take_back(&client, argv[2]);
    else if (is_show)
        code = ask(&client, as_config);
    else if (code < 0)
        code = cli_usage_error("overrides", "show, or rm ID");
    return admin_client_end(&client, code);
}
