/* SPDX-License-Identifier: Apache-2.0 */
/* Memory for stacks: mapped lazily, with a guard below. */
#pragma once

#include <stddef.h>

/* `size` usable bytes (a multiple of the page size), the lowest at the address returned; reading or
 * writing below it faults. NULL when the kernel gives no more mappings. */
void *stack_map(size_t size);
void stack_unmap(void *stack, size_t size);

/* For high-water marks: fills a stack, and tells how many bytes from its top were used since. */
void stack_paint(void *stack, size_t size);
size_t stack_high_water(const void *stack, size_t size);
