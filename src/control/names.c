/* SPDX-License-Identifier: Apache-2.0 */
#include "control/names.h"

#include "base/log.h"
#include "fiber/loop.h"
#include "fiber/thread.h"
#include "net/resolver.h"
#include "upstream/call.h"
#include "upstream/upstream.h"

#include <stdlib.h>

struct name {
    struct upstream *upstream;
    size_t index;
    struct slice host;
    struct name *next;
};

struct names {
    struct resolver *resolver; /* NULL: no server has a name */
    struct name *first;
};

static void on_addresses(void *argument, const struct address *addresses, size_t count,
                         const char *why)
{
    struct name *name = argument;
    if (count == 0)
        log_write(LOG_WARN, "name_unresolved",
                  "upstream %.*s: %.*s does not resolve (%s); the server is down",
                  SLICE_ARG(upstream_name(name->upstream)), SLICE_ARG(name->host), why);
    upstream_set_addresses(name->upstream, name->index, addresses, count);
}

static void follow(struct names *names, struct upstream *upstream)
{
    struct slice host;
    uint16_t port;
    for (size_t i = 0; upstream_server_host(upstream, i, &host, &port); i++) {
        if (host.size == 0)
            continue;
        struct name *name = memory_alloc(sizeof *name);
        *name = (struct name){upstream, i, host, names->first};
        names->first = name;
        resolver_follow(names->resolver, host, port, on_addresses, name);
    }
}

static bool has_names(const struct snapshot *snapshot)
{
    struct slice host;
    uint16_t port;
    for (size_t u = 0; u < snapshot->upstreams_count; u++)
        for (size_t i = 0; upstream_server_host(snapshot->upstreams[u], i, &host, &port); i++)
            if (host.size > 0)
                return true;
    return false;
}

enum status names_open_resolver(const struct config *config, struct resolver **resolver)
{
    const struct resolver_keys_config *keys = &config->resolver;
    struct resolver_config wanted = {
        .servers = keys->servers.items,
        .servers_count = keys->servers.count,
        .timeout = keys->timeout,
        .tries = (int)keys->tries,
        .ttl_min = keys->ttl_min,
        .ttl_max = keys->ttl_max,
        .keep = keys->keep,
    };
    return resolver_new(&wanted, resolver);
}

enum status names_start(const struct config *config, const struct snapshot *snapshot,
                        struct names **made)
{
    struct names *names = memory_zero(sizeof *names);
    *made = names;
    if (!has_names(snapshot))
        return OK;
    TRY(names_open_resolver(config, &names->resolver));
    for (size_t i = 0; i < snapshot->upstreams_count; i++)
        follow(names, snapshot->upstreams[i]);
    return OK;
}

void names_stop(struct names *names)
{
    if (names == NULL)
        return;
    if (names->resolver != NULL)
        resolver_free(names->resolver);
    while (names->first != NULL) {
        struct name *name = names->first;
        names->first = name->next;
        free(name);
    }
    free(names);
}

/* A name that is asked for once. */
struct checked {
    struct checks *checks;
    const struct config_item *item;
    struct slice host;
    bool is_told;
};

struct checks {
    struct config_errors *errors;
    size_t count, told;
};

void names_report(struct config_errors *errors, const struct config_item *item, struct slice host,
                  const char *why)
{
    struct config_error *error =
        CONFIG_REPORT(errors, CONFIG_UNRESOLVED, item->node->values[0].place, host);
    config_error_note(errors, error, "%s; the server counts as down until it does", why);
}

static void on_checked(void *argument, const struct address *addresses, size_t count,
                       const char *why)
{
    (void)addresses;
    struct checked *name = argument;
    struct checks *checks = name->checks;
    if (name->is_told)
        return;
    name->is_told = true;
    if (count == 0)
        names_report(checks->errors, name->item, name->host, why);
    if (++checks->told == checks->count)
        loop_stop();
}

/* The line of a server: in its upstream, or the first that names it in passing. */
static const struct config_item *find_item(const struct config *config,
                                           const struct snapshot *snapshot, size_t u, size_t server)
{
    if (u < config->upstreams_count)
        return config->upstreams[u].servers[server];
    struct slice name = upstream_name(snapshot->upstreams[u]);
    for (size_t s = 0; s < config->sites_count; s++)
        for (size_t r = 0; r < config->sites[s].routes_count; r++) {
            const struct config_path *path = &config->sites[s].routes[r].path;
            for (size_t i = 0; i < path->count; i++)
                if (path->steps[i]->node->values_count > 0 &&
                    slice_equal(path->steps[i]->node->values[0].text, name))
                    return path->steps[i];
        }
    return NULL;
}

static void check_upstream(struct checks *checks, const struct config *config,
                           const struct snapshot *snapshot, size_t u, struct resolver *resolver)
{
    struct slice host;
    uint16_t port;
    for (size_t i = 0; upstream_server_host(snapshot->upstreams[u], i, &host, &port); i++) {
        const struct config_item *item = host.size > 0 ? find_item(config, snapshot, u, i) : NULL;
        if (item == NULL)
            continue;
        struct checked *name = arena_zero(checks->errors->arena, sizeof *name);
        *name = (struct checked){checks, item, host, false};
        checks->count++;
        resolver_follow(resolver, host, port, on_checked, name);
    }
}

void names_check(const struct config *config, const struct snapshot *snapshot,
                 struct config_errors *errors)
{
    static struct thread thread; /* too large for a frame */
    struct checks checks = {.errors = errors};
    struct resolver *resolver;
    if (!has_names(snapshot) || thread_init(&thread, "check", -1) != OK)
        return;
    if (names_open_resolver(config, &resolver) == OK) {
        checks.count = 1; /* ours, so that it does not end before all are asked for */
        for (size_t u = 0; u < snapshot->upstreams_count; u++)
            check_upstream(&checks, config, snapshot, u, resolver);
        if (++checks.told < checks.count)
            loop_run();
        resolver_free(resolver);
    }
    thread_done(&thread);
    config_errors_sort(errors);
}
