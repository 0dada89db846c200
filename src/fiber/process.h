/* SPDX-License-Identifier: Apache-2.0 */
/* What a process is allowed, and who it is. */
#pragma once

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

/* Raises the limit of open files as far as it goes, and returns it. */
int64_t process_raise_open_files(void);

/* Becomes that user and group for good, with no other groups. Before the first thread. False: not
 * permitted. */
MUST_CHECK bool process_become(uint32_t user, uint32_t group);
