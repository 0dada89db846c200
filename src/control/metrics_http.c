/* SPDX-License-Identifier: Apache-2.0 */
/* Sites and routes. The counts of all workers are joined for each family anew: reading is rare, and
 * nothing has to be kept. */
#include "control/metrics_inside.h"

static const char *const PROTOCOLS[] = {"http/1.0", "http/1.1", "h2"};

struct slice metrics_reason(enum refusal refusal)
{
    return slice_from_cstring(refusal_text(refusal)->reason);
}

static const struct route_counts *counts_at(const struct route_series *series, unsigned worker)
{
    return metrics_counts_at(series, worker);
}

static const struct route_series *next_of(const struct route_series *series)
{
    return __atomic_load_n(&series->next, __ATOMIC_ACQUIRE);
}

static bool is_used(const struct route_series *series)
{
    for (unsigned i = 0; i < METRICS_WORKERS_MAX; i++)
        if (counts_at(series, i) != NULL)
            return true;
    return false;
}

static void route_labels(struct metrics_out *m, const struct route_series *series)
{
    metrics_sample(m);
    metrics_label(m, "site", series->site);
    metrics_label(m, "route", series->route);
}

static void write_requests(struct metrics_out *m, const struct route_series *series)
{
    struct tally_of sum = {0};
    for (unsigned i = 0; i < METRICS_WORKERS_MAX; i++)
        if (counts_at(series, i) != NULL)
            tally_of_join(&sum, &counts_at(series, i)->requests);
    for (size_t i = 0; i < TALLY_SLOTS; i++) {
        uint64_t key = sum.keys[i];
        if (key == 0)
            continue;
        char code[8];
        struct buffer out = buffer_fixed(code, sizeof code);
        buffer_append_u64(&out, key & 0xffff);
        struct slice method = method_name((enum method)(key >> 16 & 0xffff));
        route_labels(m, series);
        metrics_label(m, "method", method.size == 0 ? SLICE("other") : method);
        metrics_label(m, "code", buffer_slice(&out));
        metrics_label(m, "protocol", slice_from_cstring(PROTOCOLS[key >> 32 & 0xff]));
        metrics_value(m, sum.counts[i]);
    }
    if (sum.others == 0)
        return;
    route_labels(m, series);
    metrics_label(m, "method", SLICE("other"));
    metrics_label(m, "code", SLICE("other"));
    metrics_label(m, "protocol", SLICE("other"));
    metrics_value(m, sum.others);
}

static void write_refused(struct metrics_out *m, const struct route_series *series)
{
    struct tally_of sum = {0};
    for (unsigned i = 0; i < METRICS_WORKERS_MAX; i++)
        if (counts_at(series, i) != NULL)
            tally_of_join(&sum, &counts_at(series, i)->refused);
    for (size_t i = 0; i < TALLY_SLOTS; i++) {
        if (sum.keys[i] == 0)
            continue;
        route_labels(m, series);
        metrics_label(m, "reason", metrics_reason((enum refusal)sum.keys[i]));
        metrics_value(m, sum.counts[i]);
    }
}

/* A tally whose keys are words of the program. */
static void write_words(struct metrics_out *m, const struct route_series *series, size_t offset,
                        const char *label)
{
    struct tally_of sum = {0};
    for (unsigned i = 0; i < METRICS_WORKERS_MAX; i++) {
        const char *counts = (const char *)counts_at(series, i);
        if (counts != NULL)
            tally_of_join(&sum, (const struct tally_of *)(const void *)(counts + offset));
    }
    for (size_t i = 0; i < TALLY_SLOTS; i++) {
        if (sum.keys[i] == 0)
            continue;
        route_labels(m, series);
        metrics_label(m, label, slice_from_cstring((const char *)(uintptr_t)sum.keys[i]));
        metrics_value(m, sum.counts[i]);
    }
}

static void write_histogram(struct metrics_out *m, const struct route_series *series, size_t offset)
{
    struct histogram sum = {0};
    for (unsigned i = 0; i < METRICS_WORKERS_MAX; i++) {
        const char *counts = (const char *)counts_at(series, i);
        if (counts != NULL)
            histogram_join(&sum, (const struct histogram *)(const void *)(counts + offset));
    }
    struct metrics_labels labels = {{"site", "route"}, {series->site, series->route}, 2};
    metrics_histogram(m, &sum, &labels);
}

static void write_sum(struct metrics_out *m, const struct route_series *series, size_t offset)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < METRICS_WORKERS_MAX; i++) {
        const char *counts = (const char *)counts_at(series, i);
        if (counts != NULL)
            sum += counter_read((const uint64_t *)(const void *)(counts + offset));
    }
    route_labels(m, series);
    metrics_value(m, sum);
}

static void write_in_flight(struct metrics_out *m, const struct route_series *series)
{
    uint64_t begun = 0, ended = 0;
    for (unsigned i = 0; i < METRICS_WORKERS_MAX; i++) {
        const struct route_counts *counts = counts_at(series, i);
        if (counts == NULL)
            continue;
        ended += counter_read(&counts->ended); /* before what has begun: never less than nothing */
        begun += counter_read(&counts->begun);
    }
    route_labels(m, series);
    metrics_value(m, begun > ended ? begun - ended : 0);
}

#define EACH_SERIES(series)                                                                        \
    for (const struct route_series *series = metrics_first(); series != NULL;                      \
         series = next_of(series))                                                                 \
        if (is_used(series))

void metrics_write_http(struct metrics_out *m)
{
    metrics_family(m, "weir_http_requests", "counter", "Requests that have ended.");
    EACH_SERIES(series) write_requests(m, series);
    metrics_family(m, "weir_http_request_duration_seconds", "histogram",
                   "From the first byte of a request's head to the last of its response.");
    EACH_SERIES(series)
    write_histogram(m, series, offsetof(struct route_counts, duration));
    metrics_family(m, "weir_http_response_start_seconds", "histogram",
                   "From the first byte of a request's head to the head of its response.");
    EACH_SERIES(series)
    write_histogram(m, series, offsetof(struct route_counts, first_byte));
    metrics_family(m, "weir_http_requests_in_flight", "gauge",
                   "Requests that are being answered, tunnels included.");
    EACH_SERIES(series) write_in_flight(m, series);
    metrics_family(m, "weir_http_request_body_bytes", "counter", "Bytes of requests' bodies.");
    EACH_SERIES(series) write_sum(m, series, offsetof(struct route_counts, bytes_in));
    metrics_family(m, "weir_http_response_body_bytes", "counter", "Bytes of responses' bodies.");
    EACH_SERIES(series) write_sum(m, series, offsetof(struct route_counts, bytes_out));
    metrics_family(m, "weir_http_requests_rejected", "counter",
                   "Requests that weir has refused, by the rule that they broke.");
    EACH_SERIES(series) write_refused(m, series);
    metrics_family(m, "weir_http_responses_encoded", "counter",
                   "Responses that weir has encoded or decoded, or left alone for a reason.");
    EACH_SERIES(series)
    write_words(m, series, offsetof(struct route_counts, encoded), "encoding");
    metrics_family(m, "weir_rate_limit_requests", "counter",
                   "Requests that a limit has refused or delayed, or would have.");
    EACH_SERIES(series)
    write_words(m, series, offsetof(struct route_counts, limited), "result");
}
