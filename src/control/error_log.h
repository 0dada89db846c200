/* SPDX-License-Identifier: Apache-2.0 */
/* Where the error log goes when a configuration says so, and what operators change: stderr is for
 * the time before, and for who asks for nothing. */
#pragma once

#include "base/log.h"

struct config;
struct config_item;
struct error_log;

/* Opens what `previous` (NULL: none) has not open already. NULL: a target cannot be opened: *bad is
 * the line that asks for it, *why a text. */
struct error_log *error_log_new(const struct config *config, const struct error_log *previous,
                                const struct config_item **bad, const char **why);
void error_log_free(struct error_log *log);
void error_log_reopen(struct error_log *log);
/* From now on lines go there; `log` stays until another one is used. NULL: to stderr. */
void error_log_use(struct error_log *log);
