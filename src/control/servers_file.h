/* SPDX-License-Identifier: Apache-2.0 */
/* The text of a file of servers: the arguments of `server` lines, one to a line, or a JSON array of
 * them. */
#pragma once

#include "control/config_keys.h"

enum {
    SERVERS_FILE_SIZE_MAX = 1024 * 1024,
    SERVERS_FILE_SERVERS_MAX = 512,
};

/* The servers of a text, in the arena. `name` says by its end whether it is JSON. ERR_CONFIG: it is
 * wrong or names no server; *why then says what, and where. */
MUST_CHECK enum status servers_file_parse(struct slice name, struct slice text, struct arena *arena,
                                          const struct server_line_config **servers, size_t *count,
                                          struct slice *why);
