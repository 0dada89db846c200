/* SPDX-License-Identifier: Apache-2.0 */
/* Where the lines of a log go: a file, a standard stream, syslog or the journal. A thread of each
 * target's own writes them, so that whatever takes them may stall or fill up: then lines are
 * dropped and counted, and nobody waits; or the target is patient, and tries until they are
 * written. */
#pragma once

#include "base/log.h"

enum log_name {
    LOG_ACCESS,
    LOG_ERRORS,
    LOG_AUDIT,
    LOG_NAMES,
};

enum {
    LOG_TARGET_WAITING = 8 * 1024 * 1024, /* bytes that wait for a target; more are dropped */
};

struct log_rotation {
    int64_t size; /* of a file, from which on it is renamed; 0: never */
    int64_t keep; /* how many that were */
};

struct log_target_settings {
    struct log_rotation rotation;
    bool is_patient; /* what it has taken is dropped only when it has to end */
};

struct log_target;

/* stdout, stderr, file:PATH, journal[:PATH], syslog[:unix:PATH|:[udp:|tcp:]ADDRESS]. NULL: it can
 * be one; else what is wrong with it. */
const char *log_target_look(struct slice to);
/* Opens one that log_target_look() found good. ERR_CONFIG and a text in *why when a file cannot be
 * opened; services that are not there yet are tried again and again. Its thread starts with the
 * first lines. */
MUST_CHECK enum status log_target_open(struct slice to, enum log_name name,
                                       const struct log_target_settings *settings,
                                       struct log_target **target, const char **why);
/* From the next lines on; may start the target's thread. */
void log_target_set(struct log_target *target, const struct log_target_settings *settings);
/* One owner more: log_target_free() of each must follow. From any thread. */
struct log_target *log_target_share(struct log_target *target);
/* What was written before is on its way still; waits for nothing. */
void log_target_free(struct log_target *target);
/* Waits until all that is on its way was written, or until the deadline (monotonic). */
void log_targets_finish(int64_t deadline);

/* Whole lines with their newlines, `count` of them; copied. From any thread. */
void log_target_write(struct log_target *target, enum log_level level, struct slice lines,
                      size_t count);
/* The same, but false, and nothing counted, when too much waits already. */
bool log_target_try(struct log_target *target, enum log_level level, struct slice lines);
/* The same, however much waits. */
void log_target_push(struct log_target *target, enum log_level level, struct slice lines);
/* Opens a file anew, after it was renamed; the old one stays when that fails. A file that was
 * renamed is also found without being told, within a second of its next line. */
void log_target_reopen(struct log_target *target);

const char *log_name_text(enum log_name name);
/* Lines that were lost since the start, whatever they were meant for. From any thread. */
uint64_t log_lost(enum log_name name);
void log_lose(enum log_name name, size_t lines);
