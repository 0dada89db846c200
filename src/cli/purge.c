/* SPDX-License-Identifier: Apache-2.0 */
/* weir purge and weir caches: what caches hold, and making them forget. */
#include "base/json.h"
#include "cli/admin_client.h"
#include "cli/config_args.h"
#include "cli/table.h"

#include <stdio.h>

static const char PURGE_USAGE[] =
    "usage: weir purge [OPTIONS] CACHE URL\n"
    "       weir purge [OPTIONS] CACHE --prefix URL | --tag TAG | --all\n"
    "\n"
    "Has a cache of a running weir forget what it has stored, also what is being fetched now.\n"
    "\n"
    "  --prefix=URL  all whose URL begins so\n"
    "  --tag=TAG     all with that tag in Surrogate-Key or Cache-Tag; several: a,b\n"
    "  --all         everything\n"
    "  --soft        it becomes stale and may be served while it is fetched anew\n" //
    ADMIN_USAGE "\n"
    "Exit codes: 0 done, 1 failed or no such cache, 2 wrong command line, 69 no weir runs,\n"
    "77 not permitted.\n";

static const char CACHES_USAGE[] =
    "usage: weir caches [OPTIONS]\n"
    "\n"
    "Shows the caches of a running weir: what they hold, and what requests came to.\n"
    "\n" WATCH_USAGE ADMIN_USAGE "\n"
    "Exit codes: 0 done, 1 failed, 2 wrong command line, 69 no weir runs, 77 not permitted.\n";

static struct slice size_text(struct arena *arena, int64_t bytes)
{
    static const char *const UNITS[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double size = (double)bytes;
    size_t unit = 0;
    while (size >= 1024 && unit < 4) {
        size /= 1024;
        unit++;
    }
    return arena_format(arena, unit == 0 ? "%.0f %s" : "%.1f %s", size, UNITS[unit]);
}

static void write_tags(struct buffer *body, struct slice list)
{
    struct slice tag;
    bool is_first = true;
    json_name(body, "tags");
    buffer_append_byte(body, '[');
    while (slice_next_element(&list, &tag)) {
        if (tag.size == 0)
            continue;
        if (!is_first)
            buffer_append_byte(body, ',');
        is_first = false;
        json_string(body, tag);
    }
    buffer_append_byte(body, ']');
}

struct wish {
    const char *url, *prefix, *tags;
    bool all, soft;
};

static int purge(struct admin_client *client, const char *cache, const struct wish *wish)
{
    struct admin_reply reply;
    struct buffer body = buffer_in(&client->arena, 256);
    buffer_append_byte(&body, '{');
    if (wish->url != NULL)
        json_field(&body, "url", slice_from_cstring(wish->url));
    if (wish->prefix != NULL)
        json_field(&body, "prefix", slice_from_cstring(wish->prefix));
    if (wish->tags != NULL)
        write_tags(&body, slice_from_cstring(wish->tags));
    if (wish->all) {
        json_name(&body, "all");
        buffer_append(&body, SLICE("true"));
    }
    json_name(&body, "soft");
    buffer_append(&body, wish->soft ? SLICE("true}") : SLICE("false}"));
    struct slice name = admin_escape(client, slice_from_cstring(cache));
    struct admin_question question = {
        .method = "POST",
        .path = arena_format(&client->arena, "/v1/caches/%.*s/purge", SLICE_ARG(name)),
        .type = "application/json",
        .body = buffer_slice(&body),
    };
    int code = admin_ask(client, &question, &reply);
    if (code == EXIT_DONE && client->json)
        cli_print(reply.body);
    else if (code == EXIT_DONE)
        printf("%s %lld objects (%.*s) from cache \"%s\"\n", wish->soft ? "made stale" : "purged",
               (long long)admin_number(&reply.json, "objects"),
               SLICE_ARG(size_text(&client->arena, admin_number(&reply.json, "bytes"))), cache);
    return code;
}

int command_purge(int argc, char **argv)
{
    struct admin_client client;
    struct wish wish = {0};
    int count;
    admin_client_init(&client);
    const struct cli_option table[] = {ADMIN_OPTIONS(client),
                                       {"--prefix", "URL", NULL, &wish.prefix},
                                       {"--tag", "TAG", NULL, &wish.tags},
                                       {"--all", NULL, &wish.all, NULL},
                                       {"--soft", NULL, &wish.soft, NULL},
                                       {0}};
    int code = cli_options(argc, argv, table, PURGE_USAGE, &count);
    if (code < 0 && count == 2)
        wish.url = argv[2];
    int ways = (wish.url != NULL) + (wish.prefix != NULL) + (wish.tags != NULL) + wish.all;
    if (code < 0 && (count < 1 || count > 2))
        code = cli_usage_error("purge", "the name of a cache, and what is to go");
    else if (code < 0 && ways != 1)
        code = cli_usage_error("purge", "one of: a URL, --prefix, --tag, --all");
    if (code < 0)
        code = purge(&client, argv[1], &wish);
    return admin_client_end(&client, code);
}

static struct slice number_text(struct arena *arena, const struct json_value *cache,
                                const char *name)
{
    return arena_format(arena, "%lld", (long long)admin_number(cache, name));
}

static void fill_row(struct arena *arena, const struct json_value *c, struct slice *row)
{
    static const char *const NUMBERS[] = {"hit", "miss", "stale", "collapsed", "bypass", "evicted"};
    const struct json_value *disk = admin_member(c, "disk");
    row[0] = admin_text(c, "name");
    row[1] = number_text(arena, c, "objects");
    row[2] = size_text(arena, admin_number(c, "bytes"));
    if (disk != NULL)
        row[3] = size_text(arena, admin_number(disk, "bytes"));
    for (size_t i = 0; i < sizeof NUMBERS / sizeof *NUMBERS; i++)
        row[4 + i] = number_text(arena, c, NUMBERS[i]);
}

static int show(struct admin_client *client, const struct json_value *answer)
{
    static const char *const HEAD[] = {"CACHE", "OBJECTS", "MEMORY",    "DISK",   "HIT",
                                       "MISS",  "STALE",   "COLLAPSED", "BYPASS", "EVICTED"};
    struct table table;
    table_begin(&table, &client->arena, HEAD, sizeof HEAD / sizeof *HEAD);
    table_each(&table, admin_member(answer, "caches"), fill_row);
    if (table.rows == 1)
        printf("there are no caches\n");
    else
        table_print(&table);
    return EXIT_DONE;
}

int command_caches(int argc, char **argv)
{
    struct admin_client client;
    int count;
    admin_client_init(&client);
    const struct cli_option table[] = {ADMIN_OPTIONS(client), WATCH_OPTIONS(client), {0}};
    int code = cli_options(argc, argv, table, CACHES_USAGE, &count);
    if (code < 0 && count > 0)
        code = cli_usage_error("caches", "takes no \"%s\"", argv[1]);
    struct admin_question question = {.method = "GET", .path = SLICE("/v1/caches")};
    if (code < 0)
        code = admin_look(&client, &question, show, "caches");
    return admin_client_end(&client, code);
}
