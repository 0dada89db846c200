/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32C (Castagnoli): tells bytes that were torn or changed by accident from those that were
 * written; no help against anybody who changes them on purpose. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Of `data` after what `sum` is of; 0 to begin with. */
uint32_t checksum(uint32_t sum, const void *data, size_t size);
