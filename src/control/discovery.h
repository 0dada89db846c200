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

/* Another snapshot in the place of the first: begins with what is new in it, and leaves what is the
 * same alone. Its upstreams have their lines already. Then waits until every new line has been
 * heard of once, at most until the deadline. ERR_SYSTEM: nothing has changed. On a fiber. */
MAY_WAIT MUST_CHECK enum status discovery_add(struct discovery *discovery,
                                              const struct config *config,
                                              const struct snapshot *snapshot, int64_t deadline);
/* Ends with what that snapshot has no more; before its upstreams let go of their lines. */
void discovery_drop(struct discovery *discovery, const struct snapshot *snapshot);

/* Whether a server has a name to be resolved, or comes from one. */
bool discovery_has_names(const struct snapshot *snapshot);
