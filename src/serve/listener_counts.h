/* SPDX-License-Identifier: Apache-2.0 */
/* What one worker counts of one listening address. It outlives the listener, so that a reload sets
 * nothing back, and the connections that the address has had. */
#pragma once

#include "base/metric.h"
#include "http/message.h"

struct serve_worker;

enum {
    LISTENER_COUNTS_MAX = 256, /* addresses of a worker that are told apart */
};

enum listener_tls {
    LISTENER_TLS_1_2,
    LISTENER_TLS_1_3,
    LISTENER_TLS_VERSIONS,
};

/* Only the worker writes; all are counters, gauges as what has come and what has gone. */
struct listener_counts {
    struct listener_counts *next;
    struct slice name;             /* as the address is written; empty: all beyond the most */
    uint64_t came, went;           /* connections */
    uint64_t began_work, did_work; /* those with an exchange: idle ones have none */
    uint64_t h1, h2;               /* connections by what they speak, once they do … */
    uint64_t mute;                 /* … or have ended without */
    uint64_t refused[REFUSALS];    /* connections, by the reason */
    uint64_t handshakes[LISTENER_TLS_VERSIONS][2]; /* of TLS that succeeded; [1]: resumed */
    uint64_t handshakes_failed;
    uint64_t handshakes_in_clear; /* of those, HTTP without TLS */
};

/* Those of that name, made at need; never NULL. On the worker's thread. */
struct listener_counts *listener_counts_of(struct serve_worker *worker, struct slice name);
/* The first of a worker's; from any thread, as all that follow by `next`. */
const struct listener_counts *listener_counts_first(const struct serve_worker *worker);
/* When nobody reads any more. */
void listener_counts_free(struct serve_worker *worker);
