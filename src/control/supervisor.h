/* SPDX-License-Identifier: Apache-2.0 */
/* The small parent of the process that works: it keeps the listening sockets, starts the working
 * process again when that ends, and puts a new program in its own place while connections stay. It
 * reads no configuration and serves nobody. */
#pragma once

#include "base/slice.h"
#include "base/status.h"

#include <stdbool.h>

struct supervisor_start {
    const char *program;        /* the path that an upgrade starts, unless it is told another */
    const char *file;           /* the configuration; "-" is read from standard input, once */
    const char *const *options; /* more words for the working process; ends with NULL */
    const char *version;        /* static text */
};

/* Runs until it is ended by TERM, QUIT or INT, or the first working process ends before it has
 * served; its exit code then. Also takes over from the program that ran in this process before. */
int supervisor_run(const struct supervisor_start *start);

/* The name under which `weir upgrade` finds the supervisor with that PID; `into` has
 * SUPERVISOR_NAME_MAX bytes. */
enum {
    SUPERVISOR_NAME_MAX = 64,
};
struct slice supervisor_name(int pid, char *into);
