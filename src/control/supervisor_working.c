/* SPDX-License-Identifier: Apache-2.0 */
/* The working processes of a supervisor: from their start to the line in the log about their end.
 */
#include "control/supervisor_inside.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "control/notify.h"
#include "fiber/child.h"
#include "fiber/memory_file.h"
#include "net/channel.h"

#include <signal.h>
#include <stdio.h>

enum {
    START_S = 60,      /* until it has to serve */
    SILENCE_MS = 2000, /* it says every half second that it lives */
    WONDER_MS = 1000,  /* from then on it is watched whether it gets a core */
    LATE_MS = 250,     /* we are late ourselves: the machine is, not the process */
    REPORT_MS = 1000,  /* for its last words */
    CLEAN_UP_S = 30,
    RAN_WELL_S = 10,
    PAUSE_MS = 100, /* after the second failure in a row, then doubled */
    PAUSE_MAX_MS = 10000,
    PATH_SIZE = 1024,
};

struct working *working_find(struct supervisor *s, enum working_role role)
{
    for (int i = 0; i < WORKINGS_MAX; i++)
        if (s->workings[i].role == role)
            return &s->workings[i];
    return NULL;
}

static uint32_t bit_of(const struct working *w)
{
    return UINT32_C(1) << (w - w->supervisor->workings);
}

static void drop_sockets(struct working *w)
{
    LIST_EACH(link, &w->supervisor->held.all)
    {
        LIST_ENTRY(link, struct sockets_at, link)->users &= ~bit_of(w);
    }
}

/* Sockets that nobody has asked for are closed, unless somebody is about to. */
static void sweep(struct supervisor *s)
{
    const struct working *serves = working_find(s, WORKING_SERVES);
    if (serves != NULL && serves->is_ready && working_find(s, WORKING_FOLLOWS) == NULL)
        sockets_sweep(&s->held);
}

static void expect_word(struct working *w, int64_t within)
{
    w->is_wondering = false;
    w->silence_due = clock_monotonic() + within;
    timer_set(&w->supervisor->thread.timers, &w->silence, w->silence_due);
}

static void close_channel(struct working *w)
{
    if (w->channel.fd < 0)
        return;
    loop_forget(&w->channel, false);
    channel_close(w->channel.fd);
    w->channel.fd = -1;
}

static void answer(struct working *w, const struct message *message, const int *fds, size_t count)
{
    char text[ADDRESS_TEXT_MAX * 4];
    struct buffer out = buffer_fixed(text, sizeof text);
    message_write(&out, message);
    if (channel_send(w->channel.fd, buffer_slice(&out), fds, count) != OK)
        log_write(LOG_WARN, "supervisor_unheard", "working process %d does not listen", w->pid);
}

static void on_open(struct working *w, const struct message *asked)
{
    struct supervisor *s = w->supervisor;
    struct address address;
    struct sockets_at *held = NULL;
    const char *why = "the supervisor is ending";
    enum status status = s->is_ending ? ERR_CLOSED : ERR_CONFIG;
    if (status == ERR_CONFIG && address_parse(asked->text, 0, &address))
        status = sockets_open(&s->held, &address, asked->count, asked->mode, &held, &why);
    else if (status == ERR_CONFIG)
        why = "the supervisor does not understand this address";
    if (status != OK) {
        answer(w,
               &(struct message){.kind = MESSAGE_REFUSED,
                                 .count = (unsigned)status,
                                 .text = slice_from_cstring(why)},
               NULL, 0);
        return;
    }
    held->users |= bit_of(w);
    for (unsigned sent = 0; sent < held->count;) {
        unsigned part = held->count - sent;
        part = part > CHANNEL_FDS_MAX ? CHANNEL_FDS_MAX : part;
        answer(w, &(struct message){.kind = MESSAGE_OPENED, .count = held->count}, held->fds + sent,
               part);
        sent += part;
    }
}

static void on_close(struct working *w, const struct message *asked)
{
    struct address address;
    if (!address_parse(asked->text, 0, &address))
        return;
    struct sockets_at *held = sockets_find(&w->supervisor->held, &address);
    if (held != NULL)
        held->users &= ~bit_of(w);
    sweep(w->supervisor);
}

static void keep_status(struct supervisor *s, struct slice text)
{
    (void)snprintf(s->status, sizeof s->status, "%.*s", SLICE_ARG(text));
}

static void on_ready_message(struct working *w, const struct message *message)
{
    struct supervisor *s = w->supervisor;
    w->is_ready = true;
    expect_word(w, MILLISECONDS(WONDER_MS));
    if (w->role == WORKING_FOLLOWS) {
        keep_status(s, message->text);
        upgrade_on_ready(s);
    } else if (w->role == WORKING_SERVES) {
        s->has_served = true;
        keep_status(s, message->text);
        sweep(s);
        notify_ready(process_id(), message->text);
    }
}

static void on_message(struct working *w, const struct message *message)
{
    bool serves = w->role == WORKING_SERVES;
    if (w->is_gone) { /* what counts is how far it had come */
        if (serves && message->kind == MESSAGE_READY)
            on_ready_message(w, message);
        return;
    }
    if (w->is_ready && !w->was_aborted)
        expect_word(w, w->is_ending ? SECONDS(CLEAN_UP_S) : MILLISECONDS(WONDER_MS));
    switch (message->kind) {
    case MESSAGE_OPEN:
        on_open(w, message);
        return;
    case MESSAGE_CLOSE:
        on_close(w, message);
        return;
    case MESSAGE_READY:
        on_ready_message(w, message);
        return;
    case MESSAGE_ALIVE:
        if (serves)
            notify_alive();
        return;
    case MESSAGE_STATUS:
        if (serves) {
            keep_status(w->supervisor, message->text);
            notify_status(message->text);
        }
        return;
    case MESSAGE_RELOADING:
        if (serves)
            notify_reloading();
        return;
    case MESSAGE_ENDING:
        w->is_ending = true;
        expect_word(w, SECONDS(CLEAN_UP_S));
        return;
    case MESSAGE_SHUTDOWN:
        if (serves)
            supervisor_end(w->supervisor, SIGTERM);
        return;
    default:
        return; /* of another version: what it means will not be missed */
    }
}

static void on_channel(struct watch *watch)
{
    struct working *w = LIST_ENTRY(watch, struct working, channel);
    static char memory[CHANNEL_MESSAGE_MAX];
    while (watch->fd >= 0) {
        struct channel_message came;
        struct message message;
        enum status status = channel_receive(watch->fd, memory, sizeof memory, &came);
        for (size_t i = 0; status == OK && i < came.fds_count; i++)
            channel_close(came.fds[i]); /* nobody gives us any */
        if (status == ERR_TIMEOUT)
            return;
        if (status == ERR_CLOSED) {
            close_channel(w);
            return;
        }
        if (status == OK && message_read(came.text, &message))
            on_message(w, &message);
    }
}

/* Also one that was stopped has to hear of its end, and go on for it. */
static void give_up(struct working *w)
{
    struct supervisor *s = w->supervisor;
    log_write(LOG_ERROR, "working_silent",
              "working process %d has not answered for %d s: it is ended", w->pid,
              w->is_ready ? SILENCE_MS / 1000 : START_S);
    w->was_aborted = true;
    child_signal(w->pid, SIGABRT);
    child_signal(w->pid, SIGCONT);
    expect_word(w, MILLISECONDS(REPORT_MS));
    if (w->role == WORKING_SERVES && s->has_served && !s->is_ending) {
        working_leave(w);
        working_restart(s);
    }
}

static void expect_more(struct working *w)
{
    w->silence_due = clock_monotonic() + MILLISECONDS(SILENCE_MS - WONDER_MS);
    timer_set(&w->supervisor->thread.timers, &w->silence, w->silence_due);
}

static void wonder(struct working *w)
{
    w->is_wondering = true;
    starved_begin(&w->starved, w->pid, w->pid);
    expect_more(w);
}

static void on_silence(struct timer *timer)
{
    struct working *w = LIST_ENTRY(timer, struct working, silence);
    if (w->was_aborted)
        child_signal(w->pid, SIGKILL);
    else if (clock_monotonic() - w->silence_due > MILLISECONDS(LATE_MS))
        expect_word(w, MILLISECONDS(w->is_ready && !w->is_ending ? WONDER_MS : SILENCE_MS));
    else if (w->is_ready && !w->is_ending && !w->is_wondering)
        wonder(w);
    else if (w->is_wondering && starved_is(&w->starved))
        expect_more(w);
    else
        give_up(w);
}

enum status working_watch(struct working *w, int fd)
{
    w->channel = (struct watch){.fd = -1, .on_ready = on_channel};
    w->silence.on_fire = on_silence;
    TRY(loop_watch_level(&w->channel, fd));
    expect_word(w, w->is_ready ? MILLISECONDS(WONDER_MS) : SECONDS(START_S));
    return OK;
}

static enum status spawn(struct working *w, const char *path, int channel, const char **why)
{
    struct supervisor *s = w->supervisor;
    struct arena arena;
    arena_init(&arena, NULL, 0);
    int give[] = {channel, w->report};
    struct child_start start = {
        .path = path,
        .argv = spawn_arguments(s, s->program, "run", &arena),
        .environment = spawn_environment(ENVIRONMENT_WORKING "=1", false, &arena),
        .input = s->input,
        .output = -1,
        .give = give,
        .give_count = w->report < 0 ? 1 : 2,
    };
    if (s->input >= 0)
        memory_file_rewind(s->input, true);
    enum status status = child_start(&start, &w->pid, why);
    arena_done(&arena);
    return status;
}

struct working *working_start(struct supervisor *s, const char *path, enum working_role role,
                              const char **why)
{
    struct working *w = working_find(s, WORKING_NONE);
    int ends[2];
    *why = "too many earlier processes have not ended yet";
    if (w == NULL)
        return NULL;
    *why = "no descriptors";
    if (channel_pair(ends) != OK)
        return NULL;
    *w = (struct working){.supervisor = s, .started = clock_monotonic()};
    w->report = memory_file_new("weir-report");
    enum status status = spawn(w, path, ends[1], why);
    channel_close(ends[1]);
    if (status == OK && working_watch(w, ends[0]) == OK) {
        w->role = role;
        return w;
    }
    if (status == OK)
        child_signal(w->pid, SIGKILL);
    channel_close(ends[0]);
    memory_file_close(w->report);
    *w = (struct working){0};
    return NULL;
}

static void start_now(struct supervisor *s)
{
    const char *why;
    struct working *w = working_start(s, "/proc/self/exe", WORKING_SERVES, &why);
    if (w != NULL)
        return;
    log_write(LOG_ERROR, "working_failed", "no working process could be started: %s", why);
    if (s->has_served)
        working_restart(s);
    else
        loop_stop();
}

static void on_restart(struct timer *timer)
{
    start_now(LIST_ENTRY(timer, struct supervisor, restart));
}

void working_restart(struct supervisor *s)
{
    int64_t pause = 0;
    if (s->is_ending)
        return;
    for (unsigned i = 1; i < s->failures && pause < PAUSE_MAX_MS; i++)
        pause = pause == 0 ? PAUSE_MS : pause * 2;
    pause = pause > PAUSE_MAX_MS ? PAUSE_MAX_MS : pause;
    s->restart.on_fire = on_restart;
    if (pause > 0)
        log_write(LOG_WARN, "working_pause", "it is started again in %lld ms", (long long)pause);
    if (pause > 0)
        timer_set(&s->thread.timers, &s->restart, clock_monotonic() + MILLISECONDS(pause));
    else
        start_now(s);
}

static void log_end(const struct working *w, int signal, int code, const char *report)
{
    char how[64];
    if (signal != 0)
        (void)snprintf(how, sizeof how, "signal %d (SIG%s)", signal,
                       sigabbrev_np(signal) == NULL ? "?" : sigabbrev_np(signal));
    else
        (void)snprintf(how, sizeof how, "exit code %d", code);
    bool is_wanted = w->role == WORKING_LEAVES || w->supervisor->is_ending;
    bool is_clean = signal == 0 && code == 0;
    log_write(is_wanted && is_clean ? LOG_INFO : LOG_ERROR, "working_ended",
              "working process %d ended %swith %s%s%s", w->pid, is_wanted ? "" : "unexpectedly ",
              how, report[0] == '\0' ? "" : "; its crash report is ", report);
}

/* The one that serves is gone, and nobody asked it to. */
static void replace(struct supervisor *s, const struct working *w, int signal, int code)
{
    if (!s->has_served) {
        s->code = signal != 0 || code == 0 ? 1 : code;
        loop_stop();
        return;
    }
    if (clock_monotonic() - w->started > SECONDS(RAN_WELL_S))
        s->failures = 0;
    s->failures++;
    working_restart(s);
}

void working_on_ended(struct supervisor *s, struct working *w, int signal, int code)
{
    static char report[PATH_SIZE];
    w->is_gone = true;
    on_channel(&w->channel); /* its last messages, which its end has overtaken */
    struct working gone = *w;
    report_save(w->report, w->pid, report, PATH_SIZE);
    if (w->is_ready || signal != 0)
        log_end(w, signal, code, report);
    close_channel(w);
    timer_clear(&s->thread.timers, &w->silence);
    memory_file_close(w->report);
    drop_sockets(w); /* they stay open until the next one that serves has said what it wants */
    w->role = WORKING_NONE;
    if (s->is_ending) {
        if (gone.role == WORKING_SERVES)
            s->code = signal != 0 ? 1 : code;
    } else if (gone.role == WORKING_SERVES) {
        replace(s, &gone, signal, code);
    } else if (gone.role == WORKING_FOLLOWS) {
        upgrade_on_lost(s, signal, code);
        sweep(s);
    }
}

void working_signal_all(struct supervisor *s, int number)
{
    for (int i = 0; i < WORKINGS_MAX; i++)
        if (s->workings[i].role != WORKING_NONE)
            child_signal(s->workings[i].pid, number);
}

void working_leave(struct working *w)
{
    w->role = WORKING_LEAVES;
    drop_sockets(w);
}

void working_write(const struct supervisor *s, const struct working *w, struct buffer *out)
{
    buffer_format(out, "working %d %d %d %d %d %d\n", (int)(w - s->workings), w->pid, w->channel.fd,
                  w->report, (int)w->role, w->is_ready ? 1 : 0);
}

bool working_read(struct supervisor *s, struct slice text)
{
    uint64_t numbers[6];
    int64_t values[6];
    for (int i = 0; i < 6; i++) {
        size_t blank = slice_find(text, ' ');
        struct slice word = slice_first(text, blank);
        bool is_none = slice_equal(word, SLICE("-1"));
        if (!is_none && !slice_to_u64(word, INT32_MAX, &numbers[i]))
            return false;
        values[i] = is_none ? -1 : (int64_t)numbers[i];
        text = slice_from(text, blank + 1);
    }
    if (values[0] < 0 || values[0] >= WORKINGS_MAX || values[1] <= 0 || values[4] < 0 ||
        values[4] > WORKING_LEAVES || s->workings[values[0]].role != WORKING_NONE)
        return false;
    s->workings[values[0]] = (struct working){
        .supervisor = s,
        .pid = (int)values[1],
        .channel.fd = (int)values[2],
        .report = (int)values[3],
        .role = (enum working_role)values[4],
        .is_ready = values[5] == 1,
        .started = clock_monotonic(),
    };
    return true;
}
