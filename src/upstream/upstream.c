/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/upstream.h"

#include "base/check.h"
#include "upstream/call.h"
#include "upstream/h2_link.h"
#include "upstream/pool.h"
#include "upstream/roster.h"

#include <stdlib.h>

static void init_server(struct upstream *upstream, size_t index, const struct server_config *config)
{
    struct server *server = &upstream->servers[index];
    server->upstream = upstream;
    server->index = index;
    server->config = *config;
    server->name = server->config.name = arena_copy(&upstream->arena, config->name);
    server->config.host = arena_copy(&upstream->arena, config->host);
    struct slice host = server->name;
    if (slice_starts(host, SLICE("http://")) || slice_starts(host, SLICE("https://")))
        host = slice_from(host, slice_find(host, '/') + 2);
    server->host = slice_starts(host, SLICE("unix:")) ? SLICE("localhost") : host;
    server->sessions = config->tls == NULL ? NULL : tls_sessions_new();
    pthread_mutex_init(&server->addresses_mutex, NULL);
    if (config->host.size == 0) {
        server->addresses[0] = config->address;
        server->addresses_count = 1;
    }
    check(posix_memalign((void **)&server->pools, 64, upstream->workers * sizeof *server->pools) ==
          0);
    memset(server->pools, 0, upstream->workers * sizeof *server->pools);
    for (unsigned i = 0; i < upstream->workers; i++)
        pool_init(&server->pools[i], server);
}

static void copy_affinity(struct upstream *upstream)
{
    struct upstream_affinity *affinity = &upstream->config.affinity;
    affinity->name = arena_copy(&upstream->arena, affinity->name);
    affinity->cookie = arena_copy(&upstream->arena, affinity->cookie);
    affinity->attributes = arena_copy(&upstream->arena, affinity->attributes);
}

struct upstream *upstream_new(const struct upstream_config *config, unsigned workers)
{
    check(workers > 0 && config->servers_count > 0);
    struct upstream *upstream = memory_zero(sizeof *upstream);
    arena_init(&upstream->arena, NULL, 0);
    upstream->config = *config;
    upstream->name = upstream->config.name = arena_copy(&upstream->arena, config->name);
    upstream->workers = workers;
    upstream->count = config->servers_count;
    upstream->locals = memory_zero(workers * sizeof *upstream->locals);
    list_init(&upstream->queue);
    pthread_mutex_init(&upstream->queue_mutex, NULL);
    size_t size = upstream->count * sizeof *upstream->servers;
    check(posix_memalign((void **)&upstream->servers, 64, size) == 0);
    memset(upstream->servers, 0, size);
    for (size_t i = 0; i < upstream->count; i++)
        init_server(upstream, i, &config->servers[i]);
    copy_affinity(upstream);
    upstream_renew_roster(upstream);
    upstream->config.servers = NULL; /* the caller's */
    return upstream;
}

static void drop_rosters(struct upstream *upstream)
{
    roster_free(upstream->roster);
    while (upstream->rosters_retired != NULL) {
        struct roster *retired = upstream->rosters_retired;
        upstream->rosters_retired = retired->next;
        roster_free(retired);
    }
}

void upstream_free(struct upstream *upstream)
{
    for (size_t i = 0; i < upstream->count; i++) {
        struct server *server = &upstream->servers[i];
        for (unsigned w = 0; w < upstream->workers; w++)
            pthread_mutex_destroy(&server->pools[w].mutex);
        pthread_mutex_destroy(&server->addresses_mutex);
        tls_sessions_free(server->sessions);
        tls_client_free(server->config.tls);
        free(server->pools);
    }
    pthread_mutex_destroy(&upstream->queue_mutex);
    drop_rosters(upstream);
    free(upstream->servers);
    free(upstream->locals);
    arena_done(&upstream->arena);
    free(upstream);
}

struct slice upstream_name(const struct upstream *upstream)
{
    return upstream->name;
}

bool upstream_server_host(const struct upstream *upstream, size_t index, struct slice *host,
                          uint16_t *port)
{
    if (index >= upstream->count)
        return false;
    *host = upstream->servers[index].config.host;
    *port = upstream->servers[index].config.port;
    return true;
}

void upstream_set_addresses(struct upstream *upstream, size_t index,
                            const struct address *addresses, size_t count)
{
    struct server *server = &upstream->servers[index];
    if (count > SERVER_ADDRESSES_MAX)
        count = SERVER_ADDRESSES_MAX;
    pthread_mutex_lock(&server->addresses_mutex);
    for (size_t i = 0; i < count; i++)
        server->addresses[i] = addresses[i];
    __atomic_store_n(&server->addresses_count, count, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&server->addresses_mutex);
}

void upstream_worker_start(struct upstream *upstream)
{
    struct thread *thread = thread_self();
    check(thread->index >= 0 && (unsigned)thread->index < upstream->workers);
    fiber_scope_init(&upstream->locals[thread->index].probes);
    upstream->locals[thread->index].is_stopped = false;
    for (size_t i = 0; i < upstream->count; i++)
        pool_start(&upstream->servers[i].pools[thread->index], thread);
}

void upstream_worker_stop(struct upstream *upstream)
{
    unsigned index = (unsigned)thread_self()->index;
    struct upstream_local *local = &upstream->locals[index];
    local->is_stopped = true;
    fiber_scope_cancel_soon(&local->probes);
    for (size_t i = 0; i < upstream->count; i++) {
        pool_stop(&upstream->servers[i].pools[index]);
        h2_link_stop(&upstream->servers[i].pools[index]);
    }
}

bool upstream_server_state(const struct upstream *upstream, size_t index,
                           struct server_state *state)
{
    if (index >= upstream->count)
        return false;
    const struct server *server = &upstream->servers[index];
    static const char *const NAMES[] = {
        [SERVER_UP] = "up", [SERVER_REFUSING] = "down", [SERVER_EJECTED] = "ejected"};
    bool is_resolved = __atomic_load_n(&server->addresses_count, __ATOMIC_RELAXED) > 0;
    *state = (struct server_state){
        .name = server->name,
        .is_usable = server_is_usable(server, clock_monotonic()),
        .state = server->config.down ? "down"
                 : !is_resolved      ? "unresolved"
                                     : NAMES[__atomic_load_n(&server->health, __ATOMIC_RELAXED)],
        .active = __atomic_load_n(&server->active, __ATOMIC_RELAXED),
        .idle = __atomic_load_n(&server->idle, __ATOMIC_RELAXED),
    };
    return true;
}
