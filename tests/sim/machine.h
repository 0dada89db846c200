/* SPDX-License-Identifier: Apache-2.0 */
/* The machine weir's threads run on: each has a stack of its own, and one real thread plays them in
 * turn. A turn ends where a thread sleeps: at its poll, before a gate, waiting for another's end.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Runs `run` as the first thread, and the world with it, until that thread has ended. */
void machine_run(void (*run)(void *argument), void *argument);
/* The running thread sleeps until is_ready(poll) or the moment `until`. */
void machine_sleep(bool (*is_ready)(int poll), int poll, int64_t until);
unsigned machine_threads(void);
/* Turns that threads have taken. */
uint64_t machine_turns(void);
