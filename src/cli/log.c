/* SPDX-License-Identifier: Apache-2.0 */
/* weir log: what a running weir does, as it does it; no file is needed. */
#include "base/json.h"
#include "cli/admin_client.h"
#include "cli/config_args.h"

#include <stdio.h>
#include <unistd.h>

static const char USAGE[] =
    "usage: weir log [-f] [OPTIONS]\n"
    "       weir log level [LEVEL [--for=TIME] | configured]\n"
    "\n"
    "Shows the latest failures and events of a running weir; with -f requests and events as they\n"
    "happen. No log has to be configured. weir log level says what the error log's level is, or "
    "sets\n"
    "it for a while (5m when none is said).\n"
    "\n"
    "  -f, --follow     go on until it is interrupted\n"
    "  --site=NAME      requests to that site, by its first name\n"
    "  --status=LIST    requests that were answered so: 404, 500-599, 5xx; several with commas\n"
    "  --slow=TIME      requests that took at least so long: 1s, 250ms\n"
    "  --failed         requests with an error\n"
    "  --level=LEVEL    events from that level on: debug, info, warn, error; info without it\n"
    "  --no-events      requests alone\n"
    "  --no-requests    events alone\n"
    "  --recent=NUMBER  begin with so many lines of the past (20; 0 to 1000)\n" ADMIN_USAGE "\n"
    "Exit codes: 0 done, 1 failed, 2 wrong command line, 69 no weir runs, 75 too many look on,\n"
    "77 not permitted.\n";

struct log_options {
    struct admin_client client;
    bool follows, is_failed, no_events, no_requests;
    const char *site, *status, *slow, *level, *recent, *duration;
    struct arena line_arena; /* emptied with each line */
    bool with_colour;
    bool is_access; /* the line that comes */
};

static const char *colour_of(const struct log_options *options, int64_t status, struct slice level)
{
    if (!options->with_colour)
        return "";
    if (status >= 500 || slice_equal(level, SLICE("error")))
        return "\033[31m";
    if (status >= 400 || slice_equal(level, SLICE("warn")))
        return "\033[33m";
    return level.size > 0 ? "\033[36m" : "";
}

static void show_time(const struct json_value *line)
{
    struct slice ts = admin_text(line, "ts");
    printf("%.*s ", SLICE_ARG(ts.size >= 23 ? slice_of(ts.data + 11, 12) : ts));
}

static void show_request(const struct log_options *options, const struct json_value *line)
{
    int64_t status = admin_number(line, "status");
    struct slice server = admin_text(line, "server");
    struct slice error = admin_text(line, "error");
    struct slice reason = admin_text(line, "reason");
    struct slice cache = admin_text(line, "cache");
    struct slice site = admin_text(line, "host");
    show_time(line);
    printf("%s%lld%s %-15.*s %.*s %.*s%.*s %.0fms %lldB", colour_of(options, status, SLICE("")),
           (long long)status, options->with_colour ? "\033[0m" : "",
           SLICE_ARG(admin_text(line, "client_ip")), SLICE_ARG(admin_text(line, "method")),
           SLICE_ARG(site), SLICE_ARG(admin_text(line, "uri")),
           admin_seconds(line, "duration") * 1000, (long long)admin_number(line, "bytes_out"));
    if (server.size > 0)
        printf(" %.*s/%.*s", SLICE_ARG(admin_text(line, "upstream")), SLICE_ARG(server));
    if (cache.size > 0)
        printf(" cache=%.*s", SLICE_ARG(cache));
    if (error.size > 0)
        printf(" %.*s", SLICE_ARG(error));
    if (reason.size > 0)
        printf(" (%.*s)", SLICE_ARG(reason));
    putchar('\n');
}

static void show_event(const struct log_options *options, const struct json_value *line)
{
    struct slice level = admin_text(line, "level");
    show_time(line);
    printf("%s%-5.*s%s %.*s: %.*s\n", colour_of(options, 0, level), SLICE_ARG(level),
           options->with_colour ? "\033[0m" : "", SLICE_ARG(admin_text(line, "event")),
           SLICE_ARG(admin_text(line, "msg")));
}

static void show_line(struct log_options *options, struct slice data)
{
    struct json_value line = {0};
    struct arena *arena = &options->line_arena;
    arena_done(arena);
    arena_init(arena, NULL, 0);
    if (options->client.json) {
        cli_print(data);
        putchar('\n');
    } else if (admin_read_json(arena, arena_copy(arena, data), &line)) {
        for (struct json_value *m = line.children; m != NULL; m = m->next)
            if (m->kind == JSON_STRING)
                m->text = admin_printable(arena, m->text);
        if (admin_member(&line, "lost") != NULL)
            printf("... %lld lines were missed\n", (long long)admin_number(&line, "lost"));
        else if (options->is_access)
            show_request(options, &line);
        else
            show_event(options, &line);
    }
    (void)fflush(stdout);
}

static void on_line(void *argument, struct slice line)
{
    struct log_options *options = argument;
    if (slice_starts(line, SLICE("event: ")))
        options->is_access = slice_equal(slice_from(line, 7), SLICE("access"));
    if (slice_starts(line, SLICE("data: ")))
        show_line(options, slice_from(line, 6));
}

static void add(struct log_options *options, struct buffer *path, const char *name,
                const char *value)
{
    if (value != NULL)
        buffer_format(path, "&%s=%.*s", name,
                      SLICE_ARG(admin_escape(&options->client, slice_from_cstring(value))));
}

static int look(struct log_options *options)
{
    struct admin_reply reply;
    struct buffer path = buffer_in(&options->client.arena, 256);
    buffer_format(&path, "%s?follow=%s", options->no_requests ? "/v1/events" : "/v1/log",
                  options->follows ? "true" : "false");
    add(options, &path, "site", options->site);
    add(options, &path, "status", options->status);
    add(options, &path, "slow", options->slow);
    add(options, &path, "level", options->level);
    add(options, &path, "recent", options->recent);
    if (options->is_failed)
        add(options, &path, "failed", "true");
    if (!options->no_events && !options->no_requests)
        add(options, &path, "events", "true");
    struct admin_question question = {
        .method = "GET", .path = buffer_slice(&path), .on_line = on_line, .argument = options};
    (void)cli_colour(NULL, STDOUT_FILENO, &options->with_colour);
    arena_init(&options->line_arena, NULL, 0);
    int code = admin_ask(&options->client, &question, &reply);
    arena_done(&options->line_arena);
    return code;
}

static int level(struct log_options *options, int count, char **argv)
{
    struct admin_reply reply;
    struct arena *arena = &options->client.arena;
    bool is_configured = count > 1 && strcmp(argv[2], "configured") == 0;
    struct admin_question question = {.method = "GET", .path = SLICE("/v1/log/level")};
    if (count > 2)
        return cli_usage_error("log", "one level at a time");
    if (count == 2) {
        struct buffer body = buffer_in(arena, 64);
        buffer_append(&body, SLICE("{\"level\":"));
        if (is_configured)
            buffer_append(&body, SLICE("null"));
        else
            json_string(&body, slice_from_cstring(argv[2]));
        if (options->duration != NULL && !is_configured) {
            json_name(&body, "for");
            json_string(&body, slice_from_cstring(options->duration));
        }
        buffer_append_byte(&body, '}');
        question.method = "PUT";
        question.type = "application/json";
        question.body = buffer_slice(&body);
    }
    int code = admin_ask(&options->client, &question, &reply);
    if (code == EXIT_DONE && options->client.json)
        cli_print(reply.body);
    else if (code == EXIT_DONE && admin_number(&reply.json, "seconds_left") > 0)
        printf("%.*s for %lld s more\n", SLICE_ARG(admin_text(&reply.json, "level")),
               (long long)admin_number(&reply.json, "seconds_left"));
    else if (code == EXIT_DONE)
        printf("%.*s\n", SLICE_ARG(admin_text(&reply.json, "level")));
    return code;
}

int command_log(int argc, char **argv)
{
    struct log_options options = {0};
    int count;
    admin_client_init(&options.client);
    const struct cli_option table[] = {
        ADMIN_OPTIONS(options.client),
        {"-f", NULL, &options.follows, NULL},
        {"--follow", NULL, &options.follows, NULL},
        {"--site", "NAME", NULL, &options.site},
        {"--status", "LIST", NULL, &options.status},
        {"--slow", "TIME", NULL, &options.slow},
        {"--failed", NULL, &options.is_failed, NULL},
        {"--level", "LEVEL", NULL, &options.level},
        {"--no-events", NULL, &options.no_events, NULL},
        {"--no-requests", NULL, &options.no_requests, NULL},
        {"--recent", "NUMBER", NULL, &options.recent},
        {"--for", "TIME", NULL, &options.duration},
        {0},
    };
    bool asks_requests = false;
    int code = cli_options(argc, argv, table, USAGE, &count);
    asks_requests =
        options.site != NULL || options.status != NULL || options.slow != NULL || options.is_failed;
    if (asks_requests) /* who asks for certain requests wants nothing else */
        options.no_events = options.level == NULL;
    if (code < 0 && options.no_requests && (asks_requests || options.no_events))
        code = cli_usage_error("log", "--no-requests goes with --level and --recent alone");
    if (code < 0 && count > 0 && strcmp(argv[1], "level") != 0)
        code = cli_usage_error("log", "takes no \"%s\"", argv[1]);
    if (code < 0)
        code = count > 0 ? level(&options, count, argv) : look(&options);
    return admin_client_end(&options.client, code);
}
