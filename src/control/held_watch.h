/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps what steps hold (files, keys at URLs) as it is outside. */
#pragma once

#include "base/status.h"

struct config;

/* On control's thread, once. ERR_LIMIT, ERR_SYSTEM: a fiber could not be started. */
MUST_CHECK enum status held_watch_start(const struct config *config);
/* Another configuration is in use; the one before may go. */
void held_watch_use(const struct config *config);
void held_watch_stop(void);
