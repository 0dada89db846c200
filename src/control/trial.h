/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a configuration that waits to be confirmed does worse than the one before it: more of the
 * requests fail, or an upstream has no usable server any more. On control's thread. */
#pragma once

#include "base/slice.h"

#include <stdint.h>

struct snapshot;

enum {
    TRIAL_WINDOW_S = 10,     /* that failures are counted in */
    TRIAL_REQUESTS_MIN = 20, /* fewer say nothing */
    TRIAL_LOOK_MS = 250,     /* how often it is looked at */
    TRIAL_WHY_MAX = 160,
};

/* What is too much. */
struct trial_limits {
    int errors;   /* percent of the requests answered with 5xx; 0: it does not matter */
    int64_t down; /* ns without a usable server of an upstream; 0: likewise */
};

/* From then on requests are counted; `count` says how many have ended so far on all workers, and
 * how many of them with 5xx. */
void trial_start(void (*count)(uint64_t *ended, uint64_t *failed));
void trial_stop(void);

/* Before another configuration takes the place of this one: how well it does now. */
void trial_prepare(const struct snapshot *before);
/* The other one is served. */
void trial_begin(const struct trial_limits *limits);
/* Every TRIAL_LOOK_MS: empty, or why it does badly, until the next call. */
struct slice trial_look(const struct snapshot *snapshot);
