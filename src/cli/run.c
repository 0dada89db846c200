/* SPDX-License-Identifier: Apache-2.0 */
/* weir run: from a file to a serving process, and its end. This is control's thread. */
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "cli/config_args.h"
#include "control/service.h"
#include "control/supervised.h"
#include "control/supervisor.h"
#include "fiber/child.h"
#include "fiber/crash.h"
#include "fiber/fiber.h"
#include "fiber/loop.h"
#include "fiber/signal.h"
#include "fiber/thread.h"
#include "serve/report.h"
#include "serve/serve.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static const char USAGE[] =
    "usage: weir run [--alone] [--watch] [--config=FILE] [FILE]\n"
    "\n"
    "Serves a configuration in the foreground; says \"ready\" on stderr. Without a file:\n"
    "$WEIR_CONFIG, ./weir.conf, /etc/weir/weir.conf.\n"
    "\n"
    "TERM and QUIT end it when what runs has finished, a second time or INT at once; HUP reads\n"
    "the configuration anew; USR1 opens the log files anew; USR2 starts the program anew, which\n"
    "may be another version by then (see weir upgrade --help).\n"
    "\n"
    "A small process keeps the listening sockets and starts another, which serves, again should\n"
    "it ever end.\n"
    "\n"
    "  --alone  one process only: for debuggers, or where something else starts it again\n"
    "  --watch  read the configuration anew whenever one of its files has changed\n"
    "\n"
    "Exit codes: 0 ended, 1 failed, 2 wrong command line, 77 not permitted, 78 configuration not\n"
    "usable.\n";

enum {
    PATH_SIZE = 1024,
    RELOAD_S = 60, /* that long a reload waits for another one */
};

static void on_ended(void)
{
    loop_stop();
}

static void reload(void *argument)
{
    struct service_reload asked = {.source = "SIGHUP", .deadline = loop_now() + SECONDS(RELOAD_S)};
    (void)argument;
    if (service_reload(&asked) == OK) {
        /* The service has said so. */
    }
    service_reload_done(&asked);
}

static void on_signal(int number)
{
    switch (number) {
    case SIGTERM:
    case SIGQUIT:
        if (service_is_ending())
            service_cut();
        else
            service_drain();
        return;
    case SIGINT:
        service_cut();
        return;
    case SIGHUP:
        if (fiber_start(NULL, "reload", reload, NULL, NULL) != OK)
            log_write(LOG_ERROR, "reload_failed", "no fiber is left to reload on");
        return;
    case SIGUSR1:
        service_reopen_logs();
        return;
    default:
        log_write(LOG_INFO, "signal_ignored", "signal %d is ignored", number);
    }
}

/* Nobody would end this process, and the next one could not listen. */
static void on_supervisor_gone(void)
{
    log_write(LOG_ERROR, "supervisor_gone", "the supervisor is gone");
    if (!service_is_ending())
        service_drain();
}

static void show(const struct config_errors *errors, const char *name)
{
    bool with_colour;
    cli_colour(NULL, STDERR_FILENO, &with_colour);
    cli_show_errors(errors, with_colour, slice_from_cstring(name));
    if (errors->errors > 0)
        fprintf(stderr, "weir was not started\n");
}

static enum exit_code serve(struct slice text, const char *name, struct serve_worker *control,
                            bool is_watching)
{
    static const int SIGNALS[] = {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, 0};
    struct service_start start = {
        .text = text,
        .name = name,
        .show = show,
        .on_ended = on_ended,
        .control = text.data == NULL ? control : NULL,
        .has_admin_by_default = true,
        .is_watching = is_watching,
    };
    if (signal_watch(SIGNALS, on_signal) != OK || supervised_watch(on_supervisor_gone) != OK) {
        log_write(LOG_ERROR, "start_failed", "no descriptor for signals");
        return EXIT_FAILED;
    }
    enum status status = service_start(&start);
    if (status == OK)
        loop_run();
    service_stop();
    supervised_unwatch();
    signal_unwatch();
    return status == OK           ? EXIT_DONE
           : status == ERR_CONFIG ? EXIT_CONFIG
           : status == ERR_DENIED ? EXIT_NOT_PERMITTED
                                  : EXIT_FAILED;
}

static void print_mark(const char *name, size_t bytes)
{
    fprintf(stderr, "weir: stack of %s: %zu bytes at most\n", name, bytes);
}

static int run(struct slice text, const char *name, bool is_watching)
{
    static struct serve_worker control; /* too large for a frame */
    enum exit_code code = EXIT_FAILED;
    check_set_context(report_context);
    if (thread_init(&control.thread, "control", -1) == OK) {
        code = serve(text, name, &control, is_watching);
        thread_done(&control.thread);
    } else {
        log_write(LOG_ERROR, "start_failed", "no descriptors for an event loop");
    }
    fiber_each_high_water(print_mark);
    return (int)code;
}

int run_configuration(struct slice text, const char *name)
{
    return run(text, name, false);
}

/* The path of this program as it was called, so that a link to another version is followed when it
 * is upgraded. */
static const char *program_path(void)
{
    static char path[PATH_SIZE];
    if (strchr(program_invocation_name, '/') != NULL)
        return program_invocation_name;
    return process_path(path, sizeof path) ? path : "/usr/bin/weir";
}

static int run_supervised(const char *file, bool is_watching)
{
    static const char *const WATCH[] = {"--watch", NULL};
    struct supervisor_start start = {
        .program = program_path(),
        .file = file,
        .options = is_watching ? WATCH : WATCH + 1,
        .version = WEIR_VERSION,
    };
    return supervisor_run(&start);
}

/* The process that serves. */
static int run_working(const char *file, bool is_alone, bool is_watching)
{
    supervised_begin(is_alone);
    crash_watch(supervised_report(), WEIR_VERSION, report_context);
    return run((struct slice){NULL, 0}, file, is_watching);
}

int command_run(int argc, char **argv)
{
    const char *file = NULL;
    bool is_alone = false;
    bool is_watching = false;
    const struct cli_option table[] = {
        {"--config", "FILE", NULL, &file},
        {"-c", "FILE", NULL, &file},
        {"--alone", NULL, &is_alone, NULL},
        {"--watch", NULL, &is_watching, NULL},
        {0},
    };
    int count;
    int code = cli_options(argc, argv, table, USAGE, &count);
    if (code >= 0)
        return code;
    if (count > 1)
        return cli_usage_error("run", "one file at a time");
    file = cli_config_path(count == 1 ? argv[1] : NULL, file);
    if (file == NULL)
        return EXIT_CONFIG;
    bool is_working = supervised_is_wanted();
    return is_alone || is_working ? run_working(file, !is_working, is_watching)
                                  : run_supervised(file, is_watching);
}
