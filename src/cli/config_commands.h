/* SPDX-License-Identifier: Apache-2.0 */
/* The commands that look at configurations without running them. argv[0] is the verb; what is
 * returned is the program's exit code. */
#pragma once

int command_check(int argc, char **argv);
int command_fmt(int argc, char **argv);
int command_convert(int argc, char **argv);
int command_schema(int argc, char **argv);
int command_help_key(int argc, char **argv);
