/* SPDX-License-Identifier: Apache-2.0 */
/* Listening addresses: connections and handshakes of each. */
#include "base/arena.h"
#include "control/metrics_inside.h"
#include "control/service_inside.h"
#include "serve/listener_counts.h"

enum {
    SUMS_MAX = LISTENER_COUNTS_MAX,
    /* What there is between the name and the end of the struct are numbers that are added. */
    NUMBERS_FROM = offsetof(struct listener_counts, came) / sizeof(uint64_t),
    NUMBERS_TO = sizeof(struct listener_counts) / sizeof(uint64_t),
};

static void begin(struct metrics_out *m, const struct listener_counts *counts)
{
    metrics_sample(m);
    metrics_label(m, "listener", counts->name.size == 0 ? SLICE("other") : counts->name);
}

static void join(struct listener_counts *sum, const struct listener_counts *more)
{
    uint64_t *to = (uint64_t *)(void *)sum;
    const uint64_t *from = (const uint64_t *)(const void *)more;
    for (size_t i = NUMBERS_FROM; i < NUMBERS_TO; i++)
        to[i] += counter_read(&from[i]);
}

/* Of all workers, by the names of addresses. */
static size_t read_sums(struct listener_counts *sums)
{
    size_t count = 0;
    for (unsigned w = 0; w < service.workers.count; w++) {
        const struct listener_counts *at = listener_counts_first(service.workers.shared.workers[w]);
        for (; at != NULL; at = at->next) {
            size_t i = 0;
            while (i < count && !slice_equal(sums[i].name, at->name))
                i++;
            if (i == SUMS_MAX)
                continue;
            if (i == count)
                sums[count++] = (struct listener_counts){.name = at->name};
            join(&sums[i], at);
        }
    }
    return count;
}

/* What has gone may be read before what has come. */
static uint64_t now_of(uint64_t came, uint64_t went)
{
    return came > went ? came - went : 0;
}

static void write_open(struct metrics_out *m, const struct listener_counts *sums, size_t count)
{
    metrics_family(m, "weir_connections", "gauge",
                   "Connections of clients that are open: active with a request in work, or idle.");
    for (const struct listener_counts *at = sums; at < sums + count; at++) {
        uint64_t all = now_of(at->came, at->went);
        uint64_t active = now_of(at->began_work, at->did_work);
        begin(m, at);
        metrics_label(m, "state", SLICE("active"));
        metrics_value(m, active < all ? active : all);
        begin(m, at);
        metrics_label(m, "state", SLICE("idle"));
        metrics_value(m, now_of(all, active));
    }
}

static void write_protocols(struct metrics_out *m, const struct listener_counts *sums, size_t count)
{
    metrics_family(m, "weir_connections_accepted", "counter",
                   "Connections of clients, by what they speak; none: they have ended without.");
    for (const struct listener_counts *at = sums; at < sums + count; at++) {
        begin(m, at);
        metrics_label(m, "protocol", SLICE("http/1"));
        metrics_value(m, at->h1);
        begin(m, at);
        metrics_label(m, "protocol", SLICE("h2"));
        metrics_value(m, at->h2);
        begin(m, at);
        metrics_label(m, "protocol", SLICE("none"));
        metrics_value(m, at->mute);
    }
    metrics_family(m, "weir_connections_refused", "counter",
                   "Connections of clients that were not taken, by the reason.");
    for (const struct listener_counts *at = sums; at < sums + count; at++)
        for (size_t i = REFUSAL_NONE + 1; i < REFUSALS; i++)
            if (at->refused[i] > 0) {
                begin(m, at);
                metrics_label(m, "reason", metrics_reason((enum refusal)i));
                metrics_value(m, at->refused[i]);
            }
}

static void one_handshake(struct metrics_out *m, const struct listener_counts *at,
                          const char *version, const char *resumed, const char *result,
                          uint64_t value)
{
    if (value == 0)
        return;
    begin(m, at);
    metrics_label(m, "version", slice_from_cstring(version));
    metrics_label(m, "resumed", slice_from_cstring(resumed));
    metrics_label(m, "result", slice_from_cstring(result));
    metrics_value(m, value);
}

static void write_handshakes(struct metrics_out *m, const struct listener_counts *sums,
                             size_t count)
{
    static const char *const VERSIONS[LISTENER_TLS_VERSIONS] = {"1.2", "1.3"};
    metrics_family(m, "weir_tls_handshakes", "counter",
                   "Handshakes with clients: ok, failed, or in_clear, HTTP without TLS.");
    for (const struct listener_counts *at = sums; at < sums + count; at++) {
        for (unsigned version = 0; version < LISTENER_TLS_VERSIONS; version++) {
            one_handshake(m, at, VERSIONS[version], "no", "ok", at->handshakes[version][0]);
            one_handshake(m, at, VERSIONS[version], "yes", "ok", at->handshakes[version][1]);
        }
        one_handshake(m, at, "", "", "failed",
                      now_of(at->handshakes_failed, at->handshakes_in_clear));
        one_handshake(m, at, "", "", "in_clear", at->handshakes_in_clear);
    }
}

void metrics_write_listeners(struct metrics_out *m)
{
    struct arena arena;
    arena_init(&arena, NULL, 0);
    struct listener_counts *sums = arena_alloc(&arena, SUMS_MAX * sizeof *sums);
    size_t count = read_sums(sums);
    write_open(m, sums, count);
    write_protocols(m, sums, count);
    write_handshakes(m, sums, count);
    arena_done(&arena);
}
