/* SPDX-License-Identifier: Apache-2.0 */
/* Files that no directory has: text that is handed from one process to another by descriptor. */
#pragma once

#include "base/arena.h"
#include "base/status.h"

#include <stdbool.h>

/* An empty one, closed when another program starts; −1: the kernel gives none. */
int memory_file_new(const char *name);
/* Appends; false: no memory. */
bool memory_file_write(int fd, struct slice text);
/* Whoever reads or writes next does it from the start; what is there is kept or dropped. */
void memory_file_rewind(int fd, bool keep);
/* What is in it, at most `size_max` bytes of it, whoever wrote it. */
struct slice memory_file_read(int fd, size_t size_max, struct arena *arena);
/* All that there is to read from a descriptor, up to `size_max` bytes; false: more, or unreadable.
 */
bool memory_file_fill(int fd, int from, size_t size_max);
void memory_file_close(int fd);
