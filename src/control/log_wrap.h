/* SPDX-License-Identifier: Apache-2.0 */
/* What services want around a line of a log: the head of syslog (RFC 5424), the fields of the
 * journal's own protocol. */
#pragma once

#include "base/buffer.h"
#include "base/log.h"

struct log_wrap {
    struct buffer out; /* of the heap: the last message */
    char host[256];
    struct slice host_name, log;
    int process;
};

/* `log`: "access" or the like, static text. */
void log_wrap_init(struct log_wrap *wrap, const char *log);
void log_wrap_done(struct log_wrap *wrap);
/* The line has no newline. The message stays until the next one. `is_counted`: its size stands
 * before it (RFC 6587 §3.4.1). */
struct slice log_wrap_syslog(struct log_wrap *wrap, enum log_level level, struct slice line,
                             int64_t wall, bool is_counted);
struct slice log_wrap_journal(struct log_wrap *wrap, enum log_level level, struct slice line);
