/* SPDX-License-Identifier: Apache-2.0 */
/* Kept configurations on disk, a file for each in a directory: inside of control/versions. What
 * waits does its work on an offload thread. */
#pragma once

#include "control/privileges.h"
#include "control/versions.h"

enum {
    VERSIONS_PATH_SIZE = 1152, /* of the directory */
};

/* Calls back with each that can be read, in no order; what cannot is logged. Blocks. */
void versions_disk_each(const char *directory,
                        void (*each)(void *argument, const struct version *version,
                                     struct slice text),
                        void *argument);
/* Gives one to somebody. Blocks. */
void versions_disk_share(const char *directory, uint64_t number, const struct privileges *owner);
/* Writes one, and removes those that are older than `oldest`. False: that was logged. */
MAY_WAIT bool versions_disk_write(const char *directory, const struct version *version,
                                  struct slice text, uint64_t oldest);
/* Reads the text of one. ERR_SYSTEM: it was logged. versions_disk_read() blocks. */
MAY_WAIT MUST_CHECK enum status versions_disk_fetch(const char *directory, uint64_t number,
                                                    struct arena *arena, struct slice *text);
MUST_CHECK enum status versions_disk_read(const char *directory, uint64_t number,
                                          struct arena *arena, struct slice *text);
