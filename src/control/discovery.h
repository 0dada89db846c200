/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps what upstreams' servers are known by (names, SRV records, files) up to date and pushes the
 * servers down. */
#pragma once

#include "control/snapshot.h"
#include "net/resolver.h"

struct discovery;

/* On control's thread. A name that does not resolve and a file that is not there are servers that
 * are down, never an error. */
MUST_CHECK enum status discovery_start(const struct config *config, const struct snapshot *snapshot,
                                       struct discovery **discovery);
void discovery_stop(struct discovery *discovery);

/* Whether a server has a name to be resolved, or comes from one. */
bool discovery_has_names(const struct snapshot *snapshot);
