/* SPDX-License-Identifier: Apache-2.0 */
/* Names of the program's functions by address, for the last words of a failing process: allocates
 * nothing, locks nothing. */
#pragma once

#include <stdint.h>

/* Maps the table of names of the running program, if it has one. */
void symbols_open(void);
/* The function in which the address lies, and how far in; NULL: not known. `*in_program` is the
 * address as the program's file counts, 0 for one that is not its own. */
const char *symbols_find(uintptr_t address, uintptr_t *offset, uintptr_t *in_program);
