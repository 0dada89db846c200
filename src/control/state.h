/* SPDX-License-Identifier: Apache-2.0 */
/* Where weir keeps what it made or fetched itself and wants to find again. */
#pragma once

#include <stddef.h>

/* $STATE_DIRECTORY, or "/var/lib/weir" as root, else below $XDG_DATA_HOME or ~/.local/share; it
 * need not exist. Static text, of control's thread alone. NULL: there is no place. */
const char *state_directory(void);
/* Writes the path there of what is kept for a configuration: "NAME" and `suffix` for the packaged
 * one, "NAME-…" for others, of which there may be several on a machine. Empty: there is no place.
 */
void state_path(const char *config_name, const char *name, const char *suffix, char *into,
                size_t size);
