/* SPDX-License-Identifier: Apache-2.0 */
/* The last words of a process that breaks off: signal, thread, who was at work, and the calls on
 * the stack of the fiber that failed. */
#pragma once

/* Reports SEGV, BUS, ILL, FPE, ABRT (failed checks too) on stderr and to `fd` (−1: only there),
 * then lets the signal end the process. `version` is static text; `context` prints who was at work
 * with log_raw(), may neither allocate nor lock. On the main thread, before any other starts. */
void crash_watch(int fd, const char *version, void (*context)(void));

/* A thread's own stack may be what is broken: it gets another for its last words. Between these two
 * calls; nothing unless there was crash_watch(). */
void crash_thread_begin(void);
void crash_thread_end(void);

/* The calling thread, for crash_thread(). */
int crash_thread_id(void);
/* Ends the process with the report of that thread. */
void crash_thread(int id);
