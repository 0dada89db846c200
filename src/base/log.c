/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "base/clock.h"
#include "base/json.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum {
    MESSAGE_MAX = 2048,
    ABOUT_MAX = 256,
    ABOUT_FIELDS = 5,
    LINE_BYTES = (MESSAGE_MAX + ABOUT_FIELDS * ABOUT_MAX) * 6 + 512, /* all may need escapes */
    EVENTS_MAX = 128,
    PER_SECOND = 5,
    LAST_LINES = 16,
    LAST_BYTES = 256,
};

static const char *const LEVELS[] = {"debug", "info", "warn", "error"};

/* How often an event was written in the current second. */
struct seen {
    const char *event;
    int64_t second;
    unsigned written, left_out;
};

static struct {
    pthread_mutex_t mutex;
    enum log_level level;     /* as configured */
    enum log_level for_while; /* what holds until then */
    int64_t until;            /* monotonic; 0: never */
    enum log_style style;
    void (*listener)(enum log_level level, struct slice line);
    bool (*taker)(void *argument, enum log_level level, const char *event, struct slice line);
    void *taker_argument;
    const struct log_about *about; /* of the line that is written; NULL: nothing */
    struct seen seen[EVENTS_MAX];
    char last[LAST_LINES][LAST_BYTES]; /* a ring of messages, cut, NUL-terminated */
    unsigned last_count;
    char message[MESSAGE_MAX]; /* under the mutex, as the rest: fibers have small stacks */
    char line[LINE_BYTES];
    char told[LINE_BYTES]; /* the same as JSON */
} logger = {.mutex = PTHREAD_MUTEX_INITIALIZER, .level = LOG_INFO};

static int raw_also = -1;

void log_set_level(enum log_level level)
{
    __atomic_store_n(&logger.level, level, __ATOMIC_RELAXED);
}

void log_level_set(enum log_level level, int64_t seconds)
{
    pthread_mutex_lock(&logger.mutex);
    __atomic_store_n(&logger.for_while, level, __ATOMIC_RELAXED);
    __atomic_store_n(&logger.until, seconds <= 0 ? 0 : clock_monotonic() + SECONDS(seconds),
                     __ATOMIC_RELEASE);
    pthread_mutex_unlock(&logger.mutex);
}

enum log_level log_level_now(int64_t *seconds_left)
{
    int64_t until = __atomic_load_n(&logger.until, __ATOMIC_ACQUIRE);
    int64_t left = until == 0 ? 0 : until - clock_monotonic();
    if (left > 0) {
        *seconds_left = (left + SECONDS(1) - 1) / SECONDS(1);
        return __atomic_load_n(&logger.for_while, __ATOMIC_RELAXED);
    }
    *seconds_left = 0;
    return __atomic_load_n(&logger.level, __ATOMIC_RELAXED);
}

const char *log_level_name(enum log_level level)
{
    return LEVELS[level];
}

bool log_level_parse(struct slice name, enum log_level *level)
{
    for (size_t i = 0; i < sizeof LEVELS / sizeof LEVELS[0]; i++)
        if (slice_equal(name, slice_from_cstring(LEVELS[i]))) {
            *level = (enum log_level)i;
            return true;
        }
    return false;
}

void log_set_listener(void (*listener)(enum log_level level, struct slice line))
{
    pthread_mutex_lock(&logger.mutex);
    logger.listener = listener;
    pthread_mutex_unlock(&logger.mutex);
}

void log_set_taker(bool (*taker)(void *argument, enum log_level level, const char *event,
                                 struct slice line),
                   void *argument)
{
    pthread_mutex_lock(&logger.mutex);
    logger.taker_argument = argument;
    logger.taker = taker;
    pthread_mutex_unlock(&logger.mutex);
}

void log_set_style(enum log_style style)
{
    __atomic_store_n(&logger.style, style, __ATOMIC_RELAXED);
}

/* Who changed what is written always, and all of it. */
static bool is_audit(const char *event)
{
    return strcmp(event, "audit") == 0;
}

/* Whether this line is written; *left_out: how many before it were not. */
static bool may_write(const char *event, unsigned *left_out)
{
    *left_out = 0;
    if (is_audit(event))
        return true;
    int64_t second = clock_monotonic() / SECONDS(1);
    struct seen *place = NULL;
    if (strncmp(event, "reload_", sizeof "reload_" - 1) == 0)
        return true; /* what somebody asked for is answered each time */
    for (int i = 0; i < EVENTS_MAX && place == NULL; i++)
        if (logger.seen[i].event == NULL || strcmp(logger.seen[i].event, event) == 0)
            place = &logger.seen[i];
    if (place == NULL)
        return true;
    place->event = event;
    if (place->second != second) {
        *left_out = place->left_out;
        *place = (struct seen){event, second, 0, 0};
    }
    if (place->written >= PER_SECOND) {
        place->left_out++;
        return false;
    }
    place->written++;
    return true;
}

static void append_time(struct buffer *out)
{
    int64_t wall = clock_wall();
    time_t seconds = (time_t)(wall / SECONDS(1));
    struct tm t;
    gmtime_r(&seconds, &t);
    buffer_format(out, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", t.tm_year + 1900, t.tm_mon + 1,
                  t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec, (int)(wall % SECONDS(1) / 1000));
}

static void append_text(struct buffer *out, enum log_level level, struct slice message)
{
    buffer_format(out, "weir: %s: ", LEVELS[level]);
    for (size_t i = 0; i < message.size; i++) {
        unsigned char c = (unsigned char)message.data[i];
        if (c < 0x20 || c == 0x7f)
            buffer_format(out, "\\x%02x", c);
        else
            buffer_append_byte(out, (char)c);
    }
}

static void append_about(struct buffer *out, const struct log_about *about)
{
    const struct {
        const char *name;
        struct slice value;
    } FIELDS[ABOUT_FIELDS] = {{"site", about->site},
                              {"upstream", about->upstream},
                              {"server", about->server},
                              {"request_id", about->request_id},
                              {"at", about->at}};
    for (size_t i = 0; i < ABOUT_FIELDS; i++)
        if (FIELDS[i].value.size > 0)
            json_field(out, FIELDS[i].name, slice_first(FIELDS[i].value, ABOUT_MAX));
}

static void append_json(struct buffer *out, enum log_level level, const char *event,
                        struct slice message)
{
    buffer_append(out, SLICE("{\"ts\":\""));
    append_time(out);
    buffer_append_byte(out, '"');
    json_field(out, "level", slice_from_cstring(LEVELS[level]));
    json_field(out, "event", slice_from_cstring(event));
    json_field(out, "msg", message);
    if (logger.about != NULL)
        append_about(out, logger.about);
    buffer_append_byte(out, '}');
}

/* The line as JSON for those who asked for it. Whether it has been taken. */
static bool offer(enum log_level level, const char *event, struct slice message)
{
    if (logger.listener == NULL && logger.taker == NULL)
        return false;
    struct buffer told = buffer_fixed(logger.told, sizeof logger.told - 1);
    append_json(&told, level, event, message);
    if (logger.listener != NULL)
        logger.listener(level, buffer_slice(&told));
    logger.told[told.size++] = '\n';
    return logger.taker != NULL &&
           logger.taker(logger.taker_argument, level, event, buffer_slice(&told));
}

static void write_line(enum log_level level, const char *event, struct slice message)
{
    if (offer(level, event, message))
        return;
    enum log_style style = __atomic_load_n(&logger.style, __ATOMIC_RELAXED);
    bool is_text = style == LOG_STYLE_TEXT || (style == LOG_STYLE_AUTO && isatty(2));
    struct buffer out = buffer_fixed(logger.line, sizeof logger.line - 1);
    if (is_text)
        append_text(&out, level, message);
    else
        append_json(&out, level, event, message);
    logger.line[out.size++] = '\n';
    if (write(2, logger.line, out.size) < 0) {
        /* Nobody reads stderr: there is nobody else to tell. */
    }
}

__attribute__((format(printf, 3, 0))) static void keep_last(enum log_level level, const char *event,
                                                            const char *format, va_list arguments)
{
    char *line = logger.last[logger.last_count++ % LAST_LINES];
    int head = snprintf(line, LAST_BYTES, "%s %s: ", LEVELS[level], event);
    if (head > 0 && head < LAST_BYTES)
        (void)vsnprintf(line + head, LAST_BYTES - (size_t)head, format, arguments);
}

void log_raw_also(int fd)
{
    raw_also = fd;
}

void log_raw(struct slice text)
{
    if (write(2, text.data, text.size) < 0) {
        /* Nobody reads stderr: there is nobody else to tell. */
    }
    if (raw_also >= 0 && write(raw_also, text.data, text.size) < 0)
        raw_also = -1;
}

void log_print_last(void)
{
    unsigned count = logger.last_count;
    unsigned first = count > LAST_LINES ? count - LAST_LINES : 0;
    for (unsigned i = first; i < count; i++) {
        const char *line = logger.last[i % LAST_LINES];
        log_raw(SLICE("weir: log: "));
        log_raw(slice_of(line, strnlen(line, LAST_BYTES)));
        log_raw(SLICE("\n"));
    }
}

/* Under the mutex. */
static void count_left_out(enum log_level level, const char *event, unsigned left_out)
{
    if (left_out == 0)
        return;
    struct buffer count = buffer_fixed(logger.message, sizeof logger.message);
    buffer_format(&count, "%u more lines of %s were left out", left_out, event);
    write_line(level, event, buffer_slice(&count));
}

__attribute__((format(printf, 4, 0))) static void write_event(enum log_level level,
                                                              const char *event,
                                                              const struct log_about *about,
                                                              const char *format, va_list arguments)
{
    unsigned left_out;
    va_list again;
    pthread_mutex_lock(&logger.mutex);
    va_copy(again, arguments);
    keep_last(level, event, format, again);
    va_end(again);
    if (may_write(event, &left_out)) {
        count_left_out(level, event, left_out);
        int size = vsnprintf(logger.message, sizeof logger.message, format, arguments);
        if (size >= (int)sizeof logger.message)
            size = (int)sizeof logger.message - 1;
        logger.about = about;
        if (size > 0)
            write_line(level, event, slice_of(logger.message, (size_t)size));
        logger.about = NULL;
    }
    pthread_mutex_unlock(&logger.mutex);
}

static bool is_shown(enum log_level level, const char *event)
{
    int64_t left;
    return level >= log_level_now(&left) || is_audit(event);
}

void log_write(enum log_level level, const char *event, const char *format, ...)
{
    va_list arguments;
    if (!is_shown(level, event))
        return;
    va_start(arguments, format);
    write_event(level, event, NULL, format, arguments);
    va_end(arguments);
}

void log_about(enum log_level level, const char *event, const struct log_about *about,
               const char *format, ...)
{
    va_list arguments;
    if (!is_shown(level, event))
        return;
    va_start(arguments, format);
    write_event(level, event, about, format, arguments);
    va_end(arguments);
}
