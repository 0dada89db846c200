/* SPDX-License-Identifier: Apache-2.0 */
/* The part of "help" that explains words of the configuration. */
#pragma once

/* argv[1] is the key or option; returns the exit code, EXIT_FAILED for an unknown word. */
int command_help_key(int argc, char **argv);
