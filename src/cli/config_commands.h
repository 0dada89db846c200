/* SPDX-License-Identifier: Apache-2.0 */
/* The part of "help" that explains words of the configuration. */
#pragma once

#include <stdbool.h>

/* argv[1] is the key or option; returns the exit code, EXIT_FAILED for an unknown word. */
int command_help_key(int argc, char **argv);
/* Whether a key of the configuration has that name. */
bool help_is_key(const char *name);
