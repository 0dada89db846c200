/* SPDX-License-Identifier: Apache-2.0 */
/* How many connections each client address has, over all workers. IPv6 counts by /64. */
#pragma once

#include "net/address.h"

struct tally;

/* Adds one connection of the address unless it has `max` already (false). */
bool clients_enter(struct tally *clients, const struct address *address, int64_t max);
void clients_leave(struct tally *clients, const struct address *address);
