/* SPDX-License-Identifier: Apache-2.0 */
/* weir run: from a file to a serving process, and its end. This is control's thread. */
#include "base/check.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/privileges.h"
#include "control/access_log.h"
#include "control/certificates.h"
#include "control/names.h"
#include "control/snapshot.h"
#include "control/worker.h"
#include "fiber/fiber.h"
#include "fiber/offload.h"
#include "fiber/signal.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    OFFLOAD_THREADS = 2,
};

/* What is running: there is one of it in a process. */
static struct {
    struct arena arena; /* of the configuration */
    struct snapshot *snapshot;
    struct workers workers;
    struct names *names;
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
static bool show(struct config_errors *errors, const char *name)
{
    if (errors->count == 0)
        return true;
    struct buffer out = buffer_in(errors->arena, 4096);
    bool with_colour = isatty(2) && getenv("NO_COLOR") == NULL;
    config_errors_render(errors, with_colour, &out);
    fwrite(out.data, 1, out.size, stderr);
    if (errors->errors > 0)
        fprintf(stderr, "%s: %zu error%s; weir was not started\n", name, errors->errors,
                errors->errors == 1 ? "" : "s");
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
    if (privileges_drop(config->user, config->group) != OK)
        return EXIT_NOT_PERMITTED;
    if (signal_watch(SIGNALS, on_signal) != OK || offload_start(OFFLOAD_THREADS) != OK)
        return EXIT_FAILED;
    workers->on_ended = on_ended;
    exchange_set_log(log_exchange);
    enum exit_code code = EXIT_DONE;
    if (names_start(config, running.snapshot, &running.names) != OK ||
        workers_start(workers) != OK) {
        log_write(LOG_ERROR, "start_failed", "the workers could not be started");
        code = EXIT_FAILED;
        workers_cut(workers);
    } else {
        certificates_watch(running.snapshot->certificates);
        say_ready(running.snapshot);
    }
    loop_run();
    certificates_unwatch(running.snapshot->certificates);
    names_stop(running.names);
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
        check(thread_init(&running.control, "control", -1) == OK);
        code = serve(config);
        workers_done(&running.workers);
        thread_done(&running.control);
    }
    if (running.snapshot != NULL)
        snapshot_free(running.snapshot);
    arena_done(&running.arena);
    fiber_each_high_water(print_mark);
    return (int)code;
}

const char *run_find_configuration(void)
{
    static const char *const PLACES[] = {"weir.conf", "/etc/weir/weir.conf", NULL};
    const char *named = getenv("WEIR_CONFIG");
    if (named != NULL && named[0] != '\0')
        return named;
    for (size_t i = 0; PLACES[i] != NULL; i++)
        if (access(PLACES[i], F_OK) == 0)
            return PLACES[i];
    return NULL;
}

int command_run(int argc, char **argv)
{
    const char *file = NULL;
    for (int i = 1; i < argc; i++) {
        bool is_config = strcmp(argv[i], "--config") == 0 || strcmp(argv[i], "-c") == 0;
        if (is_config && i + 1 < argc)
            file = argv[++i];
        else if (strncmp(argv[i], "--config=", 9) == 0)
            file = argv[i] + 9;
        else
            return cli_usage("run", is_config ? "%s needs a file" : "unknown argument \"%s\"",
                             argv[i]);
    }
    if (file == NULL)
        file = run_find_configuration();
    if (file == NULL) {
        fprintf(stderr, "weir: no configuration: looked in $WEIR_CONFIG, ./weir.conf and "
                        "/etc/weir/weir.conf; `weir demo` starts a demo\n");
        return EXIT_CONFIG;
    }
    return run_configuration((struct slice){NULL, 0}, file);
}
