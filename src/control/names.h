/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the names of servers resolve now, for `weir check`. */
#pragma once

#include "control/snapshot.h"

struct resolver;

/* Asks for every name once, in a loop of its own on the calling thread, which must not be one of
 * ours; warns about those that do not resolve now. Takes seconds when nobody answers. */
void names_check(const struct config *config, const struct snapshot *snapshot,
                 struct config_errors *errors);
/* A resolver as the configuration wants it, on the calling thread. */
MUST_CHECK enum status names_open_resolver(const struct config *config, struct resolver **resolver);
/* The warning; `item` is the line that names the server. */
void names_report(struct config_errors *errors, const struct config_item *item, struct slice host,
                  const char *why);
