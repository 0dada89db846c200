/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps the names of servers resolved and pushes their addresses down. */
#pragma once

#include "control/snapshot.h"

struct names;
struct resolver;

/* On control's thread. A name that does not resolve is a server that is down, never an error. */
MUST_CHECK enum status names_start(const struct config *config, const struct snapshot *snapshot,
                                   struct names **names);
void names_stop(struct names *names);

/* For `weir check`: asks for every name once, in a loop of its own on the calling thread, which
 * must not be one of ours; warns about those that do not resolve now. Takes seconds when nobody
 * answers.
 */
void names_check(const struct config *config, const struct snapshot *snapshot,
                 struct config_errors *errors);
/* A resolver as the configuration wants it, on the calling thread. */
MUST_CHECK enum status names_open_resolver(const struct config *config, struct resolver **resolver);
/* The warning; `item` is the line that names the server. */
void names_report(struct config_errors *errors, const struct config_item *item, struct slice host,
                  const char *why);
