/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps what steps hold (files, keys at URLs) as it is outside. */
#pragma once

#include "base/status.h"

struct config;
struct held_watch;

/* On control's thread; `config` says how names are resolved now. ERR_LIMIT, ERR_SYSTEM: a fiber
 * could not be started. */
MUST_CHECK enum status held_watch_start(const struct config *(*config)(void),
                                        struct held_watch **watch);
void held_watch_stop(struct held_watch *watch);
