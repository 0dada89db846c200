/* SPDX-License-Identifier: Apache-2.0 */
/* How much an upstream as a whole is asked at a time. What is too much is answered at once: a fixed
 * number of exchanges, one that follows how long the answers take, and a number of connections that
 * are being opened. Shared by all workers through atomics; without a limit nothing is counted. */
#pragma once

#include "upstream/gradient.h"

struct upstream;

struct breaker {
    uint32_t requests; /* in work */
    uint32_t connects; /* being opened */
    struct gradient gradient;
};

enum {
    LATENCY_BUCKETS = 96,
};

/* How long answers take: four buckets to each doubling, from 64 µs. What is old counts less. */
struct latency {
    uint32_t counts[LATENCY_BUCKETS];
    uint32_t total;
};

/* Counts a request in; *is_counted says whether it has to be counted out. False: too many. */
bool breaker_enter(struct upstream *upstream, bool *is_counted);
void breaker_leave(struct upstream *upstream);
/* Whether the limit that has been reached is the one that adapts. */
bool breaker_adapts(const struct upstream *upstream);
/* The same for a connection that is opened. */
bool breaker_begin_connect(struct upstream *upstream);
void breaker_end_connect(struct upstream *upstream);
/* How long a server took to answer, for the limit that adapts. */
void breaker_measure(struct upstream *upstream, int64_t took);
/* The limit as it is now; 0: none. */
uint32_t breaker_limit(const struct upstream *upstream);

void latency_add(struct latency *latency, int64_t took);
/* In which time that share of the answers came, ns; 0: too few are known. */
int64_t latency_percentile(const struct latency *latency, uint32_t percent);
