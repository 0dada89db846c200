/* SPDX-License-Identifier: Apache-2.0 */
/* weir drain, enable, disable and server: changes to servers of a running weir. */
#include "base/clock.h"
#include "base/json.h"
#include "cli/admin_client.h"
#include "cli/config_args.h"

#include <stdio.h>

enum {
    POLL_S = 30, /* one question waits at most that long */
};

#define WAIT_USAGE                                                                                 \
    "  --wait          wait until its last request has ended\n"                                    \
    "  --timeout=TIME  but no longer than that: 60s, 500ms, 2m\n"
#define CODES                                                                                      \
    "\n"                                                                                           \
    "Exit codes: 0 done, 1 failed, not found, or requests are left after --timeout, 2 wrong\n"     \
    "command line, 69 no weir runs, 75 in conflict with what is there, 77 not permitted.\n"

static const char DRAIN_USAGE[] =
    "usage: weir drain [OPTIONS] UPSTREAM/SERVER\n"
    "\n"
    "Sends a server no new requests; what runs may end, and its checks go on. It lasts over "
    "reloads\n"
    "and restarts until weir enable, or until the file says something else of the server.\n"
    "\n" WAIT_USAGE "  --no-persist    forget it when weir is started again\n" ADMIN_USAGE CODES;

static const char ENABLE_USAGE[] =
    "usage: weir enable [OPTIONS] UPSTREAM/SERVER\n"
    "\n"
    "Brings a server back that was drained or disabled, or that the configuration has down.\n"
    "\n"
    "  --no-persist    forget it when weir is started again\n" ADMIN_USAGE CODES;

static const char DISABLE_USAGE[] =
    "usage: weir disable [OPTIONS] UPSTREAM/SERVER\n"
    "\n"
    "Takes a server out as if it was configured to be down: no requests, no checks.\n"
    "\n" WAIT_USAGE "  --no-persist    forget it when weir is started again\n" ADMIN_USAGE CODES;

static const char SERVER_USAGE[] =
    "usage: weir server add [OPTIONS] UPSTREAM ADDRESS [OPTION=VALUE...]\n"
    "       weir server rm [OPTIONS] UPSTREAM SERVER\n"
    "       weir server weight [OPTIONS] UPSTREAM SERVER NUMBER|default\n"
    "\n"
    "Adds a server (with options as in the configuration: weight=2, name=c, backup), removes one,\n"
    "or says what its share is. A removed one gets no new requests; what runs may end.\n"
    "\n" WAIT_USAGE "  --no-persist    forget it when weir is started again\n" ADMIN_USAGE CODES;

struct server_options {
    struct admin_client client;
    bool wait, no_persist;
    const char *timeout;
    int64_t timeout_ns; /* CLOCK_NEVER: none */
};

static int read_options(int argc, char **argv, struct server_options *options, const char *usage,
                        int *count)
{
    const struct cli_option table[] = {
        ADMIN_OPTIONS(options->client),
        {"--wait", NULL, &options->wait, NULL},
        {"--timeout", "TIME", NULL, &options->timeout},
        {"--no-persist", NULL, &options->no_persist, NULL},
        {0},
    };
    int code = cli_options(argc, argv, table, usage, count);
    options->timeout_ns = CLOCK_NEVER;
    if (code >= 0 || options->timeout == NULL)
        return code;
    options->timeout_ns = admin_duration(options->timeout);
    if (options->timeout_ns < 0)
        return cli_usage_error(argv[0], "--timeout is written 60s, 500ms or 2m");
    if (!options->wait)
        return cli_usage_error(argv[0], "--timeout says how long --wait waits");
    return -1;
}

/* Asks for the operation until it is over. */
static int wait_for(struct server_options *options, int64_t operation, struct slice what)
{
    int64_t until =
        options->timeout_ns == CLOCK_NEVER ? CLOCK_NEVER : clock_monotonic() + options->timeout_ns;
    bool is_quiet = options->client.json;
    long long left = -1;
    if (!is_quiet)
        printf("draining %.*s", SLICE_ARG(what));
    for (;;) {
        int64_t now = clock_monotonic();
        int64_t wait = until - now < SECONDS(POLL_S) ? until - now : SECONDS(1);
        struct admin_reply reply;
        struct admin_question question = {
            .method = "GET",
            .path = arena_format(&options->client.arena, "/v1/operations/%lld?wait=%lldms",
                                 (long long)operation,
                                 (long long)(wait < 0 ? 0 : wait / MILLISECONDS(1))),
        };
        fflush(stdout);
        int code = admin_ask(&options->client, &question, &reply);
        if (code != EXIT_DONE)
            return code;
        long long now_left = admin_number(&reply.json, "left");
        if (!is_quiet && now_left != left)
            printf(left < 0 ? "   %lld requests left" : " … %lld", now_left);
        left = now_left;
        bool is_done = slice_equal(admin_text(&reply.json, "state"), SLICE("done"));
        if (!is_done && clock_monotonic() < until)
            continue;
        if (is_quiet)
            cli_print(reply.body);
        else if (is_done)
            printf("   done in %.1fs\n", admin_seconds(&reply.json, "took"));
        else
            printf("   not done after %s\n", options->timeout);
        return is_done ? EXIT_DONE : EXIT_FAILED;
    }
}

static int ask(struct server_options *options, const struct admin_question *question,
               struct slice what, struct slice said)
{
    struct admin_reply reply;
    int code = admin_ask(&options->client, question, &reply);
    if (code != EXIT_DONE)
        return code;
    int64_t operation = admin_number(&reply.json, "operation");
    if (options->wait && operation > 0)
        return wait_for(options, operation, what);
    if (options->client.json)
        cli_print(reply.body);
    else
        printf("%.*s\n", SLICE_ARG(said));
    return EXIT_DONE;
}

static struct slice path_of(struct server_options *options, struct slice upstream,
                            struct slice server, const char *query)
{
    struct admin_client *client = &options->client;
    struct slice name = admin_escape(client, upstream);
    struct slice id = admin_escape(client, server);
    return arena_format(&client->arena, "/v1/upstreams/%.*s/servers%s%.*s%s", SLICE_ARG(name),
                        server.size > 0 ? "/" : "", SLICE_ARG(id), query);
}

static int change(struct server_options *options, struct slice upstream, struct slice server,
                  struct slice members, const char *said)
{
    struct arena *arena = &options->client.arena;
    struct slice what = arena_format(arena, "%.*s/%.*s", SLICE_ARG(upstream), SLICE_ARG(server));
    struct admin_question question = {
        .method = "PATCH",
        .path = path_of(options, upstream, server, ""),
        .type = "application/json",
        .body = arena_format(arena, "{%.*s%s}", SLICE_ARG(members),
                             options->no_persist ? ",\"persist\":false" : ",\"persist\":true"),
    };
    return ask(options, &question, what, arena_format(arena, "%s %.*s", said, SLICE_ARG(what)));
}

static int set_state(int argc, char **argv, const char *usage, struct slice members,
                     const char *said)
{
    struct server_options options = {0};
    int count;
    admin_client_init(&options.client);
    int code = read_options(argc, argv, &options, usage, &count);
    if (code < 0 && count != 1)
        code = cli_usage_error(argv[0], "name one server: UPSTREAM/SERVER");
    if (code < 0) {
        struct slice name = slice_from_cstring(argv[1]);
        size_t slash = slice_find(name, '/');
        if (slash == 0 || slash + 1 >= name.size)
            code = cli_usage_error(argv[0], "\"%s\" is not UPSTREAM/SERVER", argv[1]);
        else
            code = change(&options, slice_first(name, slash), slice_from(name, slash + 1), members,
                          said);
    }
    return admin_client_end(&options.client, code);
}

int command_drain(int argc, char **argv)
{
    return set_state(argc, argv, DRAIN_USAGE, SLICE("\"state\":\"drain\""), "draining");
}

int command_enable(int argc, char **argv)
{
    return set_state(argc, argv, ENABLE_USAGE, SLICE("\"state\":\"up\""), "enabled");
}

int command_disable(int argc, char **argv)
{
    return set_state(argc, argv, DISABLE_USAGE, SLICE("\"state\":\"down\""), "disabled");
}

/* OPTION=VALUE and flags, as members. A number stays one. */
static void write_members(char **words, int count, struct buffer *out)
{
    for (int i = 0; i < count; i++) {
        struct slice word = slice_from_cstring(words[i]);
        size_t equals = slice_find(word, '=');
        struct slice value = slice_from(word, equals + 1);
        uint64_t number;
        buffer_append_byte(out, ',');
        json_string(out, slice_first(word, equals));
        buffer_append_byte(out, ':');
        if (equals == word.size)
            buffer_append(out, SLICE("true"));
        else if (slice_to_u64(value, INT64_MAX, &number))
            buffer_append_u64(out, number);
        else
            json_string(out, value);
    }
}

static int add(struct server_options *options, int count, char **words)
{
    if (count < 2)
        return cli_usage_error("server", "add UPSTREAM ADDRESS [OPTION=VALUE...]");
    struct arena *arena = &options->client.arena;
    struct buffer body = buffer_in(arena, 256);
    buffer_append(&body, SLICE("{\"address\":"));
    json_string(&body, slice_from_cstring(words[1]));
    write_members(words + 2, count - 2, &body);
    buffer_append(&body, options->no_persist ? SLICE(",\"persist\":false}") : SLICE("}"));
    struct admin_question question = {
        .method = "POST",
        .path = path_of(options, slice_from_cstring(words[0]), SLICE(""), ""),
        .type = "application/json",
        .body = buffer_slice(&body),
    };
    return ask(options, &question, SLICE(""),
               arena_format(arena, "added %s/%s", words[0], words[1]));
}

static int remove_server(struct server_options *options, int count, char **words)
{
    if (count != 2)
        return cli_usage_error("server", "rm UPSTREAM SERVER");
    struct arena *arena = &options->client.arena;
    struct slice what = arena_format(arena, "%s/%s", words[0], words[1]);
    struct admin_question question = {
        .method = "DELETE",
        .path = path_of(options, slice_from_cstring(words[0]), slice_from_cstring(words[1]),
                        options->no_persist ? "?persist=false" : ""),
    };
    return ask(options, &question, what, arena_format(arena, "removed %.*s", SLICE_ARG(what)));
}

static int weigh(struct server_options *options, int count, char **words)
{
    uint64_t number = 0;
    if (count != 3)
        return cli_usage_error("server", "weight UPSTREAM SERVER NUMBER|default");
    bool is_default = strcmp(words[2], "default") == 0;
    if (!is_default && !slice_to_u64(slice_from_cstring(words[2]), UINT32_MAX, &number))
        return cli_usage_error("server", "\"%s\" is no weight", words[2]);
    struct arena *arena = &options->client.arena;
    struct slice members = is_default
                               ? SLICE("\"weight\":null")
                               : arena_format(arena, "\"weight\":%llu", (unsigned long long)number);
    return change(options, slice_from_cstring(words[0]), slice_from_cstring(words[1]), members,
                  "weighed");
}

int command_server(int argc, char **argv)
{
    struct server_options options = {0};
    int count;
    admin_client_init(&options.client);
    int code = read_options(argc, argv, &options, SERVER_USAGE, &count);
    if (code < 0 && count == 0)
        code = cli_usage_error("server", "add, rm or weight?");
    else if (code < 0 && strcmp(argv[1], "add") == 0)
        code = add(&options, count - 1, argv + 2);
    else if (code < 0 && (strcmp(argv[1], "rm") == 0 || strcmp(argv[1], "remove") == 0))
        code = remove_server(&options, count - 1, argv + 2);
    else if (code < 0 && strcmp(argv[1], "weight") == 0)
        code = weigh(&options, count - 1, argv + 2);
    else if (code < 0)
        code = cli_usage_error("server", "no such thing to do: %s", argv[1]);
    return admin_client_end(&options.client, code);
}
