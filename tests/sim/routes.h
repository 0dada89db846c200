/* SPDX-License-Identifier: Apache-2.0 */
/* A site with routes, steps and answers of weir's own, and the ways through it. */
#pragma once

#include "plan.h"

/* The lines of a site with that address, and a second site on it. `options`: those of its proxy
 * steps. */
const char *routes_text(const char *listen, const char *options);
/* The server that its forward_auth asks. */
struct aside *routes_asked(void);
/* A site in front of it that asks it over HTTP/2, in clear or over TLS: weir is its own server.
 * Without one ("") the site of routes_text stands at the front itself. */
enum front { FRONT_NONE, FRONT_H2, FRONT_TLS, FRONT_TLS_H1, FRONTS };
const char *routes_front(enum front front);
const char *routes_listen(enum front front);

unsigned routes_count(void);
/* Sends that request on its way: what a server and the client have to see follows. */
void routes_take(struct plan *plan, unsigned way, enum front front);
/* The authority that a front trusts over TLS. */
void routes_set_authority(void);
