/* SPDX-License-Identifier: Apache-2.0 */
/* A site with routes, steps and answers of weir's own, and the ways through it. */
#pragma once

#include "plan.h"

/* The lines of a site with that address, and a second site on it. `options`: those of its proxy
 * steps. */
const char *routes_text(const char *listen, const char *options);
/* A site in front of it that asks it over HTTP/2: weir is its own server. "" when it is not wanted;
 * then the site of routes_text stands at the front itself. */
const char *routes_front(bool wanted);
const char *routes_listen(bool has_front);

unsigned routes_count(void);
/* Sends that request on its way: what a server and the client have to see follows. */
void routes_take(struct plan *plan, unsigned way);
