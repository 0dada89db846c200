/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/upstream.h"

#include "base/check.h"
#include "fiber/pages.h"
#include "upstream/call.h"
#include "upstream/h2_link.h"
#include "upstream/pool.h"
#include "upstream/roster.h"
#include "upstream/server_count.h"

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
    pthread_mutex_init(&server->waits_mutex, NULL);
    list_init(&server->waits);
    init_pools(server);
}

bool upstream_make_place(struct upstream *upstream)
{
    if (upstream->made == upstream->capacity)
        return false;
    struct server *server = &upstream->servers[upstream->made];
    init_place(upstream, upstream->made);
    __atomic_store_n(&upstream->made, upstream->made + 1, __ATOMIC_SEQ_CST);
    /* A worker that starts now sees the place, or is seen here. */
    for (unsigned w = 0; w < upstream->workers; w++) {
        struct thread *thread = __atomic_load_n(&upstream->locals[w].thread, __ATOMIC_SEQ_CST);
        if (thread != NULL)
            pool_start(&server->pools[w], thread);
    }
    return true;
}

/* The place of a line: with its server, or for the first that is discovered. */
static void init_line(struct upstream *upstream, size_t index, const struct server_config *config)
{
    check(upstream_add_line(upstream, config) == index);
    const struct upstream_line *line = upstream->lines[index];
    struct server *server = &upstream->servers[index];
    server->config = line->config;
    server->source = index;
    server_set_name(server, line->config.name, line->config.name);
    server->weight_said = config->weight;
    server->sessions = line->config.tls == NULL ? NULL : tls_sessions_new();
    if (config->source != SERVER_FIXED)
        return;
    server->addresses[0] = config->address;
    server->addresses_count = 1;
    server->is_draining = server->is_resting = false;
    upstream->members++;
}

/* Untouched memory costs nothing: it comes as zeros from the kernel. */
static void make_places(struct upstream *upstream, const struct upstream_config *config)
{
    upstream->capacity = 2 * config->servers_count + UPSTREAM_DISCOVERED_MAX;
    upstream->places_size = upstream->capacity * sizeof *upstream->servers;
    upstream->servers = pages_map(upstream->places_size);
    check(upstream->servers != NULL);
    while (upstream->made < config->servers_count)
        check(upstream_make_place(upstream));
    for (size_t i = 0; i < config->servers_count; i++)
        init_line(upstream, i, &config->servers[i]);
    upstream->count = upstream->homes = config->servers_count;
}

void upstream_set_rules(struct upstream *upstream, const struct upstream_config *config)
{
    struct upstream_rules *rules = memory_zero(sizeof *rules);
    struct upstream_rules *old = upstream->rules_now;
    struct upstream_affinity *affinity = &rules->config.affinity;
    arena_init(&rules->arena, NULL, 0);
    rules->config = *config;
    rules->config.name = upstream->name;
    rules->config.servers = NULL; /* the caller's */
    if (config->passive.eject == 0)
        rules->config.passive = UPSTREAM_PASSIVE;
    affinity->name = arena_copy(&rules->arena, affinity->name);
    affinity->cookie = arena_copy(&rules->arena, affinity->cookie);
    affinity->attributes = arena_copy(&rules->arena, affinity->attributes);
    upstream->rules_now = rules;
    __atomic_store_n(&upstream->rules, &rules->config, __ATOMIC_RELEASE);
    if (old == NULL)
        return;
    old->retired = clock_monotonic();
    old->next = upstream->rules_retired;
    upstream->rules_retired = old;
}

static void free_rules(struct upstream_rules *rules)
{
    arena_done(&rules->arena);
    free(rules);
}

void upstream_forget_old(struct upstream *upstream, int64_t until)
{
    roster_free_retired(upstream, until); /* first: they point at those that follow */
    struct upstream_rules **at = &upstream->rules_retired;
    while (*at != NULL && (*at)->retired > until)
        at = &(*at)->next;
    struct upstream_rules *done = *at;
    *at = NULL;
    while (done != NULL) {
        struct upstream_rules *next = done->next;
        free_rules(done);
        done = next;
    }
}

struct upstream *upstream_new(const struct upstream_config *config, unsigned workers)
{
    check(workers > 0 && config->servers_count > 0);
    struct upstream *upstream = memory_zero(sizeof *upstream);
    arena_init(&upstream->arena, NULL, 0);
    upstream->name = arena_copy(&upstream->arena, config->name);
    upstream->workers = workers;
    upstream->locals = memory_zero(workers * sizeof *upstream->locals);
    list_init(&upstream->queue);
    pthread_mutex_init(&upstream->queue_mutex, NULL);
    pthread_mutex_init(&upstream->eject_mutex, NULL);
    upstream_set_rules(upstream, config);
    make_places(upstream, config);
    upstream_renew_roster(upstream);
    return upstream;
}

void upstream_free(struct upstream *upstream)
{
    for (size_t i = 0; i < upstream->made; i++) {
        struct server *server = &upstream->servers[i];
        for (unsigned w = 0; w < upstream->workers; w++)
            pthread_mutex_destroy(&server->pools[w].mutex);
        server_forget_counts(server);
        pthread_mutex_destroy(&server->addresses_mutex);
        pthread_mutex_destroy(&server->waits_mutex);
        tls_sessions_free(server->sessions);
        free(server->pools);
    }
    for (size_t i = 0; i < upstream->sources; i++) {
        upstream_free_line(upstream->lines[i]);
        free(upstream->lines[i]);
    }
    free(upstream->lines);
    roster_free(upstream->roster);
    upstream_forget_old(upstream, CLOCK_NEVER);
    free_rules(upstream->rules_now);
    pages_unmap(upstream->servers, upstream->places_size);
    pthread_mutex_destroy(&upstream->queue_mutex);
    pthread_mutex_destroy(&upstream->eject_mutex);
    upstream_forget_settings(upstream);
    free(upstream->locals);
    arena_done(&upstream->arena);
    free(upstream);
}

int upstream_proxy_protocol(const struct upstream *upstream)
{
    return upstream_rules(upstream)->proxy_protocol;
}

bool upstream_passes_tlvs(const struct upstream *upstream)
{
    return upstream_rules(upstream)->passes_tlvs;
}

enum upstream_http upstream_http_of(const struct upstream *upstream)
{
    return upstream_rules(upstream)->http;
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
    if (server_is_down(server) || __atomic_load_n(&server->is_draining, __ATOMIC_RELAXED))
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

uint32_t upstream_waiting(const struct upstream *upstream)
{
    return __atomic_load_n(&upstream->waiting, __ATOMIC_RELAXED);
}

void upstream_count_check(struct upstream *upstream, size_t index, bool is_good)
{
    struct server *server = &upstream->servers[index];
    if (is_good)
        server->checks_good++;
    else
        server->checks_bad++;
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
    __atomic_store_n(&upstream->locals[thread->index].thread, thread, __ATOMIC_SEQ_CST);
    size_t made = __atomic_load_n(&upstream->made, __ATOMIC_SEQ_CST);
    for (size_t i = 0; i < made; i++)
        pool_start(&upstream->servers[i].pools[thread->index], thread);
}

void upstream_worker_trim(struct upstream *upstream)
{
    unsigned index = (unsigned)thread_self()->index;
    if (__atomic_load_n(&upstream->locals[index].thread, __ATOMIC_RELAXED) == NULL)
        return;
    size_t made = __atomic_load_n(&upstream->made, __ATOMIC_SEQ_CST);
    for (size_t i = 0; i < made; i++)
        pool_trim(&upstream->servers[i].pools[index]);
}

void upstream_worker_stop(struct upstream *upstream)
{
    unsigned index = (unsigned)thread_self()->index;
    struct upstream_local *local = &upstream->locals[index];
    if (__atomic_load_n(&local->thread, __ATOMIC_RELAXED) == NULL)
        return; /* stopped before, or made by a reload that the end of weir overtook */
    local->is_stopped = true;
    fiber_scope_cancel_soon(&local->probes);
    __atomic_store_n(&local->thread, NULL, __ATOMIC_SEQ_CST);
    size_t made = __atomic_load_n(&upstream->made, __ATOMIC_SEQ_CST);
    for (size_t i = 0; i < made; i++) {
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
        .weight = server_weight(server),
        .weight_said = server->weight_said,
        .is_backup = __atomic_load_n(&server->config.backup, __ATOMIC_RELAXED),
        .max_conns = __atomic_load_n(&server->config.max_conns, __ATOMIC_RELAXED),
        .admin = (enum server_admin)__atomic_load_n(&server->admin, __ATOMIC_RELAXED),
        .expected = (int64_t)server_expected_time(server, now) * 1000 / 16,
        .is_resting = server->is_resting,
    };
    return true;
}
