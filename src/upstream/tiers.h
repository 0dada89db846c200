/* SPDX-License-Identifier: Apache-2.0 */
/* Servers in the order in which they may serve, and where keys belong among them. */
#pragma once

#include "upstream/server.h"

/* Sorts the servers of a new upstream into tiers, by priority, backups last; places their keys when
 * its affinity wants that. */
void upstream_make_tiers(struct upstream *upstream);
void upstream_drop_tiers(struct upstream *upstream);
