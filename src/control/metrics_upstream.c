/* SPDX-License-Identifier: Apache-2.0 */
/* Upstreams and their servers. */
#include "base/arena.h"
#include "control/metrics.h"
#include "control/service.h"
#include "control/snapshot.h"
#include "upstream/upstream.h"

/* One server with what was counted of it, read once for all families. */
struct row {
    const struct upstream *upstream;
    struct server_state state;
    struct server_counts counts;
};

static const char *const STATES[] = {
    "up", "slow_start", "ejected", "refusing", "check_failed", "unresolved", "draining", "down",
};
static const char *const RETRIED[UPSTREAM_RETRIED_REASONS] = {"connect", "reset", "timeout",
                                                              "status"};

static struct metrics_labels labels_of(const struct row *row)
{
    return (struct metrics_labels){
        {"upstream", "server"}, {upstream_name(row->upstream), row->state.name}, 2};
}

static void begin(struct metrics_out *m, const struct row *row)
{
    metrics_sample(m);
    metrics_label(m, "upstream", upstream_name(row->upstream));
    metrics_label(m, "server", row->state.name);
}

static void write_answers(struct metrics_out *m, const struct row *rows, size_t count)
{
    metrics_family(m, "weir_upstream_requests", "counter",
                   "Tries that a server has answered, by status.");
    for (const struct row *row = rows; row < rows + count; row++) {
        for (size_t i = 0; i < TALLY_SLOTS; i++) {
            char text[24];
            struct buffer code = buffer_fixed(text, sizeof text);
            if (row->counts.answers.keys[i] == 0)
                continue;
            buffer_append_u64(&code, row->counts.answers.keys[i]);
            begin(m, row);
            metrics_label(m, "code", buffer_slice(&code));
            metrics_value(m, row->counts.answers.counts[i]);
        }
        if (row->counts.answers.others > 0) {
            begin(m, row);
            metrics_label(m, "code", SLICE("other"));
            metrics_value(m, row->counts.answers.others);
        }
    }
}

static void write_failures(struct metrics_out *m, const struct row *rows, size_t count)
{
    metrics_family(m, "weir_upstream_errors", "counter",
                   "Tries that brought no answer, by the error's name of RFC 9209.");
    for (const struct row *row = rows; row < rows + count; row++)
        for (size_t i = 0; i < UPSTREAM_ERRORS; i++)
            if (row->counts.errors[i] > 0) {
                begin(m, row);
                metrics_label(m, "error", slice_from_cstring(upstream_error_name(i)));
                metrics_value(m, row->counts.errors[i]);
            }
    metrics_family(m, "weir_upstream_retries", "counter",
                   "Tries that another one followed, by the reason.");
    for (const struct row *row = rows; row < rows + count; row++)
        for (size_t i = 0; i < UPSTREAM_RETRIED_REASONS; i++)
            if (row->counts.retries[i] > 0) {
                begin(m, row);
                metrics_label(m, "reason", slice_from_cstring(RETRIED[i]));
                metrics_value(m, row->counts.retries[i]);
            }
    metrics_family(m, "weir_upstream_health_checks", "counter",
                   "Active checks that were answered.");
    for (const struct row *row = rows; row < rows + count; row++)
        for (int is_good = 0; is_good < 2; is_good++) {
            uint64_t checks = is_good ? row->counts.checks_good : row->counts.checks_bad;
            if (row->counts.checks_good + row->counts.checks_bad == 0)
                continue;
            begin(m, row);
            metrics_label(m, "result", is_good ? SLICE("good") : SLICE("bad"));
            metrics_value(m, checks);
        }
}

static void write_times(struct metrics_out *m, const struct row *rows, size_t count)
{
    metrics_family(m, "weir_upstream_response_duration_seconds", "histogram",
                   "From the beginning of a try to the first byte of its answer.");
    for (const struct row *row = rows; row < rows + count; row++) {
        struct metrics_labels labels = labels_of(row);
        metrics_histogram(m, &row->counts.time, &labels);
    }
    metrics_family(m, "weir_upstream_connect_duration_seconds", "histogram",
                   "Connecting to a server, with its handshake.");
    for (const struct row *row = rows; row < rows + count; row++) {
        struct metrics_labels labels = labels_of(row);
        metrics_histogram(m, &row->counts.connect, &labels);
    }
}

static void write_states(struct metrics_out *m, const struct row *rows, size_t count)
{
    metrics_family(m, "weir_upstream_server_up", "gauge", "Whether a server gets requests.");
    for (const struct row *row = rows; row < rows + count; row++) {
        begin(m, row);
        metrics_value(m, row->state.is_usable);
    }
    metrics_family(m, "weir_upstream_server_state", "gauge",
                   "1 for the state that a server is in.");
    for (const struct row *row = rows; row < rows + count; row++)
        for (size_t i = 0; i < sizeof STATES / sizeof *STATES; i++) {
            struct slice state = slice_from_cstring(STATES[i]);
            begin(m, row);
            metrics_label(m, "state", state);
            metrics_value(m, slice_equal(state, slice_from_cstring(row->state.state)));
        }
    metrics_family(m, "weir_upstream_connections", "gauge",
                   "Requests in flight, and connections that wait in the pool.");
    for (const struct row *row = rows; row < rows + count; row++) {
        begin(m, row);
        metrics_label(m, "state", SLICE("active"));
        metrics_value(m, row->state.active);
        begin(m, row);
        metrics_label(m, "state", SLICE("idle"));
        metrics_value(m, row->state.idle);
    }
}

static size_t read_rows(const struct snapshot *snapshot, struct row *rows, size_t most)
{
    size_t count = 0;
    for (size_t u = 0; u < snapshot->upstreams_count; u++) {
        struct row row = {.upstream = snapshot->upstreams[u]};
        for (size_t i = 0; upstream_server_state(row.upstream, i, &row.state); i++)
            if (count < most && row.state.is_member &&
                upstream_server_counts(row.upstream, i, &row.counts))
                rows[count++] = row;
    }
    return count;
}

static size_t places(const struct snapshot *snapshot)
{
    size_t count = 0;
    struct server_state state;
    for (size_t u = 0; u < snapshot->upstreams_count; u++)
        for (size_t i = 0; upstream_server_state(snapshot->upstreams[u], i, &state); i++)
            count++;
    return count;
}

void metrics_write_upstreams(struct metrics_out *m)
{
    const struct snapshot *snapshot = service_snapshot();
    size_t most = places(snapshot);
    struct arena arena;
    arena_init(&arena, NULL, 0);
    struct row *rows = arena_alloc(&arena, (most + 1) * sizeof *rows);
    size_t count = read_rows(snapshot, rows, most);
    write_answers(m, rows, count);
    write_failures(m, rows, count);
    write_times(m, rows, count);
    write_states(m, rows, count);
    metrics_family(m, "weir_upstream_queue_length", "gauge", "Requests that wait for a server.");
    for (size_t u = 0; u < snapshot->upstreams_count; u++) {
        metrics_sample(m);
        metrics_label(m, "upstream", upstream_name(snapshot->upstreams[u]));
        metrics_value(m, upstream_waiting(snapshot->upstreams[u]));
    }
    arena_done(&arena);
}
