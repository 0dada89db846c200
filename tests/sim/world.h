/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated world: one seed, one clock, one queue of events, one trace. Everything that happens
 * to weir in here is drawn from the seed, so the same seed is the same world, byte for byte. */
#pragma once

#include "base/clock.h"
#include "base/random.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The calls of weir that a world can let fail. */
enum fault {
    FAULT_SOCKET, /* no descriptor for it */
    FAULT_CONNECT,
    FAULT_ACCEPT,
    FAULT_READ,
    FAULT_WRITE,
    FAULT_WATCH,
    FAULT_POLL, /* what a thread sleeps in, and the bell that wakes it */
    FAULT_PIPE,
    FAULT_SPLICE,
    FAULT_OPEN,
    FAULT_FILE_WRITE,
    FAULT_FILE_READ,
    FAULT_LOG_WRITE,
    FAULT_FSYNC,
    FAULT_RENAME,
    FAULT_RESOLVE,
    FAULTS,
};
extern const char *const FAULT_NAMES[FAULTS];

/* Begins anew, with the faults that are planned already. There is one world in a process; what it
 * owns lives until the process ends. */
void world_begin(uint64_t seed);

/* Chance, from the seed: 0 to bound − 1; true in `percent` of all cases; low to high. */
uint32_t world_below(uint32_t bound);
bool world_chance(uint32_t percent);
int64_t world_between(int64_t low, int64_t high);

/* Virtual time, ns; it jumps to the next event when nobody can run. */
int64_t world_now(void);
int64_t world_wall(void);
void world_jump_wall(int64_t by);
/* Time that the processor took; threads call it as they run. */
void world_spend(int64_t ns);

/* Calls fn(argument) `delay` ns from now. Events of the same moment come in an order of chance. */
void world_after(int64_t delay, void (*fn)(void *argument), void *argument);
/* When the next event is due; CLOCK_NEVER: there is none. */
int64_t world_next(void);
/* Moves time to the next event and runs it. */
void world_step(void);

/* Zeroed memory that nobody has to free. */
void *world_alloc(size_t size);

/* Lets the nth call of that kind from now on fail, once or (`and_on`) for ever; 0: none. */
void world_plan_fault(enum fault kind, uint32_t nth, bool and_on);
/* Whether this call fails. Counts it. */
bool world_fault(enum fault kind);
/* From now on `split` is asked at each such call: true where it fails, `and_on` with all of its
 * kind that follow; it is not asked again then. Runners fork in it, so that the way up to a call is
 * gone once for all that may become of it. */
void world_split_at_faults(bool (*split)(enum fault kind, uint32_t nth, bool *and_on));
uint32_t world_fault_count(enum fault kind);
/* Whether the runner planned one before the world began; whether any has struck. */
bool world_is_tortured(void);
bool world_was_struck(void);

/* A line of the trace: enters the hash, is kept for the report, is shown if asked for. */
void world_trace(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same for text that differs between two equal worlds: not hashed. */
void world_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
void world_show_trace(bool shown);
uint64_t world_hash(void);
uint64_t world_events(void);

/* A truth does not hold: prints seed, truth and the trace before it, and ends the process. */
_Noreturn void world_broken(const char *truth, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
