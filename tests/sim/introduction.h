/* SPDX-License-Identifier: Apache-2.0 */
/* Headers of the PROXY protocol, written and read independently of weir's: what clients say before
 * their first request, and what servers hear. */
#pragma once

#include "net/address.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    INTRODUCTION_MAX = 536,
};

/* Of TCP over IPv4. `extra`: bytes of a TLV that says nothing, behind version 2. */
char *introduction_text(int version, const struct address *from, const struct address *to,
                        size_t extra, size_t *size);

/* What a server hears. */
struct introduction_heard {
    int version; /* that it has to be; 0: none is said */
    char data[INTRODUCTION_MAX];
    size_t size;
    bool is_done;
    bool is_local;  /* weir speaks for itself, or knows nobody … */
    bool has_names; /* … else of these, if they are of IPv4 */
    struct address from, to;
};

/* Takes from the bytes what belongs to it: how many. NULL, or what is wrong. */
const char *introduction_hear(struct introduction_heard *heard, const char *data, size_t size,
                              size_t *taken);
