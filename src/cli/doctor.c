/* SPDX-License-Identifier: Apache-2.0 */
/* weir doctor: what of the machine, the configuration and the weir that runs may go wrong, each
 * with its remedy. */
#include "cli/doctor.h"
#include "base/clock.h"
#include "base/json.h"
#include "cli/admin_client.h"
#include "cli/config_args.h"
#include "control/listening.h"
#include "control/snapshot.h"

#include <stdio.h>
#include <unistd.h>

static const char USAGE[] =
    "usage: weir doctor [OPTIONS] [FILE]\n"
    "\n"
    "Looks at the machine (open files, kernel, clock, names, journal), at the configuration with\n"
    "its files, who may read its keys, its names and ports and whether the names of its sites "
    "lead\n"
    "here, and at the weir that runs (answers, version, drift, servers, certificates), and says\n"
    "what may go wrong, and what to do.\n"
    "\n"
    "  --config=FILE  the configuration, when it is not an operand\n"
    "  --no-names     ask for no names of sites and servers\n"
    "  --strict       warnings are a failure too\n" ADMIN_USAGE "\n"
    "Exit codes: 0 nothing is wrong (there may be warnings), 1 something is, 2 wrong command "
    "line.\n";

void doctor_find(struct doctor *d, enum doctor_state state, const char *check, struct slice what,
                 const char *remedy)
{
    static const char *const COLOURS[] = {"\033[32m", "\033[36m", "\033[33m", "\033[31m"};
    static const char *const STATES[] = {"ok", "note", "warning", "wrong"};
    d->counts[state]++;
    if (d->client.json) {
        if (d->json.data[d->json.size - 1] == '}')
            buffer_append_byte(&d->json, ',');
        buffer_append_byte(&d->json, '{');
        json_field(&d->json, "check", slice_from_cstring(check));
        json_field(&d->json, "state", slice_from_cstring(STATES[state]));
        json_field(&d->json, "what", what);
        if (remedy != NULL)
            json_field(&d->json, "remedy", slice_from_cstring(remedy));
        buffer_append_byte(&d->json, '}');
        return;
    }
    printf("%s%-8s%s %-14s %.*s\n", d->with_colour ? COLOURS[state] : "", STATES[state],
           d->with_colour ? "\033[0m" : "", check, SLICE_ARG(what));
    if (remedy != NULL)
        printf("%24s-> %s\n", "", remedy);
}

static void look_at_listen(struct doctor *d, const struct config_listen *listen)
{
    char why[LISTENING_WHY_MAX];
    struct listening *listening;
    struct slice name = listen->name;
    if (listen->address.any.sa_family == AF_UNIX) /* a socket that is there would be taken over */
        return;
    if (listening_open(&listen->address, name, 1, &listening, why) == OK) {
        listening_close(listening);
        doctor_find(d, DOCTOR_GOOD, "listen",
                    arena_format(d->arena, "%.*s is free", SLICE_ARG(name)), NULL);
        return;
    }
    doctor_find(d, DOCTOR_WRONG, "listen", arena_copy(d->arena, slice_from_cstring(why)),
                address_port(&listen->address) < 1024
                    ? "end who holds it; ports below 1024 need CAP_NET_BIND_SERVICE"
                    : "end who holds it, or listen elsewhere");
}

static void look_at_errors(struct doctor *d, const struct config_errors *errors)
{
    for (size_t i = 0; i < errors->count; i++) {
        const struct config_error *error = &errors->items[i];
        bool is_warning = config_code_is_warning(error->code);
        struct slice file = error->place.file == NULL ? SLICE("") : error->place.file->name;
        const char *help = config_code_help(error->code);
        doctor_find(d, is_warning ? DOCTOR_WARNING : DOCTOR_WRONG, "configuration",
                    arena_format(d->arena, "%.*s:%u:%u: %s: %.*s", SLICE_ARG(file),
                                 error->place.line, error->place.column,
                                 config_code_name(error->code), SLICE_ARG(error->message)),
                    help[0] != '\0' ? help : "weir check shows the place");
    }
}

static void look_at_configuration(struct doctor *d, const char *operand)
{
    struct config_errors errors;
    const char *path = operand != NULL ? operand : d->config;
    if (path == NULL)
        path = cli_find_configuration();
    if (path == NULL) {
        doctor_find(d, DOCTOR_WRONG, "configuration", SLICE("there is none"),
                    "write ./weir.conf or /etc/weir/weir.conf; weir demo --print-config shows one");
        return;
    }
    struct config_request request = {.path = slice_from_cstring(path), .check_files = true};
    config_errors_init(&errors, d->arena);
    const struct config *config = config_load(&request, d->arena, &errors);
    if (errors.errors == 0)
        snapshot_check(config, false, d->no_names, &errors);
    look_at_errors(d, &errors);
    if (errors.errors > 0)
        return;
    doctor_find(d, DOCTOR_GOOD, "configuration",
                arena_format(d->arena, "%s: %zu sites, %zu upstreams", path, config->sites_count,
                             config->upstreams_count),
                NULL);
    doctor_look_at_files(d, config);
    doctor_look_at_names(d, config);
    for (size_t i = 0; i < config->listens_count && !d->is_running; i++)
        look_at_listen(d, &config->listens[i]);
}

static bool ask(struct doctor *d, struct slice path, struct admin_reply *reply)
{
    struct admin_question question = {.method = "GET", .path = path, .timeout = SECONDS(10)};
    return admin_ask(&d->client, &question, reply) == EXIT_DONE;
}

static void look_at_status(struct doctor *d, const struct json_value *status)
{
    const struct json_value *config = admin_member(status, "config");
    struct slice version = admin_text(status, "version");
    struct slice commit = admin_text(status, "commit");
    bool is_same =
        slice_equal(version, SLICE(WEIR_VERSION)) && slice_equal(commit, SLICE(WEIR_COMMIT));
    doctor_find(d, is_same ? DOCTOR_GOOD : DOCTOR_WARNING, "version",
                arena_format(d->arena, "%.*s (%.*s) runs%s", SLICE_ARG(version), SLICE_ARG(commit),
                             is_same ? "" : ", this program is another one"),
                is_same ? NULL : "weir upgrade puts this one in its place");
    bool is_drifting = admin_is(config, "ephemeral");
    doctor_find(d, is_drifting ? DOCTOR_WARNING : DOCTOR_GOOD, "drift",
                is_drifting ? SLICE("what is served was pushed, and is not what the file says")
                            : SLICE("what is served is what was configured"),
                is_drifting ? "weir config get > FILE, or weir reload" : NULL);
    long long usable = admin_number(status, "servers_usable");
    long long servers = admin_number(status, "servers");
    doctor_find(d,
                usable == 0 && servers > 0 ? DOCTOR_WRONG
                : usable < servers         ? DOCTOR_WARNING
                                           : DOCTOR_GOOD,
                "servers", arena_format(d->arena, "%lld of %lld are usable", usable, servers),
                usable < servers ? "weir upstreams says why not" : NULL);
    struct slice level = admin_text(admin_member(status, "memory"), "level");
    bool is_calm = slice_equal(level, SLICE("normal"));
    doctor_find(d, is_calm ? DOCTOR_GOOD : DOCTOR_WARNING, "memory", level,
                is_calm ? NULL : "limits { memory ... }, or more of it");
}

static void look_at_certs(struct doctor *d)
{
    struct admin_reply reply;
    if (!ask(d, SLICE("/v1/certs"), &reply))
        return;
    const struct json_value *list = admin_member(&reply.json, "certs");
    for (const struct json_value *c = list == NULL ? NULL : list->children; c != NULL;
         c = c->next) {
        struct slice state = admin_text(c, "state");
        bool is_soon = slice_equal(state, SLICE("soon"));
        bool is_good = slice_equal(state, SLICE("ok"));
        doctor_find(d,
                    is_good   ? DOCTOR_GOOD
                    : is_soon ? DOCTOR_WARNING
                              : DOCTOR_WRONG,
                    "certificate",
                    arena_format(d->arena, "%.*s: %.*s, until %.*s",
                                 SLICE_ARG(admin_text(c, "site")), SLICE_ARG(state),
                                 SLICE_ARG(slice_first(admin_text(c, "expires"), 10))),
                    is_good ? NULL : "renew it; weir reads the new files by itself");
    }
}

static void look_at_running(struct doctor *d)
{
    struct admin_reply reply;
    /* What is not there is a finding, not an error on stderr. */
    int64_t began = clock_monotonic();
    d->client.is_quiet = true;
    d->is_running = ask(d, SLICE("/v1/status"), &reply);
    d->client.is_quiet = false;
    if (!d->is_running) {
        doctor_find(d, DOCTOR_NOTE, "running", SLICE("no weir answers"),
                    "systemctl start weir, or weir run");
        return;
    }
    doctor_find(d, DOCTOR_GOOD, "running",
                arena_format(d->arena, "pid %lld, it answers in %lld ms",
                             (long long)admin_number(&reply.json, "pid"),
                             (long long)((clock_monotonic() - began) / MILLISECONDS(1))),
                NULL);
    look_at_status(d, &reply.json);
    look_at_certs(d);
}

static int conclude(struct doctor *d)
{
    if (d->client.json) {
        buffer_format(&d->json, "],\"wrong\":%zu,\"warnings\":%zu,\"ok\":%s}\n",
                      d->counts[DOCTOR_WRONG], d->counts[DOCTOR_WARNING],
                      d->counts[DOCTOR_WRONG] == 0 ? "true" : "false");
        cli_print(buffer_slice(&d->json));
    } else {
        printf("%zu wrong, %zu warning%s\n", d->counts[DOCTOR_WRONG], d->counts[DOCTOR_WARNING],
               d->counts[DOCTOR_WARNING] == 1 ? "" : "s");
    }
    bool is_wrong = d->counts[DOCTOR_WRONG] > 0 || (d->is_strict && d->counts[DOCTOR_WARNING] > 0);
    return is_wrong ? EXIT_FAILED : EXIT_DONE;
}

int command_doctor(int argc, char **argv)
{
    struct doctor d = {0};
    int count;
    admin_client_init(&d.client);
    const struct cli_option table[] = {
        ADMIN_OPTIONS(d.client),
        {"--config", "FILE", NULL, &d.config},
        {"-c", "FILE", NULL, &d.config},
        {"--no-names", NULL, &d.no_names, NULL},
        {"--strict", NULL, &d.is_strict, NULL},
        {0},
    };
    int code = cli_options(argc, argv, table, USAGE, &count);
    if (code < 0 && count > 1)
        code = cli_usage_error("doctor", "one configuration at a time");
    if (code < 0) {
        d.arena = &d.client.arena;
        d.json = buffer_in(d.arena, 4096);
        buffer_append(&d.json, SLICE("{\"findings\":["));
        (void)cli_colour(NULL, STDOUT_FILENO, &d.with_colour);
        doctor_look_at_machine(&d);
        look_at_running(&d);
        look_at_configuration(&d, count == 1 ? argv[1] : NULL);
        code = conclude(&d);
    }
    return admin_client_end(&d.client, code);
}
