/* SPDX-License-Identifier: Apache-2.0 */
/* weir run: from a file to a serving process, and its end. This is control's thread. */
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "cli/config_args.h"
#include "control/service.h"
#include "fiber/fiber.h"
#include "fiber/loop.h"
#include "fiber/signal.h"
#include "fiber/thread.h"
#include "serve/report.h"
#include "serve/serve.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static const char USAGE[] =
    "usage: weir run [--config=FILE] [FILE]\n"
    "\n"
    "Serves a configuration in the foreground; says \"ready\" on stderr. Without a file:\n"
    "$WEIR_CONFIG, ./weir.conf, /etc/weir/weir.conf.\n"
    "\n"
    "TERM and QUIT end it when what runs has finished, a second time or INT at once; HUP reads\n"
    "the configuration anew; USR1 opens the log files anew.\n"
    "\n"
    "Exit codes: 0 ended, 1 failed, 2 wrong command line, 77 not permitted, 78 configuration not\n"
    "usable.\n";

enum {
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

static void show(const struct config_errors *errors, const char *name)
{
    bool with_colour;
    cli_colour(NULL, STDERR_FILENO, &with_colour);
    cli_show_errors(errors, with_colour, slice_from_cstring(name));
    if (errors->errors > 0)
        fprintf(stderr, "weir was not started\n");
}

static enum exit_code serve(struct slice text, const char *name, struct serve_worker *control)
{
    static const int SIGNALS[] = {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, 0};
    struct service_start start = {
        .text = text,
        .name = name,
        .show = show,
        .on_ended = on_ended,
        .control = text.data == NULL ? control : NULL,
        .has_admin_by_default = true,
    };
    if (signal_watch(SIGNALS, on_signal) != OK) {
        log_write(LOG_ERROR, "start_failed", "no descriptor for signals");
        return EXIT_FAILED;
    }
    enum status status = service_start(&start);
    if (status == OK)
        loop_run();
    service_stop();
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

int run_configuration(struct slice text, const char *name)
{
    static struct serve_worker control; /* too large for a frame */
    enum exit_code code = EXIT_FAILED;
    check_set_context(report_context);
    if (thread_init(&control.thread, "control", -1) == OK) {
        code = serve(text, name, &control);
        thread_done(&control.thread);
    } else {
        log_write(LOG_ERROR, "start_failed", "no descriptors for an event loop");
    }
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
