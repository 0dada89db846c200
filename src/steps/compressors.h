/* SPDX-License-Identifier: Apache-2.0 */
/* The encoders of a worker: what they take together and for each client, and how much of the
 * worker's time they eat. */
#pragma once

#include "http/encode.h"

struct compressors;

/* Of this thread; made when they are first asked for. */
struct compressors *compressors_here(void);
/* Frees those of this thread; nobody uses one. */
void compressors_release(void);

/* What one response has of them. */
struct compressing {
    struct compressors *of;
    struct encoder *encoder;
    uint64_t client;
    size_t cost;
    struct compressing *next, **link;
};

struct compressors_limits {
    int64_t memory, memory_per_client; /* bytes, of this worker */
    int64_t busy;                      /* hundredths of a percent of the time */
};

/* Begins one; the level is lowered while they eat more than limits->busy of the worker's time.
 * False: it would be more memory than the limits allow. */
bool compressing_begin(struct compressing *compressing, const struct compressors_limits *limits,
                       struct slice client, struct encode_settings *settings);
void compressing_end(struct compressing *compressing);
/* Counts time that an encoder has worked, ns; `now` monotonic. */
void compressors_note(struct compressors *compressors, int64_t worked, int64_t now);
/* The level to be used in the place of `level`. */
int compressors_level(const struct compressors *compressors,
                      const struct compressors_limits *limits, int level);
