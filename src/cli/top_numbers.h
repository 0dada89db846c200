/* SPDX-License-Identifier: Apache-2.0 */
/* What weir top shows: numbers that a running weir has counted, and what they have become since the
 * last look. */
#pragma once

#include "cli/admin_client.h"

enum {
    TOP_ROWS_MAX = 512,
    TOP_NAME_MAX = 96,
    TOP_BUCKETS = 18,
    TOP_HISTORY = 24,
    TOP_EVENTS = 8,
    TOP_EVENT_MAX = 160,
};

struct top_counts {
    double requests, classes[6], bytes_in, bytes_out; /* classes: of statuses; 0: others */
    double buckets[TOP_BUCKETS];
};

/* A site, or a server. */
struct top_row {
    char name[TOP_NAME_MAX];
    char upstream[TOP_NAME_MAX]; /* of a server */
    char state[24];
    double active, idle;
    struct top_counts total; /* since the start */
    struct top_counts since; /* since the last look */
    bool is_old;             /* it was there then */
};

struct top {
    struct top_row sites[TOP_ROWS_MAX], servers[TOP_ROWS_MAX];
    size_t sites_count, servers_count;
    struct top_counts all;       /* of all sites, since the last look */
    double bounds[TOP_BUCKETS];  /* ms */
    double seconds;              /* between the looks */
    int64_t looked;              /* monotonic; 0: not yet */
    double history[TOP_HISTORY]; /* requests a second, the latest last */
    double cpu, cpu_before;      /* seconds */
    double resident, connections, workers, version_config;
    char version[32], age[16];
    char events[TOP_EVENTS][TOP_EVENT_MAX];
    size_t events_count;
};

/* Asks; the numbers are those since the last time. An exit code. */
int top_look(struct top *top, struct admin_client *client);
/* A quantile of what was counted, in ms; negative: there was nothing. */
double top_quantile(const struct top *top, const struct top_counts *counts, double quantile);
