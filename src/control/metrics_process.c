/* SPDX-License-Identifier: Apache-2.0 */
/* What there is once: the process, its configuration, its connections. */
#include "control/certificates.h"
#include "control/log_tail.h"
#include "control/log_target.h"
#include "control/memory_watch.h"
#include "control/metrics_inside.h"
#include "control/service_inside.h"
#include "control/snapshot.h"
#include "fiber/process.h"
#include "net/tls_context.h"

/* A counter or gauge without labels. */
static void one(struct metrics_out *m, const char *name, const char *type, uint64_t value,
                const char *help)
{
    metrics_family(m, name, type, help);
    metrics_sample(m);
    metrics_value(m, value);
}

#define SUM(field) service_sum(offsetof(struct serve_worker, field))

static void write_config(struct metrics_out *m)
{
    struct service_counters counters;
    char hash[24];
    struct buffer text = buffer_fixed(hash, sizeof hash);
    service_look(&counters);
    metrics_family(m, "weir_build_info", "gauge", "1, with the version that runs.");
    metrics_sample(m);
    metrics_label(m, "version", SLICE("0.1.0"));
    metrics_label(m, "commit", SLICE(WEIR_COMMIT));
    metrics_label(m, "tls", tls_library());
    metrics_value(m, 1);
    char version[24];
    struct buffer number = buffer_fixed(version, sizeof version);
    buffer_format(&text, "%016llx", (unsigned long long)counters.hash);
    buffer_append_u64(&number, service_version());
    metrics_family(m, "weir_config_info", "gauge", "1, with what the configuration is known by.");
    metrics_sample(m);
    metrics_label(m, "version", buffer_slice(&number));
    metrics_label(m, "hash", buffer_slice(&text));
    metrics_value(m, 1);
    one(m, "weir_config_last_reload_successful", "gauge", !counters.was_refused,
        "Whether the configuration that was tried last is the one that is served.");
    one(m, "weir_config_drift", "gauge", service_is_ephemeral(),
        "Whether what is served is not what the file says.");
    one(m, "weir_config_version", "gauge", service_version(),
        "Number of the configuration that is served; each one that is applied has the next.");
    metrics_family(m, "weir_config_last_reload_success_timestamp_seconds", "gauge",
                   "When that was applied, in seconds since 1970.");
    metrics_sample(m);
    metrics_seconds(m, counters.applied_at);
    metrics_family(m, "weir_config_reloads", "counter", "Other configurations that were tried.");
    for (int is_good = 0; is_good < 2; is_good++) {
        metrics_sample(m);
        metrics_label(m, "result", is_good ? SLICE("applied") : SLICE("refused"));
        metrics_value(m, is_good ? counters.reloads_applied : counters.reloads_refused);
    }
}

static void write_certificate(void *argument, struct slice name, int64_t expires)
{
    struct metrics_out *m = argument;
    metrics_sample(m);
    metrics_label(m, "name", name);
    metrics_value(m, expires < 0 ? 0 : (uint64_t)expires);
}

static void write_turns(struct metrics_out *m)
{
    struct histogram handshakes = {0};
    metrics_family(m, "weir_worker_loop_lag_seconds", "histogram",
                   "How long each turn of a worker's loop took: what is next waits as long.");
    for (unsigned i = 0; i < service.workers.count; i++) {
        const struct serve_worker *worker = service.workers.shared.workers[i];
        struct histogram turns = {0};
        char text[16];
        struct buffer number = buffer_fixed(text, sizeof text);
        buffer_append_u64(&number, i);
        histogram_join(&turns, &worker->turns);
        histogram_join(&handshakes, &worker->shaken);
        struct metrics_labels labels = {{"worker"}, {buffer_slice(&number)}, 1};
        metrics_histogram(m, &turns, &labels);
    }
    metrics_family(m, "weir_tls_handshake_duration_seconds", "histogram",
                   "Handshakes with clients that succeeded.");
    metrics_histogram(m, &handshakes, &(struct metrics_labels){.count = 0});
    metrics_family(m, "weir_tls_certificate_expiry_timestamp_seconds", "gauge",
                   "When a certificate that is shown ends, by the first name of its site.");
    certificates_each(service.snapshot->certificates, write_certificate, m);
}

static void write_connections(struct metrics_out *m)
{
    one(m, "weir_h2_connections", "counter", SUM(h2_opened), "Connections that spoke HTTP/2.");
    one(m, "weir_h2_connections_refused", "counter", SUM(h2_refused),
        "Of those, ended for what they did.");
    one(m, "weir_proxy_protocol_failed", "counter", SUM(introductions_failed),
        "Connections closed for a header of the PROXY protocol that was missing or bad.");
    metrics_write_listeners(m);
}

/* Also what never became an exchange, such as a connection too many. */
static void write_refused(struct metrics_out *m)
{
    metrics_family(m, "weir_refused", "counter",
                   "Connections and requests that weir has refused, by the reason.");
    for (size_t i = REFUSAL_NONE + 1; i < REFUSALS; i++) {
        uint64_t count = service_sum(offsetof(struct serve_worker, refused) + i * sizeof count);
        if (count == 0)
            continue;
        metrics_sample(m);
        metrics_label(m, "reason", metrics_reason((enum refusal)i));
        metrics_value(m, count);
    }
}

static void write_memory(struct metrics_out *m)
{
    struct memory_state state;
    memory_watch_look(&state);
    one(m, "weir_memory_budget_bytes", "gauge", (uint64_t)state.budget,
        "What limits.memory allows; 0: there is no budget.");
    one(m, "weir_memory_used_bytes", "gauge", state.used < 0 ? 0 : (uint64_t)state.used,
        "What the process or its group has of it.");
    one(m, "weir_memory_committed_bytes", "gauge", state.used < 0 ? 0 : (uint64_t)state.committed,
        "What stands against it: what is used, and what was promised and not touched yet.");
    one(m, "weir_memory_level", "gauge", (uint64_t)state.level,
        "0 all is as usual, 1 caches are given back, 2 connections are not kept, 3 requests are "
        "refused, 4 the largest clients are ended.");
    one(m, "weir_memory_connections_ended", "counter", state.ended,
        "Connections that were ended since their client held the most.");
}

static void write_log(struct metrics_out *m)
{
    metrics_family(m, "weir_log_dropped", "counter", "Lines that a log did not take.");
    for (unsigned i = 0; i < LOG_NAMES; i++) {
        metrics_sample(m);
        metrics_label(m, "log", slice_from_cstring(log_name_text((enum log_name)i)));
        metrics_value(m, log_lost((enum log_name)i));
    }
    metrics_sample(m);
    metrics_label(m, "log", SLICE("tail"));
    metrics_value(m, log_tail_lost());
}

void metrics_write_process(struct metrics_out *m)
{
    struct process_figures figures;
    process_look(&figures);
    write_config(m);
    write_connections(m);
    write_turns(m);
    write_refused(m);
    write_memory(m);
    write_log(m);
    metrics_family(m, "process_cpu_seconds", "counter", "User and system time, in seconds.");
    metrics_sample(m);
    metrics_seconds(m, figures.cpu);
    one(m, "process_resident_memory_bytes", "gauge", figures.resident, "Memory in use.");
    one(m, "process_open_fds", "gauge", figures.files, "Open file descriptors.");
    one(m, "process_max_fds", "gauge", figures.files_max, "How many there may be.");
    metrics_family(m, "process_start_time_seconds", "gauge",
                   "When the process started, in seconds since 1970.");
    metrics_sample(m);
    metrics_seconds(m, service_started());
}

size_t metrics_write(struct buffer *out, enum metrics_format format, size_t samples_max)
{
    struct metrics_out m = {.out = out, .format = format, .samples_max = samples_max};
    metrics_write_process(&m);
    metrics_write_http(&m);
    metrics_write_upstreams(&m);
    metrics_write_caches(&m);
    m.samples_max = SIZE_MAX;
    size_t dropped = m.dropped;
    one(&m, "weir_metrics_series_dropped", "gauge", dropped,
        "Series that are left out here, since there are more than metrics.max_series.");
    if (format == METRICS_OPENMETRICS)
        buffer_append(out, SLICE("# EOF\n"));
    return dropped;
}
