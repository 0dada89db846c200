/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/server_count.h"

#include "upstream/call.h"

#include <stdlib.h>

/* The tokens of RFC 9209 that calls fail with; the last one stands for all others. */
static const char *const ERRORS[UPSTREAM_ERRORS] = {
    "connection_refused",
    "connection_timeout",
    "connection_terminated",
    "connection_limit_reached",
    "dns_error",
    "destination_ip_unroutable",
    "http_response_timeout",
    "http_response_incomplete",
    "http_response_header_section_size",
    "http_protocol_error",
    "http_upgrade_failed",
    "tls_protocol_error",
    "tls_certificate_error",
    "destination_unavailable",
    "proxy_internal_error",
    "other",
};

const char *upstream_error_name(size_t index)
{
    return ERRORS[index];
}

static size_t error_index(const char *error)
{
    size_t i = 0;
    while (i + 1 < UPSTREAM_ERRORS && strcmp(error, ERRORS[i]) != 0)
        i++;
    return i;
}

static struct server_counts *counts_of(struct server *server)
{
    struct server_counts **at = &server->pools[thread_self()->index].counts;
    struct server_counts *counts = __atomic_load_n(at, __ATOMIC_RELAXED);
    uint32_t generation = __atomic_load_n(&server->generation, __ATOMIC_RELAXED);
    if (counts == NULL) {
        counts = memory_zero(sizeof *counts);
        counts->generation = generation;
        __atomic_store_n(at, counts, __ATOMIC_RELEASE);
    } else if (counts->generation != generation) { /* another server has its place */
        uint64_t *words = (uint64_t *)(void *)counts;
        for (size_t i = 0; i < sizeof *counts / sizeof *words; i++)
            __atomic_store_n(&words[i], 0, __ATOMIC_RELAXED);
        __atomic_store_n(&counts->generation, generation, __ATOMIC_RELEASE);
    }
    return counts;
}

void server_count_try(const struct upstream_call *call, struct server *server, enum status status)
{
    struct server_counts *counts = counts_of(server);
    if (call->connect_time > 0)
        histogram_add(&counts->connect, call->connect_time);
    if (status == OK) {
        tally_of_add(&counts->answers, (uint64_t)call->head.status);
        histogram_add(&counts->time, call->connect_time + call->first_byte_time);
    } else if (status != ERR_CANCELLED && !call->client_failed) {
        counter_add(&counts->errors[error_index(call->error)], 1);
    }
}

void server_count_broken(struct server *server, const char *error)
{
    counter_add(&counts_of(server)->errors[error_index(error)], 1);
}

void server_count_retry(struct server *server, enum upstream_retried why)
{
    counter_add(&counts_of(server)->retries[why], 1);
}

void server_forget_counts(struct server *server)
{
    for (unsigned i = 0; i < server->upstream->workers; i++) {
        free(server->pools[i].counts);
        server->pools[i].counts = NULL;
    }
}

bool upstream_server_counts(const struct upstream *upstream, size_t index,
                            struct server_counts *sum)
{
    if (index >= upstream_count(upstream))
        return false;
    const struct server *server = &upstream->servers[index];
    uint32_t generation = __atomic_load_n(&server->generation, __ATOMIC_RELAXED);
    *sum = (struct server_counts){
        .generation = generation,
        .checks_good = server->checks_good,
        .checks_bad = server->checks_bad,
    };
    for (unsigned i = 0; i < upstream->workers; i++) {
        const struct server_counts *counts =
            __atomic_load_n(&server->pools[i].counts, __ATOMIC_ACQUIRE);
        if (counts == NULL || __atomic_load_n(&counts->generation, __ATOMIC_ACQUIRE) != generation)
            continue;
        tally_of_join(&sum->answers, &counts->answers);
        histogram_join(&sum->time, &counts->time);
        histogram_join(&sum->connect, &counts->connect);
        for (size_t e = 0; e < UPSTREAM_ERRORS; e++)
            sum->errors[e] += counter_read(&counts->errors[e]);
        for (size_t r = 0; r < UPSTREAM_RETRIED_REASONS; r++)
            sum->retries[r] += counter_read(&counts->retries[r]);
    }
    return true;
}
