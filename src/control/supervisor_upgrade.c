/* SPDX-License-Identifier: Apache-2.0 */
/* A new program in the place of the one that runs. Everything that can go wrong is tried before the
 * first thing is changed: the new program checks the configuration, then says whether it
 * understands what it is to take over, then its working process serves beside the present one. Only
 * then does it replace the supervisor, and the earlier working process drains. */
#include "control/supervisor_inside.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "control/notify.h"
#include "fiber/child.h"
#include "fiber/memory_file.h"
#include "net/channel.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

enum {
    CHECK_S = 60,
    TEST_S = 10,
    EXIT_FAILED = 1,
    EXIT_CONFIG = 78,
    REASON_SIZE = 4096,
    EXIT_TRY_AGAIN = 75,
};

static void tell_client(struct supervisor *s, enum message_kind kind, int code, struct slice text)
{
    static char memory[CHANNEL_MESSAGE_MAX];
    struct upgrade_client *client = s->upgrade.client;
    if (client == NULL)
        return;
    struct buffer out = buffer_fixed(memory, sizeof memory);
    message_write(&out, &(struct message){.kind = kind, .count = (unsigned)code, .text = text});
    if (channel_send(client->watch.fd, buffer_slice(&out), NULL, 0) != OK)
        return; /* it has gone away: the log has it too */
}

static void step(struct supervisor *s, enum upgrade_step number, const char *what)
{
    s->upgrade.step = number;
    log_write(LOG_INFO, "upgrade", "upgrade to %s: %s", s->upgrade.program, what);
    tell_client(s, MESSAGE_STEP, 0, slice_from_cstring(what));
}

/* Nothing of it goes on: as it was before. */
static void forget(struct supervisor *s)
{
    struct upgrade *u = &s->upgrade;
    timer_clear(&s->thread.timers, &u->deadline);
    if (u->helper > 0)
        child_signal(u->helper, SIGKILL);
    memory_file_close(u->output);
    memory_file_close(u->state);
    u->output = -1;
    u->state = -1;
    u->helper = 0;
    u->step = UPGRADE_NONE;
    u->client = NULL;
}

void upgrade_fail(struct supervisor *s, int code, const char *format, ...)
{
    static char reason[REASON_SIZE];
    va_list arguments;
    if (s->upgrade.step == UPGRADE_NONE)
        return;
    va_start(arguments, format);
    (void)vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    log_write(LOG_ERROR, "upgrade_failed", "upgrade to %s failed, all is as it was: %s",
              s->upgrade.program, reason);
    tell_client(s, MESSAGE_FAILED, code, slice_from_cstring(reason));
    struct working *follows = working_find(s, WORKING_FOLLOWS);
    if (follows != NULL) { /* it may have taken requests already: it finishes them */
        child_signal(follows->pid, follows->is_ready ? SIGTERM : SIGKILL);
        working_leave(follows);
    }
    forget(s);
}

static void on_deadline(struct timer *timer)
{
    upgrade_fail(LIST_ENTRY(timer, struct supervisor, upgrade.deadline), EXIT_FAILED,
                 "the new program took too long");
}

/* A helper whose word counts: by its exit code, and by what it printed. */
static bool start_helper(struct supervisor *s, const char *verb, int seconds)
{
    struct upgrade *u = &s->upgrade;
    struct arena arena;
    char test[64];
    const char *why = "no memory";
    bool is_test = u->state >= 0;
    arena_init(&arena, NULL, 0);
    (void)snprintf(test, sizeof test, ENVIRONMENT_TEST "=%d", u->state);
    memory_file_close(u->output);
    u->output = memory_file_new("weir-output");
    struct child_start start = {
        .path = u->program,
        .argv = spawn_arguments(s, u->program, verb, &arena),
        .environment = spawn_environment(is_test ? test : NULL, false, &arena),
        .input = s->input,
        .output = u->output,
    };
    if (is_test)
        start.keep = state_descriptors(s, u->state, &arena, &start.keep_count);
    if (s->input >= 0)
        memory_file_rewind(s->input, true);
    bool has_started = u->output >= 0 && child_start(&start, &u->helper, &why) == OK;
    arena_done(&arena);
    if (!has_started) {
        u->helper = 0;
        upgrade_fail(s, EXIT_FAILED, "it cannot be started: %s", why);
        return false;
    }
    u->deadline.on_fire = on_deadline;
    timer_set(&s->thread.timers, &u->deadline, clock_monotonic() + SECONDS(seconds));
    return true;
}

static void refuse(struct upgrade_client *client, int code, const char *why)
{
    char text[512];
    struct buffer out = buffer_fixed(text, sizeof text);
    log_write(LOG_WARN, "upgrade_refused", "no upgrade: %s", why);
    message_write(&out, &(struct message){.kind = MESSAGE_FAILED,
                                          .count = (unsigned)code,
                                          .text = slice_from_cstring(why)});
    if (client != NULL && channel_send(client->watch.fd, buffer_slice(&out), NULL, 0) != OK)
        return;
}

void upgrade_begin(struct supervisor *s, struct slice program, struct upgrade_client *client)
{
    struct upgrade *u = &s->upgrade;
    const struct working *serves = working_find(s, WORKING_SERVES);
    int free_places = 0;
    for (int i = 0; i < WORKINGS_MAX; i++)
        free_places += s->workings[i].role == WORKING_NONE;
    const char *why = NULL;
    if (s->is_ending)
        why = "weir is ending";
    else if (u->step != UPGRADE_NONE)
        why = "another upgrade is under way";
    else if (serves == NULL || !serves->is_ready)
        why = "the working process is not ready";
    else if (free_places < 2) /* one is for a process that has to be started again */
        why = "too many earlier processes still drain";
    if (why != NULL) {
        refuse(client, EXIT_TRY_AGAIN, why);
        return;
    }
    if (program.size == 0)
        program = slice_from_cstring(s->program);
    if (program.size >= sizeof u->program) {
        refuse(client, EXIT_FAILED, "the path of the program is too long");
        return;
    }
    (void)snprintf(u->program, sizeof u->program, "%.*s", SLICE_ARG(program));
    u->client = client;
    u->output = -1;
    u->state = -1;
    step(s, UPGRADE_CHECKS, "the new program checks the configuration");
    start_helper(s, "check", CHECK_S);
}

static void start_test(struct supervisor *s)
{
    s->upgrade.state = state_write(s);
    if (s->upgrade.state < 0) {
        upgrade_fail(s, EXIT_FAILED, "no memory");
        return;
    }
    step(s, UPGRADE_TESTS, "the new program looks at what it takes over");
    start_helper(s, "run", TEST_S);
}

static void start_follower(struct supervisor *s)
{
    const char *why;
    step(s, UPGRADE_STARTS, "its working process starts");
    /* From here on the working process has its own deadline. */
    timer_clear(&s->thread.timers, &s->upgrade.deadline);
    if (working_start(s, s->upgrade.program, WORKING_FOLLOWS, &why) == NULL)
        upgrade_fail(s, EXIT_FAILED, "its working process could not be started: %s", why);
}

static void fail_by_helper(struct supervisor *s, int signal, int code)
{
    struct upgrade *u = &s->upgrade;
    const char *what = u->step == UPGRADE_CHECKS ? "its check of the configuration"
                                                 : "its look at what it would take over";
    struct arena arena;
    arena_init(&arena, NULL, 0);
    struct slice output = memory_file_read(u->output, REASON_SIZE / 2, &arena);
    while (output.size > 0 && output.data[output.size - 1] == '\n')
        output.size--;
    int result = u->step == UPGRADE_CHECKS && code == EXIT_CONFIG ? EXIT_CONFIG : EXIT_FAILED;
    if (signal != 0)
        upgrade_fail(s, result, "%s broke off with signal %d%s%.*s", what, signal,
                     output.size > 0 ? ":\n" : "", SLICE_ARG(output));
    else
        upgrade_fail(s, result, "%s ended with exit code %d%s%.*s", what, code,
                     output.size > 0 ? ":\n" : "", SLICE_ARG(output));
    arena_done(&arena);
}

bool upgrade_on_ended(struct supervisor *s, int pid, int signal, int code)
{
    struct upgrade *u = &s->upgrade;
    if (u->helper == 0 || u->helper != pid)
        return false;
    u->helper = 0;
    if (signal != 0 || code != 0)
        fail_by_helper(s, signal, code);
    else if (u->step == UPGRADE_CHECKS)
        start_test(s);
    else
        start_follower(s);
    return true;
}

void upgrade_on_lost(struct supervisor *s, int signal, int code)
{
    if (signal != 0)
        upgrade_fail(s, EXIT_FAILED, "its working process broke off with signal %d", signal);
    else
        upgrade_fail(s, code == EXIT_CONFIG ? EXIT_CONFIG : EXIT_FAILED,
                     "its working process ended with exit code %d before it served", code);
}

void upgrade_on_ready(struct supervisor *s)
{
    struct arena arena;
    char state[64];
    memory_file_close(s->upgrade.state);
    s->upgrade.state = state_write(s);
    if (s->upgrade.state < 0) {
        upgrade_fail(s, EXIT_FAILED, "no memory");
        return;
    }
    arena_init(&arena, NULL, 0);
    (void)snprintf(state, sizeof state, ENVIRONMENT_STATE "=%d", s->upgrade.state);
    struct child_start start = {
        .path = s->upgrade.program,
        .argv = spawn_arguments(s, s->upgrade.program, "run", &arena),
        .environment = spawn_environment(state, true, &arena),
    };
    start.keep = state_descriptors(s, s->upgrade.state, &arena, &start.keep_count);
    step(s, UPGRADE_STARTS, "it takes over");
    const char *why = process_replace(&start);
    upgrade_fail(s, EXIT_FAILED, "it could not take the place of the supervisor: %s", why);
    arena_done(&arena);
}

void upgrade_finish(struct supervisor *s)
{
    struct working *before = working_find(s, WORKING_SERVES);
    struct working *follows = working_find(s, WORKING_FOLLOWS);
    char text[STATUS_SIZE * 2];
    if (before != NULL && follows != NULL) {
        working_leave(before);
        child_signal(before->pid, SIGTERM);
    }
    if (follows != NULL) {
        follows->role = WORKING_SERVES;
        sockets_sweep(&s->held);
    }
    const struct working *serves = working_find(s, WORKING_SERVES);
    (void)snprintf(text, sizeof text, "weir %s serves as process %d of supervisor %d",
                   s->start->version, serves->pid, process_id());
    log_write(LOG_INFO, "upgraded", "upgraded: %s", text);
    notify_ready(process_id(), slice_from_cstring(s->status));
    for (int i = 0; i < CLIENTS_MAX; i++)
        if (s->clients[i].is_taken)
            s->upgrade.client = &s->clients[i];
    tell_client(s, MESSAGE_DONE, 0, slice_from_cstring(text));
    s->upgrade.client = NULL;
}
