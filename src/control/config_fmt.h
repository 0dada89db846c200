/* SPDX-License-Identifier: Apache-2.0 */
/* The house's layout for a configuration: four blanks a level, one statement a line, comments
 * kept. What is laid out stays as it is. */
#pragma once

#include "control/config_text.h"

/* False, after reports, for a text whose quotes or brackets do not match. */
bool config_fmt(const struct config_file *file, struct arena *arena, struct config_errors *errors,
                struct buffer *out);
