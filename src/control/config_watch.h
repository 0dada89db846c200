/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the files that a configuration was read from are what they were then; of one process. */
#pragma once

#include "control/config_text.h"

/* Reads as CONFIG_SYSTEM does and notes what it reads. */
extern const struct config_source CONFIG_WATCHED;

/* Forgets what was noted: a configuration is about to be read. From any thread, as all here. */
void config_watch_begin(void);
/* Whether a file that was read, or what a pattern of includes matches, has changed since. */
bool config_watch_has_changed(void);
