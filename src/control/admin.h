/* SPDX-License-Identifier: Apache-2.0 */
/* The admin API: an HTTP server of its own on control's loop, with its own addresses, limits and
 * one built-in site, so that it answers while all workers are busy. */
#pragma once

#include "control/certificates.h"
#include "control/config.h"
#include "serve/serve.h"

/* What a configuration asks for: addresses with their tokens, read. */
struct admin_plan;

/* Makes control's thread one that can serve: `control` is the struct that its thread stands in. */
void admin_init(struct serve_worker *control);
/* Reads the secrets that the configuration names; blocks: on offload, or before there is anybody
 * to wait. NULL: reported. `by_default`: when it says nothing of an admin API there is one where
 * the system suggests. */
struct admin_plan *admin_plan_new(const struct config *config, bool by_default,
                                  struct config_errors *errors);
void admin_plan_free(struct admin_plan *plan);
/* Whether it lets in whoever has sent that request, to that address, to change things (a plan of
 * NULL nobody). */
bool admin_plan_keeps(const struct admin_plan *plan, const struct exchange *x);
/* Opens what is not open yet. ERR_SYSTEM, ERR_DENIED: reported (logged, with NULL errors), and
 * nothing has changed; an address that nobody has written may fail, with a warning. */
MUST_CHECK enum status admin_open(struct admin_plan *plan, const struct config *config,
                                  struct config_errors *errors);
/* Closes what was opened and is not to be served. */
void admin_unopen(void);
/* Serves as the plan says, which it takes over, and closes what is not in it; NULL: as it does. The
 * configuration's certificates are shown from now on. */
void admin_serve(struct admin_plan *plan, const struct config *config,
                 struct certificates *certificates);
/* No new connections: weir is ending, or another one takes over. */
void admin_drain(void);
/* No more answers: closes everything. Before the loop runs for the last time. */
void admin_stop(void);
/* Frees what admin_stop() left, when the loop runs no more. */
void admin_done(void);
