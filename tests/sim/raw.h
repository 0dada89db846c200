/* SPDX-License-Identifier: Apache-2.0 */
/* A client that says bytes and keeps those that come back: for what no plan can say. */
#pragma once

#include "net.h"

enum {
    RAW_HEARD_MAX = 64 * 1024,
};

struct raw {
    struct address from, to;
    const struct network *network;
    const char *says;
    size_t says_size;
    size_t piece;  /* bytes at once; 0: all */
    int64_t pause; /* between two pieces */
    void (*on_end)(struct raw *raw);
    /* What came of it. */
    struct end *end;
    size_t said, heard_size;
    char heard[RAW_HEARD_MAX + 1];
    bool is_over; /* weir has closed it, or refused it */
    int64_t over_at;
};

/* Zeroed but for the network and an address of its own. */
struct raw *raw_new(const char *to);
/* What it heard so far is these answers, in order, and nothing else; or the truth "expectation" is
 * broken. Rows end with a status of 0; each of `never`, which ends with NULL, stands nowhere. */
struct raw_answer {
    int status;
    const char *body; /* NULL: any */
    bool is_head;     /* of HEAD: none */
};
void raw_expect(const struct raw *raw, const struct raw_answer *rows, const char *const *never);
void raw_start(struct raw *raw, int64_t delay, const char *says);
