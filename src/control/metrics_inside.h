/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the metrics share. */
#pragma once

#include "control/metrics.h"

enum {
    METRICS_TABLE = 4096,
    METRICS_WORKERS_MAX = 256,
    METRICS_SERIES_MAX = 10000, /* routes; those beyond are counted without their names */
};

struct route_series {
    struct slice site, route;
    struct route_series *same; /* with the same place in the table */
    struct route_series *next;
    struct route_counts **counts; /* of each worker, once there is anything; atomic, as the array */
};

/* NULL: nothing yet. */
static inline struct route_counts *metrics_counts_at(const struct route_series *series,
                                                     unsigned worker)
{
    struct route_counts **counts = __atomic_load_n(&series->counts, __ATOMIC_ACQUIRE);
    return counts == NULL ? NULL : __atomic_load_n(&counts[worker], __ATOMIC_ACQUIRE);
}

enum metrics_protocol {
    METRICS_HTTP_1_0,
    METRICS_HTTP_1_1,
    METRICS_H2,
};

/* What tells requests of one route apart, as one number that is not 0. */
static inline uint64_t metrics_key(int status, enum method method, enum metrics_protocol protocol)
{
    return UINT64_C(1) << 40 | (uint64_t)protocol << 32 | (uint64_t)method << 16 |
           (uint64_t)(status & 0xffff);
}

/* Of a refusal, in the word that the access log has for it. */
struct slice metrics_reason(enum refusal refusal);
const struct route_series *metrics_first(void);
