/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps the names of servers resolved and pushes their addresses down. */
#pragma once

#include "control/snapshot.h"

struct names;

/* On control's thread. A name that does not resolve is a server that is down, never an error. */
MUST_CHECK enum status names_start(const struct config *config, const struct snapshot *snapshot,
                                   struct names **names);
void names_stop(struct names *names);
