/* SPDX-License-Identifier: Apache-2.0 */
/* Whole pages from the kernel. */
#pragma once

#include <stddef.h>

/* Zeroed; NULL when there are none. */
void *pages_map(size_t size);
void pages_unmap(void *pages, size_t size);
/* Gives the memory back and keeps the place: it reads as zero when it is touched again. */
void pages_drop(void *pages, size_t size);
/* The same with the pages that lie wholly between these two; there may be none. */
void pages_drop_within(char *from, char *end);
