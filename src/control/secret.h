/* SPDX-License-Identifier: Apache-2.0 */
/* What file:PATH, env:NAME and credential:NAME stand for. */
#pragma once

#include "base/arena.h"

enum {
    SECRET_SIZE_MAX = 64 * 1024,
};

/* The secret itself, without a newline at its end; a text that is no reference is taken as it is.
 * Relative paths start at `directory` (with its slash). False: *why says so; never the secret. */
bool secret_read(struct slice reference, struct slice directory, struct arena *arena,
                 struct slice *secret, const char **why);
