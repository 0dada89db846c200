/* SPDX-License-Identifier: Apache-2.0 */
/* One small question over HTTP that weir asks for itself, and its answer. */
#pragma once

#include "base/arena.h"
#include "base/slice.h"
#include "base/status.h"

struct config;

/* Posts a body to an http:// address; `answer` is the body of a 200, at most `size_max` bytes, in
 * the arena. On control's thread. Everything else is ERR_UNREACHABLE, ERR_TIMEOUT or
 * ERR_CANCELLED, with *why as static text. */
MAY_WAIT MUST_CHECK enum status fetch_post(const struct config *config, struct slice url,
                                           const char *type, struct slice body, size_t size_max,
                                           struct arena *arena, int64_t deadline,
                                           struct slice *answer, const char **why);

/* Gets what is at an http:// or https:// address, in the same way; a server over TLS has to show a
 * certificate that the system trusts. */
MAY_WAIT MUST_CHECK enum status fetch_get(const struct config *config, struct slice url,
                                          size_t size_max, struct arena *arena, int64_t deadline,
                                          struct slice *answer, const char **why);
