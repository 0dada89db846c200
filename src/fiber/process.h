/* SPDX-License-Identifier: Apache-2.0 */
/* What a process is allowed, and who it is. */
#pragma once

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

/* Raises the limit of open files as far as it goes, and returns it. */
int64_t process_raise_open_files(void);

/* What the process has taken so far, as the kernel says it; what it does not say is 0. */
struct process_figures {
    int64_t cpu;       /* ns, of user and system together */
    uint64_t resident; /* bytes */
    uint64_t files;    /* open descriptors */
    uint64_t files_max;
};
void process_look(struct process_figures *figures);

/* Becomes that user and group for good, with no other groups, and with no capability but that of
 * listening on low ports. Before the first thread. False: not permitted. */
MUST_CHECK bool process_become(uint32_t user, uint32_t group);
/* From then on no program that it starts has more rights than it has; and unless it may dump its
 * memory nobody but root reads it, as with a debugger. Before the first thread. */
MUST_CHECK bool process_harden(bool may_dump);
