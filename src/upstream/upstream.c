/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/upstream.h"

#include "base/check.h"
#include "upstream/call.h"
#include "upstream/h2_link.h"
#include "upstream/pool.h"
#include "upstream/roster.h"

#include <stdlib.h>

static void init_pools(struct server *server)
{
    unsigned workers = server->upstream->workers;
    check(posix_memalign((void **)&server->pools, 64, workers * sizeof *server->pools) == 0);
    memset(server->pools, 0, workers * sizeof *server->pools);
    for (unsigned i = 0; i < workers; i++)
        pool_init(&server->pools[i], server);
}

/* A place without a server. */
static void init_place(struct upstream *upstream, size_t index)
{
    struct server *server = &upstream->servers[index];
    server->upstream = upstream;
    server->index = index;
    server->source = SIZE_MAX;
    server->is_draining = true;
    server->is_resting = true;
    pthread_mutex_init(&server->addresses_mutex, NULL);
    init_pools(server);
}

/* The place of a line: with its server, or for the first that is discovered. */
static void init_line(struct upstream *upstream, size_t index, const struct server_config *config)
{
    struct server_config *line = &upstream->lines[index];
    *line = *config;
    line->name = arena_copy(&upstream->arena, config->name);
    line->host = arena_copy(&upstream->arena, config->host);
    struct server *server = &upstream->servers[index];
    server->config = *line;
    server->source = index;
    server->name = line->name;
    server->host = server_host_of(server->name);
    server->sessions = line->tls == NULL ? NULL : tls_sessions_new();
    if (line->source != SERVER_FIXED)
        return;
    server->addresses[0] = config->address;
    server->addresses_count = 1;
    server->is_draining = server->is_resting = false;
    upstream->members++;
}

static bool has_discovery(const struct upstream_config *config)
{
    for (size_t i = 0; i < config->servers_count; i++)
        if (config->servers[i].source != SERVER_FIXED)
            return true;
    return false;
}

/* Untouched memory costs nothing: it comes as zeros from the kernel. */
static void make_places(struct upstream *upstream, const struct upstream_config *config)
{
    upstream->sources = upstream->count = upstream->capacity = config->servers_count;
    if (has_discovery(config))
        upstream->capacity += UPSTREAM_DISCOVERED_MAX;
    upstream->places = memory_zero(upstream->capacity * sizeof *upstream->servers + 63);
    uintptr_t aligned = ((uintptr_t)upstream->places + 63) & ~(uintptr_t)63;
    upstream->servers = (struct server *)aligned;
    upstream->lines = arena_alloc(&upstream->arena, upstream->sources * sizeof *upstream->lines);
    for (size_t i = 0; i < upstream->capacity; i++)
        init_place(upstream, i);
    for (size_t i = 0; i < upstream->sources; i++)
        init_line(upstream, i, &config->servers[i]);
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
    if (config->passive.eject == 0)
        upstream->config.passive = UPSTREAM_PASSIVE;
    upstream->workers = workers;
    upstream->locals = memory_zero(workers * sizeof *upstream->locals);
    list_init(&upstream->queue);
    pthread_mutex_init(&upstream->queue_mutex, NULL);
    pthread_mutex_init(&upstream->eject_mutex, NULL);
    make_places(upstream, config);
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
    for (size_t i = 0; i < upstream->capacity; i++) {
        struct server *server = &upstream->servers[i];
        for (unsigned w = 0; w < upstream->workers; w++)
            pthread_mutex_destroy(&server->pools[w].mutex);
        pthread_mutex_destroy(&server->addresses_mutex);
        tls_sessions_free(server->sessions);
        free(server->pools);
    }
    for (size_t i = 0; i < upstream->sources; i++)
        tls_client_free(upstream->lines[i].tls);
    pthread_mutex_destroy(&upstream->queue_mutex);
    pthread_mutex_destroy(&upstream->eject_mutex);
    drop_rosters(upstream);
    free(upstream->places);
    free(upstream->locals);
    arena_done(&upstream->arena);
    free(upstream);
}

struct slice upstream_name(const struct upstream *upstream)
{
    return upstream->name;
}

size_t upstream_server_addresses(const struct upstream *upstream, size_t index,
                                 struct address *addresses, size_t max)
{
    struct server *server = &upstream->servers[index];
    pthread_mutex_lock(&server->addresses_mutex);
    size_t count = server->addresses_count < max ? server->addresses_count : max;
    if (server->config.down || __atomic_load_n(&server->is_draining, __ATOMIC_RELAXED))
        count = 0;
    memcpy(addresses, server->addresses, count * sizeof *addresses);
    pthread_mutex_unlock(&server->addresses_mutex);
    return count;
}

void upstream_server_tls(const struct upstream *upstream, size_t index, struct tls_client **tls,
                         struct tls_sessions **sessions)
{
    *tls = upstream->servers[index].config.tls;
    *sessions = upstream->servers[index].sessions;
}

void upstream_set_health(struct upstream *upstream, size_t index, bool is_up, const char *why)
{
    check(index < upstream->count);
    server_set_health(&upstream->servers[index], is_up, why);
}

void upstream_worker_start(struct upstream *upstream)
{
    struct thread *thread = thread_self();
    check(thread->index >= 0 && (unsigned)thread->index < upstream->workers);
    fiber_scope_init(&upstream->locals[thread->index].probes);
    upstream->locals[thread->index].is_stopped = false;
    for (size_t i = 0; i < upstream->capacity; i++)
        pool_start(&upstream->servers[i].pools[thread->index], thread);
}

void upstream_worker_stop(struct upstream *upstream)
{
    unsigned index = (unsigned)thread_self()->index;
    struct upstream_local *local = &upstream->locals[index];
    local->is_stopped = true;
    fiber_scope_cancel_soon(&local->probes);
    for (size_t i = 0; i < upstream->capacity; i++) {
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
    const char *reason = __atomic_load_n(&server->reason, __ATOMIC_RELAXED);
    int64_t now = clock_monotonic();
    *state = (struct server_state){
        .name = server->name,
        .is_usable = server_is_usable(server, now),
        .state = server_life_name(server_life(server, now)),
        .reason = reason == NULL ? "" : reason,
        .since = __atomic_load_n(&server->since, __ATOMIC_RELAXED),
        .active = __atomic_load_n(&server->active, __ATOMIC_RELAXED),
        .idle = __atomic_load_n(&server->idle, __ATOMIC_RELAXED),
        .is_member = !__atomic_load_n(&server->is_draining, __ATOMIC_RELAXED),
        .generation = __atomic_load_n(&server->generation, __ATOMIC_RELAXED),
    };
    return true;
}
