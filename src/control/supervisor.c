/* SPDX-License-Identifier: Apache-2.0 */
#include "control/supervisor_inside.h"

#include "base/log.h"
#include "control/notify.h"
#include "fiber/child.h"
#include "fiber/memory_file.h"
#include "fiber/signal.h"
#include "net/channel.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    INPUT_MAX = 16 * 1024 * 1024,
    EXIT_SYSTEM = 1,
};

/* There is one of it in a process. */
static struct supervisor supervisor;

struct slice supervisor_name(int pid, char *into)
{
    int size = snprintf(into, SUPERVISOR_NAME_MAX, "weir-supervisor-%d", pid);
    return slice_of(into, (size_t)size);
}

static bool is_alone(const struct supervisor *s)
{
    for (int i = 0; i < WORKINGS_MAX; i++)
        if (s->workings[i].role != WORKING_NONE)
            return false;
    return true;
}

static void on_child_ended(struct supervisor *s)
{
    int pid;
    int signal;
    int code;
    while (child_next_ended(&pid, &signal, &code)) {
        if (upgrade_on_ended(s, pid, signal, code))
            continue;
        for (int i = 0; i < WORKINGS_MAX; i++)
            if (s->workings[i].role != WORKING_NONE && s->workings[i].pid == pid) {
                working_on_ended(s, &s->workings[i], signal, code);
                break;
            }
    }
    if (s->is_ending && is_alone(s))
        loop_stop();
}

/* New clients are refused from now on: only the processes that end have the sockets, and they close
 * them. */
void supervisor_end(struct supervisor *s, int number)
{
    bool is_first = !s->is_ending;
    if (is_first) {
        s->is_ending = true;
        notify_stopping(SLICE("ending: what runs may finish"));
        upgrade_fail(s, EXIT_SYSTEM, "weir is ending");
        upgrade_close(s);
        timer_clear(&s->thread.timers, &s->restart);
        sockets_close_all(&s->held);
    }
    for (int i = 0; i < WORKINGS_MAX; i++) {
        const struct working *w = &s->workings[i];
        /* Earlier ones drain already: a second word would cut them short. */
        bool is_polite = is_first && number != SIGINT && w->role == WORKING_LEAVES;
        if (w->role != WORKING_NONE && !is_polite)
            child_signal(w->pid, number);
    }
    if (is_alone(s))
        loop_stop();
}

static void on_signal(int number)
{
    struct supervisor *s = &supervisor;
    const struct working *serves = working_find(s, WORKING_SERVES);
    switch (number) {
    case SIGCHLD:
        on_child_ended(s);
        return;
    case SIGTERM:
    case SIGQUIT:
    case SIGINT:
        supervisor_end(s, number);
        return;
    case SIGHUP:
        if (serves != NULL)
            child_signal(serves->pid, number);
        return;
    case SIGUSR1:
        working_signal_all(s, number);
        return;
    case SIGUSR2:
        upgrade_begin(s, SLICE(""), NULL);
        return;
    default:
        return;
    }
}

/* A configuration from standard input is needed again by every process that starts. */
static bool keep_input(struct supervisor *s)
{
    s->input = -1;
    if (strcmp(s->start->file, "-") != 0)
        return true;
    s->input = memory_file_new("weir-input");
    return s->input >= 0 && memory_file_fill(s->input, 0, INPUT_MAX);
}

static bool begin_anew(struct supervisor *s)
{
    const char *why;
    if (!keep_input(s)) {
        log_write(LOG_ERROR, "start_failed", "the configuration could not be read from stdin");
        return false;
    }
    sockets_take_given(&s->held);
    upgrade_listen(s);
    if (working_start(s, "/proc/self/exe", WORKING_SERVES, &why) != NULL)
        return true;
    log_write(LOG_ERROR, "start_failed", "no working process could be started: %s", why);
    return false;
}

static bool take_over(struct supervisor *s, int state)
{
    struct slice why;
    s->input = -1;
    s->has_served = true;
    if (!state_read(s, state, false, &why)) {
        log_write(LOG_ERROR, "upgrade_failed", "what ran before cannot be taken over: %.*s",
                  SLICE_ARG(why));
        return false;
    }
    memory_file_close(state);
    upgrade_finish(s);
    on_child_ended(s); /* whose end fell into the change */
    return true;
}

static int supervise(struct supervisor *s, int state)
{
    static const int SIGNALS[] = {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD, 0};
    if (signal_watch(SIGNALS, on_signal) != OK) {
        log_write(LOG_ERROR, "start_failed", "no descriptor for signals");
        return EXIT_SYSTEM;
    }
    bool has_begun = state < 0 ? begin_anew(s) : take_over(s, state);
    if (has_begun) {
        s->code = 0;
        loop_run();
    }
    working_signal_all(s, SIGKILL);
    upgrade_close(s);
    signal_unwatch();
    sockets_done(&s->held);
    return has_begun ? s->code : EXIT_SYSTEM;
}

/* Whether a new program would know what to do with what this one has: tried in a process of its
 * own, before anything is handed over for good. */
static int test_state(struct supervisor *s, int state)
{
    struct slice why;
    if (state_read(s, state, true, &why))
        return 0;
    fprintf(stderr, "cannot take over: %.*s\n", SLICE_ARG(why));
    return EXIT_SYSTEM;
}

int supervisor_run(const struct supervisor_start *start)
{
    struct supervisor *s = &supervisor;
    const char *state = getenv(ENVIRONMENT_STATE);
    const char *test = getenv(ENVIRONMENT_TEST);
    uint64_t fd = 0;
    s->start = start;
    (void)snprintf(s->program, sizeof s->program, "%s", start->program);
    s->listening.fd = -1;
    s->code = EXIT_SYSTEM;
    sockets_init(&s->held);
    const char *number = state != NULL ? state : test;
    if (number != NULL && !slice_to_u64(slice_from_cstring(number), INT32_MAX, &fd))
        return EXIT_SYSTEM;
    if (state == NULL && test != NULL)
        return test_state(s, (int)fd);
    notify_begin();
    if (thread_init(&s->thread, "supervisor", -1) != OK) {
        log_write(LOG_ERROR, "start_failed", "no descriptors for an event loop");
        return EXIT_SYSTEM;
    }
    int code = supervise(s, state == NULL ? -1 : (int)fd);
    thread_done(&s->thread);
    return code;
}
