/* SPDX-License-Identifier: Apache-2.0 */
/* Where weir keeps what it made or fetched itself and wants to find again. */
#pragma once

/* $STATE_DIRECTORY, or "/var/lib/weir" as root, else below $XDG_DATA_HOME or ~/.local/share; it
 * need not exist. Static text, of control's thread alone. NULL: there is no place. */
const char *state_directory(void);
