/* SPDX-License-Identifier: Apache-2.0 */
/* A file that a step goes by: addresses, passwords, keys. It is read with the configuration, which
 * is refused when the file cannot be, and again whenever it changes; then what cannot be read
 * leaves the last good one in its place. */
#pragma once

#include "base/slice.h"

#include <stddef.h>

/* How such a file is read; one static struct each, which tells the kinds apart. */
struct data_file_kind {
    const char *what; /* "list of addresses", for messages */
    size_t size_max;
    /* What is made of its text, on a thread that may take its time; NULL, and a text of at most
     * `why_size` bytes that names the line: it is wrong. The text is gone afterwards. */
    void *(*parse)(struct slice text, char *why, size_t why_size);
    void (*release)(void *parsed);
};

struct data_file {
    const struct data_file_kind *kind;
    const void *parsed; /* atomic */
};

/* What it says now: to be used before the fiber waits, and then asked for again. */
static inline const void *data_file_now(const struct data_file *file)
{
    return __atomic_load_n(&file->parsed, __ATOMIC_ACQUIRE);
}
