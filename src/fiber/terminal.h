/* SPDX-License-Identifier: Apache-2.0 */
/* The terminal that a command was started on: a screen of its own, and keys as they are pressed.
 * One at a time. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Whether standard input and output are one. */
bool terminal_is_there(void);
/* Another screen, without cursor and echo; left at the end of the process as well. */
void terminal_enter(void);
void terminal_leave(void);
/* From then on an interruption (INT, TERM) is a key of its own. */
void terminal_watch_end(void);
void terminal_size(int *rows, int *columns); /* 24 and 80 where nobody knows */

enum {
    TERMINAL_NOTHING = -1, /* nothing until then */
    TERMINAL_END = -2,     /* somebody has interrupted */
};
/* Waits for a key, or, without a terminal (`has_keys` false), only for the time. */
int terminal_key(bool has_keys, int64_t milliseconds);
