/* SPDX-License-Identifier: Apache-2.0 */
#include "control/log_target.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/metric.h"
#include "control/log_place.h"
#include "control/log_wrap.h"
#include "fiber/file.h"
#include "fiber/lane.h"
#include "net/log_socket.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    LOOK_MS = 1000,              /* between two looks whether a file is where it was */
    SYSLOG_LINE_MAX = 60 * 1024, /* longer ones may never find room in a datagram */
    PATIENCE_MS = 1000,          /* with a reader of a pipe */
    PAUSE_MS = 200,      /* before a service is tried again, or what is patient tries again */
    ROTATE_AGAIN_S = 60, /* after a file could not be renamed */
};

static const char *const NAMES[LOG_NAMES] = {
    [LOG_ACCESS] = "access", [LOG_ERRORS] = "error", [LOG_AUDIT] = "audit"};

static uint64_t lost[LOG_NAMES]; /* atomic */

/* The lane's own, but for `owners`. */
struct log_target {
    struct lane *lane;
    uint32_t owners; /* atomic */
    enum log_name name;
    struct log_place meant;
    char *path;        /* of a file */
    int fd;            /* −1: not open */
    bool is_torn;      /* the last line was not written to its end */
    bool is_held;      /* it is patient, and waits for room */
    int64_t look_at;   /* when to look at the file again */
    int64_t rotate_at; /* when to try that again */
    int64_t file_bytes;
    struct log_target_settings settings;
    int64_t retry_at; /* when to try the service again */
    struct log_wrap wrap;
};

struct lines {
    struct lane_job job;
    struct log_target *target;
    enum log_level level;
    size_t size;
    char text[];
};

struct order { /* to open anew, to go by other settings, or to end */
    struct lane_job job;
    struct log_target *target;
    struct log_target_settings settings;
};

const char *log_name_text(enum log_name name)
{
    return NAMES[name];
}

uint64_t log_lost(enum log_name name)
{
    return __atomic_load_n(&lost[name], __ATOMIC_RELAXED);
}

void log_lose(enum log_name name, size_t lines)
{
    __atomic_add_fetch(&lost[name], lines, __ATOMIC_RELAXED);
}

const char *log_target_look(struct slice to)
{
    struct log_place meant;
    return log_place_read(to, &meant);
}

/* Says so, but in the log that is in trouble itself. */
static void say_dropped(const struct log_target *target, size_t lines, const char *why)
{
    if (lines == 0)
        return;
    log_lose(target->name, lines);
    if (target->name == LOG_ACCESS)
        log_write(
            LOG_ERROR, "log_dropped",
            "the access log does not take what is written (%s): %llu lines were dropped so far",
            why, (unsigned long long)log_lost(target->name));
}

static size_t count_lines(struct slice text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.size; i++)
        count += text.data[i] == '\n';
    return count;
}

static void open_anew(struct log_target *target)
{
    const char *why = "";
    int fd;
    if (file_open_append(target->path, &fd, &why) != OK) {
        log_write(LOG_ERROR, "log_reopen_failed", "cannot open %s: %s; the old file is kept",
                  target->path, why);
        return;
    }
    file_close(target->fd);
    target->fd = fd;
    target->is_torn = false;
    target->file_bytes = file_size(fd);
}

/* PATH becomes PATH.1, that PATH.2, and so on; the last is gone. */
static enum status shift(const struct log_target *target, const char **why)
{
    size_t size = strlen(target->path) + 24;
    char *from = memory_alloc(size), *to = memory_alloc(size);
    enum status status = OK;
    for (int64_t i = target->settings.rotation.keep; i > 0 && status == OK; i--) {
        (void)snprintf(to, size, "%s.%lld", target->path, (long long)i);
        (void)snprintf(from, size, "%s.%lld", target->path, (long long)(i - 1));
        if (i == 1)
            status = file_rename(target->path, to, why);
        else if (file_changed(from) != 0)
            status = file_rename(from, to, why);
    }
    free(from);
    free(to);
    return status;
}

static void rotate_if_due(struct log_target *target)
{
    int64_t size = target->settings.rotation.size, now = clock_monotonic();
    const char *why = "";
    if (size == 0 || target->path == NULL || target->file_bytes < size || now < target->rotate_at)
        return;
    if (shift(target, &why) == OK) {
        open_anew(target);
        return;
    }
    target->rotate_at = now + SECONDS(ROTATE_AGAIN_S);
    log_write(LOG_ERROR, "log_rotate_failed", "%s is not renamed: %s; it grows on", target->path,
              why);
}

/* A patient target waits for room, a moment at a time. False: it has to end. */
static bool hold(struct log_target *target, const char *why)
{
    if (!target->is_held && target->name == LOG_ACCESS)
        log_write(LOG_ERROR, "log_held",
                  "the access log does not take what is written (%s): exchanges may have to wait",
                  why);
    target->is_held = true;
    return lane_pause(target->lane, MILLISECONDS(PAUSE_MS));
}

static void go_on(struct log_target *target)
{
    if (target->is_held && target->name == LOG_ACCESS)
        log_write(LOG_INFO, "log_goes_on", "the access log is written again");
    target->is_held = false;
}

static void look_at_file(struct log_target *target)
{
    int64_t now = clock_monotonic();
    if (target->path == NULL || now < target->look_at)
        return;
    target->look_at = now + MILLISECONDS(LOOK_MS);
    if (!file_is_at(target->fd, target->path))
        open_anew(target);
}

/* Where the line begins in which `at` is. */
static size_t line_start(struct slice text, size_t at)
{
    while (at > 0 && text.data[at - 1] != '\n')
        at--;
    return at;
}

/* As far as it is taken now; returns how much that was. */
static size_t write_some(struct log_target *target, struct slice text, const char **why)
{
    size_t written =
        file_write_patiently(target->fd, text.data, text.size, MILLISECONDS(PATIENCE_MS), why);
    target->file_bytes += (int64_t)written;
    return written;
}

static void write_file(struct log_target *target, struct slice text)
{
    const char *why = "";
    look_at_file(target);
    if (target->is_torn && file_write_patiently(target->fd, "\n", 1, 0, &why) == 1)
        target->is_torn = false;
    size_t written = target->is_torn ? 0 : write_some(target, text, &why);
    while (target->settings.is_patient && written < text.size && hold(target, why)) {
        int fd = target->fd;
        look_at_file(target); /* making room may have meant to move the file away */
        if (target->fd != fd)
            written = line_start(text, written);
        written += write_some(target, slice_from(text, written), &why);
    }
    if (written == text.size)
        go_on(target);
    if (written > 0)
        target->is_torn = text.data[written - 1] != '\n';
    say_dropped(target, count_lines(slice_from(text, written)), why);
    rotate_if_due(target);
}

/* False: not now. */
static bool is_connected(struct log_target *target, const char **why)
{
    int64_t now = clock_monotonic();
    enum log_socket_kind kind =
        target->meant.form == LOG_FORM_SYSLOG_STREAM ? LOG_SOCKET_STREAM : LOG_SOCKET_DATAGRAM;
    *why = "nobody takes it";
    if (now < target->retry_at)
        return false;
    if (target->fd >= 0 || log_socket_open(kind, &target->meant.address, &target->fd, why) == OK)
        return true;
    target->fd = -1;
    target->retry_at = now + MILLISECONDS(PAUSE_MS);
    return false;
}

static bool send_line(struct log_target *target, enum log_level level, struct slice line,
                      const char **why)
{
    if (!is_connected(target, why))
        return false;
    struct slice message = target->meant.form == LOG_FORM_JOURNAL
                               ? log_wrap_journal(&target->wrap, level, line)
                               : log_wrap_syslog(&target->wrap, level, line, clock_wall(),
                                                 target->meant.form == LOG_FORM_SYSLOG_STREAM);
    enum status status = log_socket_send(target->fd, message);
    if (status == OK)
        return true;
    *why = status == ERR_LIMIT     ? "a line is too long for it"
           : status == ERR_TIMEOUT ? "it takes nothing now"
                                   : "nobody takes it";
    if (status == ERR_LIMIT)
        return false;
    target->retry_at = clock_monotonic() + MILLISECONDS(PAUSE_MS);
    if (status == ERR_SYSTEM || target->meant.form == LOG_FORM_SYSLOG_STREAM) {
        log_socket_close(target->fd);
        target->fd = -1;
    }
    return false;
}

static void send_lines(struct log_target *target, enum log_level level, struct slice text)
{
    size_t dropped = 0;
    const char *why = "";
    while (text.size > 0) {
        size_t end = slice_find(text, '\n');
        struct slice line = slice_first(text, end);
        bool is_sent = send_line(target, level, line, &why);
        while (!is_sent && target->settings.is_patient && line.size <= SYSLOG_LINE_MAX &&
               hold(target, why))
            is_sent = send_line(target, level, line, &why);
        if (is_sent)
            go_on(target);
        dropped += !is_sent;
        text = slice_from(text, end + 1);
    }
    say_dropped(target, dropped, why);
}

/* On the lane, as all the above. */
static void write_lines(struct lane_job *job)
{
    struct lines *lines = (struct lines *)(void *)job;
    struct slice text = slice_of(lines->text, lines->size);
    if (lines->target->meant.form == LOG_FORM_FILE ||
        lines->target->meant.form == LOG_FORM_STANDARD)
        write_file(lines->target, text);
    else
        send_lines(lines->target, lines->level, text);
    free(lines);
}

static void perform_reopen(struct lane_job *job)
{
    struct order *order = (struct order *)(void *)job;
    open_anew(order->target);
    free(order);
}

static void perform_set(struct lane_job *job)
{
    struct order *order = (struct order *)(void *)job;
    order->target->settings = order->settings;
    free(order);
}

static void perform_end(struct lane_job *job)
{
    struct order *order = (struct order *)(void *)job;
    struct log_target *target = order->target;
    if (target->meant.form == LOG_FORM_FILE)
        file_close(target->fd);
    else if (target->meant.form != LOG_FORM_STANDARD && target->fd >= 0)
        log_socket_close(target->fd);
    log_wrap_done(&target->wrap);
    free(target->path);
    free(target);
    free(order);
}

static void give_order(struct log_target *target, void (*run)(struct lane_job *job),
                       const struct log_target_settings *settings)
{
    struct order *order = memory_zero(sizeof *order);
    order->target = target;
    if (settings != NULL)
        order->settings = *settings;
    order->job.run = run;
    check(lane_post(target->lane, &order->job));
}

enum status log_target_open(struct slice to, enum log_name name,
                            const struct log_target_settings *settings, struct log_target **made,
                            const char **why)
{
    struct log_target *target = memory_zero(sizeof *target);
    check(log_place_read(to, &target->meant) == NULL);
    target->name = name;
    target->settings = *settings;
    target->owners = 1;
    target->fd = target->meant.fd;
    if (target->meant.form == LOG_FORM_FILE) {
        target->path = memory_zero(target->meant.path.size + 1);
        memcpy(target->path, target->meant.path.data, target->meant.path.size);
        if (file_open_append(target->path, &target->fd, why) != OK) {
            free(target->path);
            free(target);
            return ERR_CONFIG;
        }
        target->file_bytes = file_size(target->fd);
    }
    target->meant.path = SLICE("");
    log_wrap_init(&target->wrap, NAMES[name]);
    target->lane = lane_new(LOG_TARGET_WAITING);
    *made = target;
    return OK;
}

void log_target_set(struct log_target *target, const struct log_target_settings *settings)
{
    give_order(target, perform_set, settings);
}

struct log_target *log_target_share(struct log_target *target)
{
    __atomic_add_fetch(&target->owners, 1, __ATOMIC_RELAXED);
    return target;
}

void log_target_free(struct log_target *target)
{
    if (target == NULL || __atomic_sub_fetch(&target->owners, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    struct lane *lane = target->lane;
    give_order(target, perform_end, NULL);
    lane_end(lane);
}

void log_targets_finish(int64_t deadline)
{
    if (!lanes_finish(deadline))
        log_write(LOG_WARN, "log_unwritten",
                  "the last lines of a log could not be written in time");
}

/* `counts`: against the bound. */
static bool post(struct log_target *target, enum log_level level, struct slice text, bool counts)
{
    struct lines *lines = memory_alloc(sizeof *lines + text.size);
    *lines = (struct lines){
        .job = {.run = write_lines, .size = counts ? text.size + sizeof *lines : 0},
        .target = target,
        .level = level,
        .size = text.size,
    };
    memcpy(lines->text, text.data, text.size);
    if (lane_post(target->lane, &lines->job))
        return true;
    free(lines);
    return false;
}

void log_target_write(struct log_target *target, enum log_level level, struct slice text,
                      size_t count)
{
    if (!post(target, level, text, true))
        say_dropped(target, count, "it is behind");
}

bool log_target_try(struct log_target *target, enum log_level level, struct slice lines)
{
    return post(target, level, lines, true);
}

void log_target_push(struct log_target *target, enum log_level level, struct slice lines)
{
    check(post(target, level, lines, false));
}

void log_target_reopen(struct log_target *target)
{
    if (target != NULL && target->meant.form == LOG_FORM_FILE)
        give_order(target, perform_reopen, NULL);
}
