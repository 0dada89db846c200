/* SPDX-License-Identifier: Apache-2.0 */
/* How much memory weir holds. */
#pragma once

#include <stddef.h>
#include <stdint.h>

size_t memory_bytes(void);
size_t memory_most(void);
int64_t memory_pieces(void); /* not yet freed */
