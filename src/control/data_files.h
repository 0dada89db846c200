/* SPDX-License-Identifier: Apache-2.0 */
/* The files that steps go by: each is read once for all steps that name it, outlives snapshots, and
 * is read again when it changes. */
#pragma once

#include "base/arena.h"
#include "base/status.h"
#include "exchange/data_file.h"

/* The file of that kind at that path with one more reference, read unless it is known and has not
 * changed. NULL: it cannot be; *why says so, in the arena. Blocks; from control's thread or
 * offload. */
struct data_file *data_file_open(const struct data_file_kind *kind, const char *path,
                                 struct arena *arena, struct slice *why);
void data_file_leave(void *file);

/* On control's loop: from then on until data_files_unwatch() changed files are read again. */
MUST_CHECK enum status data_files_watch(void);
void data_files_unwatch(void);
/* Looks now, and waits until what has changed was read; for whoever asks for it. */
MAY_WAIT void data_files_look(void);
