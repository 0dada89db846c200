/* SPDX-License-Identifier: Apache-2.0 */
#include "control/log_target.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/metric.h"
#include "control/log_wrap.h"
#include "fiber/file.h"
#include "fiber/lane.h"
#include "net/log_socket.h"

#include <stdlib.h>

enum {
    LOOK_MS = 1000,     /* between two looks whether a file is where it was */
    PATIENCE_MS = 1000, /* with a reader of a pipe */
    PAUSE_MS = 200,     /* before a service is tried again */
};

static const char *const NAMES[LOG_NAMES] = {
    [LOG_ACCESS] = "access", [LOG_ERRORS] = "error", [LOG_AUDIT] = "audit"};
static const char JOURNAL[] = "/run/systemd/journal/socket";
static const char DEVICE[] = "/dev/log";

static uint64_t lost[LOG_NAMES]; /* atomic */

enum form {
    FORM_FILE,
    FORM_STANDARD,
    FORM_JOURNAL,
    FORM_SYSLOG,
    FORM_SYSLOG_STREAM, /* with the size of each message before it (RFC 6587) */
};

/* What it looks like. */
struct meant {
    enum form form;
    int fd;            /* of a standard stream */
    struct slice path; /* of a file */
    struct address address;
};

/* The lane's own, but for `owners`. */
struct log_target {
    struct lane *lane;
    uint32_t owners; /* atomic */
    enum log_name name;
    struct meant meant;
    char *path;       /* of a file */
    int fd;           /* −1: not open */
    bool is_torn;     /* the last line was not written to its end */
    int64_t look_at;  /* when to look at the file again */
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

struct order { /* to open anew, or to end */
    struct lane_job job;
    struct log_target *target;
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

static bool read_unix(struct slice path, struct address *address)
{
    char text[sizeof address->un.sun_path + sizeof "unix:"];
    struct buffer out = buffer_fixed(text, sizeof text);
    buffer_append(&out, SLICE("unix:"));
    buffer_append(&out, path);
    return !out.is_full && slice_starts(path, SLICE("/")) &&
           address_parse(buffer_slice(&out), 0, address);
}

static const char *read_syslog(struct slice to, struct meant *meant)
{
    enum { SYSLOG_PORT = 514, STREAM_PORT = 601 };
    meant->form = FORM_SYSLOG;
    if (to.size == 0)
        return read_unix(slice_from_cstring(DEVICE), &meant->address) ? NULL : "";
    bool is_stream = slice_starts(to, SLICE("tcp:"));
    if (is_stream)
        meant->form = FORM_SYSLOG_STREAM;
    if (is_stream || slice_starts(to, SLICE("udp:")))
        to = slice_from(to, sizeof "tcp:" - 1);
    uint16_t port = is_stream ? STREAM_PORT : SYSLOG_PORT;
    bool is_good = address_parse(to, port, &meant->address);
    if (!is_good && address_parse_ip(to, &meant->address)) {
        address_set_port(&meant->address, port);
        is_good = true;
    }
    bool is_unix = is_good && meant->address.any.sa_family == AF_UNIX;
    return is_good && !(is_unix && is_stream)
               ? NULL
               : "write syslog, syslog:unix:/PATH, syslog:IP:PORT or "
                 "syslog:tcp:IP:PORT; names are not looked up";
}

static bool take(struct slice *to, const char *word)
{
    struct slice prefix = slice_from_cstring(word);
    if (!slice_starts(*to, prefix))
        return false;
    struct slice rest = slice_from(*to, prefix.size);
    if (rest.size > 0 && rest.data[0] != ':')
        return false;
    if (rest.size == 1)
        return false; /* nothing behind the colon */
    *to = slice_from(rest, 1);
    return true;
}

static const char *read_meant(struct slice to, struct meant *meant)
{
    *meant = (struct meant){.fd = -1};
    if (slice_equal(to, SLICE("stdout")) || slice_equal(to, SLICE("stderr"))) {
        meant->form = FORM_STANDARD;
        meant->fd = slice_equal(to, SLICE("stdout")) ? 1 : 2;
        return NULL;
    }
    if (slice_starts(to, SLICE("file:")) && to.size > sizeof "file:" - 1) {
        meant->form = FORM_FILE;
        meant->path = slice_from(to, sizeof "file:" - 1);
        return NULL;
    }
    if (take(&to, "journal")) {
        meant->form = FORM_JOURNAL;
        return read_unix(to.size == 0 ? slice_from_cstring(JOURNAL) : to, &meant->address)
                   ? NULL
                   : "write journal, or journal:/PATH of its socket";
    }
    if (take(&to, "syslog"))
        return read_syslog(to, meant);
    return "write stdout, stderr, file:PATH, syslog or journal";
}

const char *log_target_look(struct slice to)
{
    struct meant meant;
    return read_meant(to, &meant);
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
}

static void write_file(struct log_target *target, struct slice text)
{
    const char *why = "";
    int64_t now = clock_monotonic();
    if (target->path != NULL && now >= target->look_at) {
        target->look_at = now + MILLISECONDS(LOOK_MS);
        if (!file_is_at(target->fd, target->path))
            open_anew(target);
    }
    if (target->is_torn && file_write_patiently(target->fd, "\n", 1, 0, &why) == 1)
        target->is_torn = false;
    size_t written = target->is_torn ? 0
                                     : file_write_patiently(target->fd, text.data, text.size,
                                                            MILLISECONDS(PATIENCE_MS), &why);
    if (written > 0)
        target->is_torn = text.data[written - 1] != '\n';
    say_dropped(target, count_lines(slice_from(text, written)), why);
}

/* False: not now. */
static bool is_connected(struct log_target *target, const char **why)
{
    int64_t now = clock_monotonic();
    enum log_socket_kind kind =
        target->meant.form == FORM_SYSLOG_STREAM ? LOG_SOCKET_STREAM : LOG_SOCKET_DATAGRAM;
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
    struct slice message = target->meant.form == FORM_JOURNAL
                               ? log_wrap_journal(&target->wrap, level, line)
                               : log_wrap_syslog(&target->wrap, level, line, clock_wall(),
                                                 target->meant.form == FORM_SYSLOG_STREAM);
    enum status status = log_socket_send(target->fd, message);
    if (status == OK)
        return true;
    *why = status == ERR_LIMIT     ? "a line is too long for it"
           : status == ERR_TIMEOUT ? "it takes nothing now"
                                   : "nobody takes it";
    if (status == ERR_LIMIT)
        return false;
    target->retry_at = clock_monotonic() + MILLISECONDS(PAUSE_MS);
    if (status == ERR_SYSTEM || target->meant.form == FORM_SYSLOG_STREAM) {
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
        dropped += !send_line(target, level, slice_first(text, end), &why);
        text = slice_from(text, end + 1);
    }
    say_dropped(target, dropped, why);
}

/* On the lane, as all the above. */
static void write_lines(struct lane_job *job)
{
    struct lines *lines = (struct lines *)(void *)job;
    struct slice text = slice_of(lines->text, lines->size);
    if (lines->target->meant.form == FORM_FILE || lines->target->meant.form == FORM_STANDARD)
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

static void perform_end(struct lane_job *job)
{
    struct order *order = (struct order *)(void *)job;
    struct log_target *target = order->target;
    if (target->meant.form == FORM_FILE)
        file_close(target->fd);
    else if (target->meant.form != FORM_STANDARD && target->fd >= 0)
        log_socket_close(target->fd);
    log_wrap_done(&target->wrap);
    free(target->path);
    free(target);
    free(order);
}

static void give_order(struct log_target *target, void (*run)(struct lane_job *job))
{
    struct order *order = memory_zero(sizeof *order);
    order->target = target;
    order->job.run = run;
    check(lane_post(target->lane, &order->job));
}

enum status log_target_open(struct slice to, enum log_name name, struct log_target **made,
                            const char **why)
{
    struct log_target *target = memory_zero(sizeof *target);
    check(read_meant(to, &target->meant) == NULL);
    target->name = name;
    target->owners = 1;
    target->fd = target->meant.fd;
    if (target->meant.form == FORM_FILE) {
        target->path = memory_zero(target->meant.path.size + 1);
        memcpy(target->path, target->meant.path.data, target->meant.path.size);
        if (file_open_append(target->path, &target->fd, why) != OK) {
            free(target->path);
            free(target);
            return ERR_CONFIG;
        }
    }
    target->meant.path = SLICE("");
    log_wrap_init(&target->wrap, NAMES[name]);
    target->lane = lane_new(LOG_TARGET_WAITING);
    *made = target;
    return OK;
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
    give_order(target, perform_end);
    lane_end(lane);
}

void log_targets_finish(int64_t deadline)
{
    if (!lanes_finish(deadline))
        log_write(LOG_WARN, "log_unwritten",
                  "the last lines of a log could not be written in time");
}

void log_target_write(struct log_target *target, enum log_level level, struct slice text,
                      size_t count)
{
    struct lines *lines = memory_alloc(sizeof *lines + text.size);
    *lines = (struct lines){
        .job = {.run = write_lines, .size = text.size + sizeof *lines},
        .target = target,
        .level = level,
        .size = text.size,
    };
    memcpy(lines->text, text.data, text.size);
    if (lane_post(target->lane, &lines->job))
        return;
    free(lines);
    say_dropped(target, count, "it is behind");
}

void log_target_reopen(struct log_target *target)
{
    if (target != NULL && target->meant.form == FORM_FILE)
        give_order(target, perform_reopen);
}
