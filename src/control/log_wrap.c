/* SPDX-License-Identifier: Apache-2.0 */
#include "control/log_wrap.h"

#include "http/date.h"
#include "net/log_socket.h"

#include <stdlib.h>
#include <unistd.h>

enum {
    HEAD_MAX = 512,
    FACILITY = 3, /* daemon */
};

/* Severities of RFC 5424 §6.2.1: debug, informational, warning, error. */
static const int SEVERITIES[] = {7, 6, 4, 3};

void log_wrap_init(struct log_wrap *wrap, const char *log)
{
    *wrap = (struct log_wrap){.log = slice_from_cstring(log), .process = (int)getpid()};
    wrap->host_name = log_socket_host_name(wrap->host, sizeof wrap->host);
    for (size_t i = 0; i < wrap->host_name.size; i++)
        if (wrap->host[i] <= ' ' || wrap->host[i] > '~')
            wrap->host[i] = '_';
    if (wrap->host_name.size == 0)
        wrap->host_name = SLICE("-");
}

void log_wrap_done(struct log_wrap *wrap)
{
    free(wrap->out.data);
    wrap->out = (struct buffer){0};
}

static void begin(struct log_wrap *wrap, struct slice line)
{
    if (wrap->out.capacity < line.size + HEAD_MAX) {
        free(wrap->out.data);
        size_t capacity = line.size + HEAD_MAX;
        wrap->out = buffer_fixed(memory_alloc(capacity), capacity);
    }
    wrap->out.size = 0;
}

static void write_head(const struct log_wrap *wrap, enum log_level level, int64_t wall,
                       struct buffer *head)
{
    char date[DATE_ISO_SIZE];
    buffer_format(head, "<%d>1 ", FACILITY * 8 + SEVERITIES[level]);
    buffer_append(head, date_iso(wall, date));
    buffer_format(head, " %.*s weir %d %.*s - ", SLICE_ARG(wrap->host_name), wrap->process,
                  SLICE_ARG(wrap->log));
}

struct slice log_wrap_syslog(struct log_wrap *wrap, enum log_level level, struct slice line,
                             int64_t wall, bool is_counted)
{
    char text[HEAD_MAX - 32];
    struct buffer head = buffer_fixed(text, sizeof text);
    write_head(wrap, level, wall, &head);
    begin(wrap, line);
    if (is_counted)
        buffer_format(&wrap->out, "%zu ", head.size + line.size);
    buffer_append(&wrap->out, buffer_slice(&head));
    buffer_append(&wrap->out, line);
    return buffer_slice(&wrap->out);
}

struct slice log_wrap_journal(struct log_wrap *wrap, enum log_level level, struct slice line)
{
    begin(wrap, line);
    buffer_format(
        &wrap->out,
        "PRIORITY=%d\nSYSLOG_FACILITY=%d\nSYSLOG_IDENTIFIER=weir\nWEIR_LOG=%.*s\nMESSAGE=",
        SEVERITIES[level], FACILITY, SLICE_ARG(wrap->log));
    buffer_append(&wrap->out, line);
    buffer_append_byte(&wrap->out, '\n');
    return buffer_slice(&wrap->out);
}
