/* SPDX-License-Identifier: Apache-2.0 */
/* weir doctor: what of the machine, the configuration and the weir that runs may go wrong, each
 * with its remedy. */
#include "base/clock.h"
#include "base/json.h"
#include "cli/admin_client.h"
#include "cli/config_args.h"
#include "control/listening.h"
#include "control/snapshot.h"
#include "control/state.h"
#include "fiber/file.h"
#include "fiber/process.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    FILES_FEW = 16384,
    SOMAXCONN_FEW = 1024,
    YEAR_2025 = 1735689600, /* seconds: what a clock that was set cannot be before */
    PORTS_FEW = 10000,
    KERNEL_OLD_MAJOR = 5,
    FILE_SMALL = 64 * 1024,
};

static const char USAGE[] =
    "usage: weir doctor [OPTIONS] [FILE]\n"
    "\n"
    "Looks at the machine (open files, kernel, clock, names, journal), at the configuration with\n"
    "its files, keys, names and ports, and at the weir that runs (answers, version, drift, "
    "servers,\n"
    "certificates), and says what may go wrong, and what to do.\n"
    "\n"
    "  --config=FILE  the configuration, when it is not an operand\n"
    "  --strict       warnings are a failure too\n" ADMIN_USAGE "\n"
    "Exit codes: 0 nothing is wrong (there may be warnings), 1 something is, 2 wrong command "
    "line.\n";

enum state { GOOD, NOTE, WARNING, WRONG };
static const char *const STATES[] = {"ok", "note", "warning", "wrong"};

struct doctor {
    struct admin_client client;
    struct arena *arena; /* the client's */
    struct buffer json;
    size_t counts[WRONG + 1];
    const char *config;
    bool is_strict, is_running, with_colour;
};

static void find(struct doctor *d, enum state state, const char *check, struct slice what,
                 const char *remedy)
{
    static const char *const COLOURS[] = {"\033[32m", "\033[36m", "\033[33m", "\033[31m"};
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

/* The text of a small file without its last newline; empty: it cannot be read. */
static struct slice text_of(struct doctor *d, const char *path)
{
    struct slice text;
    const char *why;
    if (file_read(path, FILE_SMALL, d->arena, &text, &why) != OK)
        return SLICE("");
    while (text.size > 0 && text.data[text.size - 1] == '\n')
        text.size--;
    return text;
}

static uint64_t number_of(struct doctor *d, const char *path)
{
    uint64_t number = 0;
    struct slice text = text_of(d, path);
    return slice_to_u64(slice_first(text, slice_find(text, '\t')), INT64_MAX, &number) ? number : 0;
}

static void look_at_limits(struct doctor *d)
{
    struct process_figures figures;
    process_raise_open_files();
    process_look(&figures);
    bool is_few = figures.files_max < FILES_FEW;
    find(d, is_few ? WARNING : GOOD, "open files",
         arena_format(d->arena, "at most %llu", (unsigned long long)figures.files_max),
         is_few ? "LimitNOFILE=1048576 in the unit, or ulimit -Hn 1048576" : NULL);
    uint64_t backlog = number_of(d, "/proc/sys/net/core/somaxconn");
    if (backlog > 0)
        find(d, backlog < SOMAXCONN_FEW ? WARNING : GOOD, "backlog",
             arena_format(d->arena, "net.core.somaxconn is %llu", (unsigned long long)backlog),
             backlog < SOMAXCONN_FEW ? "sysctl net.core.somaxconn=4096" : NULL);
    struct slice range = text_of(d, "/proc/sys/net/ipv4/ip_local_port_range");
    size_t tab = slice_find(range, '\t');
    uint64_t low = 0;
    uint64_t high = 0;
    if (slice_to_u64(slice_first(range, tab), 65535, &low) &&
        slice_to_u64(slice_trim(slice_from(range, tab)), 65535, &high))
        find(d, high - low < PORTS_FEW ? WARNING : GOOD, "ports",
             arena_format(d->arena, "%llu for connections to servers",
                          (unsigned long long)(high - low + 1)),
             high - low < PORTS_FEW ? "sysctl net.ipv4.ip_local_port_range=\"10240 65535\"" : NULL);
}

static void look_at_system(struct doctor *d)
{
    struct slice release = text_of(d, "/proc/sys/kernel/osrelease");
    uint64_t major = 0;
    (void)slice_to_u64(slice_first(release, slice_find(release, '.')), 1000, &major);
    if (release.size > 0)
        find(d, major < KERNEL_OLD_MAJOR ? WARNING : GOOD, "kernel",
             arena_format(d->arena, "Linux %.*s", SLICE_ARG(release)),
             major < KERNEL_OLD_MAJOR ? "weir is tested on Linux 5.10 and later" : NULL);
    bool is_set = clock_wall() / SECONDS(1) > YEAR_2025;
    bool is_kept = file_changed("/run/systemd/timesync/synchronized") != 0 ||
                   file_changed("/run/chrony") != 0 || file_changed("/run/ntpd.pid") != 0;
    if (!is_set)
        find(d, WRONG, "clock", SLICE("it was never set: certificates seem not yet valid"),
             "set it, and keep it so: systemd-timesyncd or chrony");
    else
        find(d, is_kept ? GOOD : NOTE, "clock",
             is_kept ? SLICE("it is kept right") : SLICE("nothing that keeps it right was found"),
             is_kept ? NULL : "systemd-timesyncd or chrony, unless the host does it");
    struct slice resolv = text_of(d, "/etc/resolv.conf");
    bool has_servers = slice_find_slice(resolv, SLICE("nameserver")) < resolv.size;
    find(d, has_servers ? GOOD : WARNING, "names",
         has_servers ? SLICE("/etc/resolv.conf names servers")
                     : SLICE("/etc/resolv.conf names no server"),
         has_servers ? NULL : "names of servers and authorities cannot be asked for");
    struct slice journal = text_of(d, "/etc/systemd/journald.conf");
    bool has_rate = slice_find_slice(journal, SLICE("\nRateLimit")) < journal.size;
    if (journal.size > 0 && !has_rate)
        find(d, NOTE, "journal", SLICE("it drops what is more than 10,000 messages in 30 s"),
             "write access logs to files, or RateLimitIntervalSec=0 in journald.conf");
}

static void look_at_state(struct doctor *d)
{
    const char *path = state_directory();
    bool is_there = path != NULL && file_changed(path) != 0;
    bool is_good = path != NULL && (!is_there || access(path, W_OK) == 0);
    find(d, is_good ? GOOD : WARNING, "state",
         path == NULL ? SLICE("there is no place for it")
                      : arena_format(d->arena, "%s %s", path,
                                     !is_there ? "is made when it is needed"
                                     : is_good ? "can be written"
                                               : "cannot be written"),
         is_good ? NULL
                 : "StateDirectory=weir in the unit, or own that directory: what is changed "
                   "at run time is lost at a restart");
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
        find(d, GOOD, "listen", arena_format(d->arena, "%.*s is free", SLICE_ARG(name)), NULL);
        return;
    }
    find(d, WRONG, "listen", arena_copy(d->arena, slice_from_cstring(why)),
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
        find(d, is_warning ? WARNING : WRONG, "configuration",
             arena_format(d->arena, "%.*s:%u:%u: %s: %.*s", SLICE_ARG(file), error->place.line,
                          error->place.column, config_code_name(error->code),
                          SLICE_ARG(error->message)),
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
        find(d, WRONG, "configuration", SLICE("there is none"),
             "write ./weir.conf or /etc/weir/weir.conf; weir demo --print-config shows one");
        return;
    }
    struct config_request request = {.path = slice_from_cstring(path), .check_files = true};
    config_errors_init(&errors, d->arena);
    const struct config *config = config_load(&request, d->arena, &errors);
    if (errors.errors == 0)
        snapshot_check(config, false, false, &errors);
    look_at_errors(d, &errors);
    if (errors.errors > 0)
        return;
    find(d, GOOD, "configuration",
         arena_format(d->arena, "%s: %zu sites, %zu upstreams", path, config->sites_count,
                      config->upstreams_count),
         NULL);
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
    find(d, is_same ? GOOD : WARNING, "version",
         arena_format(d->arena, "%.*s (%.*s) runs%s", SLICE_ARG(version), SLICE_ARG(commit),
                      is_same ? "" : ", this program is another one"),
         is_same ? NULL : "weir upgrade puts this one in its place");
    bool is_drifting = admin_is(config, "ephemeral");
    find(d, is_drifting ? WARNING : GOOD, "drift",
         is_drifting ? SLICE("what is served was pushed, and is not what the file says")
                     : SLICE("what is served is what was configured"),
         is_drifting ? "weir config get > FILE, or weir reload" : NULL);
    long long usable = admin_number(status, "servers_usable");
    long long servers = admin_number(status, "servers");
    find(d,
         usable == 0 && servers > 0 ? WRONG
         : usable < servers         ? WARNING
                                    : GOOD,
         "servers", arena_format(d->arena, "%lld of %lld are usable", usable, servers),
         usable < servers ? "weir upstreams says why not" : NULL);
    struct slice level = admin_text(admin_member(status, "memory"), "level");
    bool is_calm = slice_equal(level, SLICE("normal"));
    find(d, is_calm ? GOOD : WARNING, "memory", level,
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
        find(d,
             is_good   ? GOOD
             : is_soon ? WARNING
                       : WRONG,
             "certificate",
             arena_format(d->arena, "%.*s: %.*s, until %.*s", SLICE_ARG(admin_text(c, "site")),
                          SLICE_ARG(state), SLICE_ARG(slice_first(admin_text(c, "expires"), 10))),
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
        find(d, NOTE, "running", SLICE("no weir answers"), "systemctl start weir, or weir run");
        return;
    }
    find(d, GOOD, "running",
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
        buffer_format(&d->json, "],\"wrong\":%zu,\"warnings\":%zu,\"ok\":%s}\n", d->counts[WRONG],
                      d->counts[WARNING], d->counts[WRONG] == 0 ? "true" : "false");
        cli_print(buffer_slice(&d->json));
    } else {
        printf("%zu wrong, %zu warning%s\n", d->counts[WRONG], d->counts[WARNING],
               d->counts[WARNING] == 1 ? "" : "s");
    }
    bool is_wrong = d->counts[WRONG] > 0 || (d->is_strict && d->counts[WARNING] > 0);
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
        look_at_limits(&d);
        look_at_system(&d);
        look_at_state(&d);
        look_at_running(&d);
        look_at_configuration(&d, count == 1 ? argv[1] : NULL);
        code = conclude(&d);
    }
    return admin_client_end(&d.client, code);
}
