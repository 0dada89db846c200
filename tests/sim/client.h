/* SPDX-License-Identifier: Apache-2.0 */
/* Between the two halves of a client: what it sends, and what it makes of the answers. */
#pragma once

#include "actor.h"

/* The request whose answer comes next; NULL: all are answered. */
struct plan *client_awaited(struct client *client);
/* Sends as much as its manner and the network allow, and comes back by itself for the rest. */
void client_send(struct client *client);
