/* SPDX-License-Identifier: Apache-2.0 */
/* Other programs as children of this process, and another program in the place of this one. For
 * processes of one thread. */
#pragma once

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    CHILD_FIRST_FD = 3, /* where what is given stands in the child */
};

struct child_start {
    const char *path;
    char *const *argv; /* ends with NULL, as `environment` does */
    char *const *environment;
    int input;       /* its standard input; −1: ours */
    int output;      /* its standard output and error; −1: ours */
    const int *give; /* become its descriptors 3, 4, … */
    size_t give_count;
    const int *keep; /* are open there under the same numbers */
    size_t keep_count;
};

/* Starts a program in a process group of its own, with no signal blocked or ignored. Waits until
 * it has begun. ERR_SYSTEM; *why is then a static text. */
MUST_CHECK enum status child_start(const struct child_start *start, int *pid, const char **why);
/* Takes note of one child that has ended; false: no other has. `signal` is 0 when it ended by
 * itself, then `code` is its exit code. */
bool child_next_ended(int *pid, int *signal, int *code);
void child_signal(int pid, int number);

/* Puts another program in the place of this one, which keeps its PID and the descriptors in
 * `start->keep`. Returns only when that failed, with a static text. */
const char *process_replace(const struct child_start *start);

int process_id(void);
/* What tools call this process; at most 15 bytes. */
void process_set_name(const char *name);
/* Whether the file may be run. */
bool process_may_run(const char *path);
/* The path of the program that runs, not terminated by the kernel's " (deleted)"; false: it cannot
 * be told. */
bool process_path(char *path, size_t size);
