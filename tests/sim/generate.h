/* SPDX-License-Identifier: Apache-2.0 */
/* What of a generated configuration speaks of the servers. */
#pragma once

#include "actor.h"

enum {
    SERVERS_MAX = 4,
};

/* How servers are found. */
enum found { FOUND_WRITTEN, FOUND_FILE, FOUND_SERVICES };

/* The lines of the upstream "app" for so many servers from `first` on; its actors stand behind the
 * addresses. */
const char *generate_upstream(unsigned first, unsigned count, bool is_calm,
                              const struct network *network);
enum found generate_found(void);
const char *generate_server_place(unsigned i);
/* The options of the proxy steps that ask it. */
const char *generate_options(bool is_calm);
/* More lines of the site; "": none. */
const char *generate_lines(bool is_calm, const struct network *network);
/* Looks at servers begin with a header of the PROXY protocol of that version. */
void generate_introduced(int version);
/* Something happens to what was drawn here. */
void generate_discovery_changes(void *unused);
void generate_health_changes(void *unused);
