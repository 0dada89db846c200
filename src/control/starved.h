/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a thread that is silent is stuck, or is only waiting for a core: a machine that is busy
 * with other things is no reason to end a process that would go on. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* A thread, and what the kernel had counted for it when somebody began to wonder. */
struct starved {
    int process, thread;
    int64_t since; /* ns, monotonic */
    int64_t ran;   /* ns on a core; −1: it is not known */
};

/* A thread from now on. That of a process's first thread is the process's own number. */
void starved_begin(struct starved *starved, int process, int thread);
/* Whether it could run, and since then has had a core for less than half of the time and less than
 * a second in all: nothing can be told from its silence. */
bool starved_is(const struct starved *starved);
/* The rule by itself: of `elapsed` ns; `state` as in proc(5). Pure. */
bool starved_rule(char state, int64_t ran, int64_t elapsed);
/* Reads the state and the ns on a core out of such a file's text, "PID (name) state …" of proc(5):
 * names may hold anything. False: it is not one. Pure. */
bool starved_read(const char *text, char *state, int64_t *ran);
