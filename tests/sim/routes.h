/* SPDX-License-Identifier: Apache-2.0 */
/* A site with routes, steps and answers of weir's own, and the ways through it. */
#pragma once

#include "plan.h"

/* The lines of the site behind its `listen`, and a second site on that address. `options`: those of
 * its proxy steps. */
const char *routes_text(const char *options);

unsigned routes_count(void);
/* Sends that request on its way: what a server and the client have to see follows. */
void routes_take(struct plan *plan, unsigned way);
