/* SPDX-License-Identifier: Apache-2.0 */
/* What weir counts of the exchanges it has served: per site and route, in blocks of each worker's
 * own, which outlive snapshots, so that a reload sets nothing back. */
#pragma once

#include "base/buffer.h"
#include "base/metric.h"
#include "exchange/exchange.h"
#include "serve/serve.h"

struct route_series;

/* Of one route on one worker. */
struct route_counts {
    uint64_t begun;
    uint64_t ended;
    struct tally_of requests; /* by metrics_key() */
    struct tally_of refused;  /* by enum refusal */
    struct tally_of encoded;  /* responses by the word that the log has for it: its address */
    struct tally_of limited;  /* what limits did, likewise */
    struct histogram duration;
    struct histogram first_byte; /* until the head of the response was on its way */
    uint64_t bytes_in, bytes_out;
};

/* Before the first snapshot is made; and at the end, when nothing counts any more. */
void metrics_begin(void);
void metrics_end(void);

/* The series of that route, for struct route; names are copied. From any thread. */
struct route_series *metrics_series(struct slice site, struct slice route);

/* For the exchange: a request is on a route; and it has ended. On its worker's thread. */
void metrics_on_begin(const struct exchange *x);
void metrics_on_end(const struct exchange *x);

enum metrics_format {
    METRICS_PROMETHEUS, /* text, version 0.0.4 */
    METRICS_OPENMETRICS,
};

/* What is being written. */
struct metrics_out {
    struct buffer *out;
    enum metrics_format format;
    const char *name; /* of the family, without "_total" */
    const char *type;
    bool has_labels; /* of the sample that is being written */
    size_t samples, samples_max;
    size_t dropped; /* beyond samples_max */
    bool is_dropped;
};

/* "counter", "gauge" or "histogram". */
void metrics_family(struct metrics_out *m, const char *name, const char *type, const char *help);
/* A sample: metrics_sample(), its labels, then its value. */
void metrics_sample(struct metrics_out *m);
void metrics_label(struct metrics_out *m, const char *name, struct slice value);
void metrics_value(struct metrics_out *m, uint64_t value);
void metrics_seconds(struct metrics_out *m, int64_t value);
/* All samples of a histogram with the same labels (at most two). */
struct metrics_labels {
    const char *names[2];
    struct slice values[2];
    size_t count;
};
void metrics_histogram(struct metrics_out *m, const struct histogram *histogram,
                       const struct metrics_labels *labels);

/* Everything. On control's thread; what belongs to workers is read as it is at that moment, so that
 * busy ones answer nobody later. Returns the samples that were left out. */
size_t metrics_write(struct buffer *out, enum metrics_format format, size_t samples_max);
/* Its parts: */
void metrics_write_http(struct metrics_out *m);
void metrics_write_upstreams(struct metrics_out *m);
void metrics_write_caches(struct metrics_out *m);
void metrics_write_process(struct metrics_out *m);
void metrics_write_listeners(struct metrics_out *m);
