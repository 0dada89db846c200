/* SPDX-License-Identifier: Apache-2.0 */
/* base/log.h in the simulated world: lines of the trace, counted by event. */
#include "base/log.h"

#include "outside.h"
#include "world.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    EVENTS_MAX = 64,
};

static struct {
    const char *event;
    unsigned count;
} seen[EVENTS_MAX];

__attribute__((format(printf, 3, 0))) static void note(enum log_level level, const char *event,
                                                       const char *format, va_list arguments)
{
    char text[256];
    vsnprintf(text, sizeof text, format, arguments);
    world_note("log %d %s: %s", level, event, text);
    for (int i = 0; i < EVENTS_MAX; i++) {
        if (seen[i].event == NULL)
            seen[i].event = event;
        if (strcmp(seen[i].event, event) == 0) {
            seen[i].count++;
            return;
        }
    }
}

void log_write(enum log_level level, const char *event, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    note(level, event, format, arguments);
    va_end(arguments);
}

void log_about(enum log_level level, const char *event, const struct log_about *about,
               const char *format, ...)
{
    va_list arguments;
    (void)about;
    va_start(arguments, format);
    note(level, event, format, arguments);
    va_end(arguments);
}

/* The last words of a world that dies: the trace tells the rest. */
void log_raw(struct slice text)
{
    printf("%.*s", SLICE_ARG(text));
    fflush(stdout);
}

void log_raw_also(int fd)
{
    (void)fd;
}

void log_print_last(void)
{
}

void log_set_level(enum log_level level)
{
    (void)level;
}

void log_level_set(enum log_level level, int64_t seconds)
{
    (void)level;
    (void)seconds;
}

enum log_level log_level_now(int64_t *seconds_left)
{
    *seconds_left = 0;
    return LOG_DEBUG;
}

const char *log_level_name(enum log_level level)
{
    static const char *const LEVELS[] = {"debug", "info", "warn", "error"};
    return LEVELS[level];
}

bool log_level_parse(struct slice name, enum log_level *level)
{
    for (int i = LOG_DEBUG; i <= LOG_ERROR; i++)
        if (slice_equal(name, slice_from_cstring(log_level_name((enum log_level)i)))) {
            *level = (enum log_level)i;
            return true;
        }
    return false;
}

/* The trace has every line; nobody else looks on. */
void log_set_listener(void (*listener)(enum log_level level, struct slice line))
{
    (void)listener;
}

void log_set_taker(bool (*taker)(void *argument, enum log_level level, const char *event,
                                 struct slice line),
                   void *argument)
{
    (void)taker;
    (void)argument;
}

void log_set_style(enum log_style style)
{
    (void)style;
}

unsigned log_count(const char *event)
{
    for (int i = 0; i < EVENTS_MAX && seen[i].event != NULL; i++)
        if (strcmp(seen[i].event, event) == 0)
            return seen[i].count;
    return 0;
}
