/* SPDX-License-Identifier: Apache-2.0 */
/* What was changed at run time in the weir that runs: the overrides that hold now, in the servers
 * and on disk. On control's thread. */
#pragma once

#include "control/overrides.h"

struct snapshot;

/* Before the first configuration is read: finds what was kept for a configuration of that name.
 * Blocks. */
void runtime_load(const char *config_name);
/* Before the loop runs: what does not stand any more is taken out of runtime_edit(), and
 * runtime_start() keeps the rest. Blocks. */
struct overrides *runtime_edit(void);
void runtime_start(void);
/* What holds now; valid until the next wait. */
const struct overrides *runtime_overrides(void);
/* One more for each change. */
uint64_t runtime_generation(void);

/* One change at a time: whoever looks at what holds, and then changes it, holds this meanwhile.
 * ERR_TIMEOUT, ERR_CANCELLED. */
MAY_WAIT MUST_CHECK enum status runtime_lock(int64_t deadline);
void runtime_unlock(void);

/* Sets in the servers what is set by hand. */
void runtime_push(const struct overrides *overrides, const struct snapshot *snapshot);
/* From now on these hold; they are taken over, and kept on disk where that is possible. False: they
 * could not be kept, which was logged; they hold all the same. */
MAY_WAIT bool runtime_replace(struct overrides *overrides);
void runtime_done(void);
