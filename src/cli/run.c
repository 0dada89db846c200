/* SPDX-License-Identifier: Apache-2.0 */
/* weir run: from a file to a serving process, and its end. This is control's thread. */
#include "base/check.h"
#include "base/log.h"
#include "cli/config_args.h"
#include "cli/privileges.h"
#include "control/access_log.h"
#include "control/certificates.h"
#include "control/data_files.h"
#include "control/discovery.h"
#include "control/health_check.h"
#include "control/held_watch.h"
#include "control/snapshot.h"
#include "control/worker.h"
#include "fiber/fiber.h"
#include "fiber/offload.h"
#include "fiber/signal.h"
#include "serve/report.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static const char USAGE[] =
    "usage: weir run [--config=FILE] [FILE]\n"
    "\n"
    "Serves a configuration in the foreground; says \"ready\" on stderr. Without a file:\n"
    "$WEIR_CONFIG, ./weir.conf, /etc/weir/weir.conf.\n"
    "\n"
    "TERM and QUIT end it when what runs has finished, a second time or INT at once;\n"
    "USR1 opens the log files anew.\n"
    "\n"
    "Exit codes: 0 ended, 1 failed, 2 wrong command line, 77 not permitted, 78 configuration not\n"
    "usable.\n";

enum {
    OFFLOAD_THREADS = 2,
};

/* What is running: there is one of it in a process. */
static struct {
    struct arena arena; /* of the configuration */
    struct snapshot *snapshot;
    struct workers workers;
    struct discovery *discovery;
    struct health_checks *health_checks;
    struct held_watch *held_watch;
    struct thread control; /* of this thread */
    bool is_ending;
} running;

static void on_ended(void)
{
    loop_stop();
}

static void on_signal(int number)
{
    switch (number) {
    case SIGTERM:
    case SIGQUIT:
        if (!running.is_ending) {
            running.is_ending = true;
            log_write(LOG_INFO, "draining", "ending: no new connections; what runs may finish");
            workers_drain(&running.workers);
            return;
        }
        workers_cut(&running.workers);
        return;
    case SIGINT:
        running.is_ending = true;
        workers_cut(&running.workers);
        return;
    case SIGUSR1:
        access_log_reopen(running.snapshot->access_log);
        return;
    default:
        log_write(LOG_INFO, "signal_ignored", "signal %d is ignored", number);
    }
}

static void log_exchange(const struct exchange *x)
{
    access_log_write(serve_self()->log, x);
}

/* Prints what is wrong; whether the configuration may be used. */
static bool show(const struct config_errors *errors, const char *name)
{
    bool with_colour;
    cli_colour(NULL, STDERR_FILENO, &with_colour);
    cli_show_errors(errors, with_colour, slice_from_cstring(name));
    if (errors->errors > 0)
        fprintf(stderr, "weir was not started\n");
    return errors->errors == 0;
}

static const struct config *load(struct slice text, const char *name, struct config_errors *errors)
{
    struct config_request request = {
        .path = slice_from_cstring(name),
        .text = text,
        .has_text = text.data != NULL,
        .check_files = true,
    };
    return config_load(&request, &running.arena, errors);
}

static void set_error_log(const struct config *config)
{
    for (size_t i = 0; i < config->logs_count; i++) {
        const struct log_config *log = config->logs[i]->config;
        if (log->kind == LOG_KIND_ERROR)
            log_set_level((enum log_level)log->level);
    }
}

static void say_ready(const struct snapshot *snapshot)
{
    char text[512];
    struct buffer out = buffer_fixed(text, sizeof text);
    for (size_t i = 0; i < snapshot->listeners_count; i++) {
        buffer_append(&out, i == 0 ? SLICE("") : SLICE(", "));
        buffer_append(&out, snapshot->listeners[i].name);
    }
    log_write(LOG_INFO, "ready", "ready: %u worker%s on %.*s", snapshot->workers,
              snapshot->workers == 1 ? "" : "s", SLICE_ARG(buffer_slice(&out)));
}

static enum exit_code serve(const struct config *config)
{
    static const int SIGNALS[] = {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, 0};
    struct workers *workers = &running.workers;
    enum status status = workers_open(workers, running.snapshot, running.snapshot->workers);
    if (status != OK)
        return status == ERR_DENIED ? EXIT_NOT_PERMITTED : EXIT_FAILED;
    if (privileges_drop(config->user, config->group, config->core_dumps) != OK)
        return EXIT_NOT_PERMITTED;
    if (signal_watch(SIGNALS, on_signal) != OK) {
        log_write(LOG_ERROR, "start_failed", "no descriptor for signals");
        return EXIT_FAILED;
    }
    if (offload_start(OFFLOAD_THREADS) != OK) {
        log_write(LOG_ERROR, "start_failed", "the threads for files could not be started");
        signal_unwatch();
        return EXIT_FAILED;
    }
    workers->on_ended = on_ended;
    exchange_set_log(log_exchange);
    enum exit_code code = EXIT_DONE;
    if (discovery_start(config, running.snapshot, &running.discovery) != OK ||
        held_watch_start(config, &running.held_watch) != OK || workers_start(workers) != OK ||
        data_files_watch() != OK ||
        health_checks_start(config, running.snapshot, &running.health_checks) != OK) {
        log_write(LOG_ERROR, "start_failed", "the workers could not be started");
        code = EXIT_FAILED;
        workers_cut(workers);
    } else {
        certificates_watch(running.snapshot->certificates);
        say_ready(running.snapshot);
    }
    loop_run();
    certificates_unwatch(running.snapshot->certificates);
    data_files_unwatch();
    health_checks_stop(running.health_checks);
    held_watch_stop(running.held_watch);
    discovery_stop(running.discovery);
    offload_stop();
    signal_unwatch();
    return code;
}

static void print_mark(const char *name, size_t bytes)
{
    fprintf(stderr, "weir: stack of %s: %zu bytes at most\n", name, bytes);
}

int run_configuration(struct slice text, const char *name)
{
    check_set_context(report_context);
    arena_init(&running.arena, NULL, 0);
    struct config_errors errors;
    config_errors_init(&errors, &running.arena);
    const struct config *config = load(text, name, &errors);
    enum exit_code code = EXIT_CONFIG;
    if (errors.errors == 0) {
        unsigned count = config->workers > 0 ? (unsigned)config->workers : workers_default();
        set_error_log(config);
        running.snapshot = snapshot_new(config, count, &errors);
    }
    if (show(&errors, name) && running.snapshot != NULL) {
        code = EXIT_FAILED;
        if (thread_init(&running.control, "control", -1) == OK) {
            code = serve(config);
            workers_done(&running.workers);
            thread_done(&running.control);
        } else {
            log_write(LOG_ERROR, "start_failed", "no descriptors for an event loop");
        }
    }
    if (running.snapshot != NULL)
        snapshot_free(running.snapshot);
    arena_done(&running.arena);
    fiber_each_high_water(print_mark);
    return (int)code;
}

int command_run(int argc, char **argv)
{
    const char *file = NULL;
    const struct cli_option table[] = {
        {"--config", "FILE", NULL, &file},
        {"-c", "FILE", NULL, &file},
        {0},
    };
    int count;
    int code = cli_options(argc, argv, table, USAGE, &count);
    if (code >= 0)
        return code;
    if (count > 1)
        return cli_usage_error("run", "one file at a time");
    file = cli_config_path(count == 1 ? argv[1] : NULL, file);
    return file == NULL ? (int)EXIT_CONFIG : run_configuration((struct slice){NULL, 0}, file);
}
