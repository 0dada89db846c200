/* SPDX-License-Identifier: Apache-2.0 */
#include "control/names.h"

#include "control/discovery.h"
#include "fiber/loop.h"
#include "fiber/thread.h"
#include "net/resolver.h"
#include "upstream/call.h"
#include "upstream/upstream.h"

#include <stdlib.h>

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

static void note(struct checked *name, size_t count, const char *why)
{
    struct checks *checks = name->checks;
    if (name->is_told)
        return;
    name->is_told = true;
    if (count == 0)
        names_report(checks->errors, name->item, name->host, why);
    if (++checks->told == checks->count)
        loop_stop();
}

static void on_checked(void *argument, const struct address *addresses, size_t count,
                       const char *why)
{
    (void)addresses;
    note(argument, count, why);
}

static void on_services_checked(void *argument, const struct resolver_service *services,
                                size_t count, const char *why)
{
    (void)services;
    note(argument, count, why);
}

/* The line of a server: in its upstream, or the first that names it in passing. */
static const struct config_item *find_item(const struct config *config,
                                           const struct snapshot *snapshot, size_t u, size_t server)
{
    if (u < config->upstreams_count) {
        const struct config_upstream *upstream = &config->upstreams[u];
        return server < upstream->servers_count
                   ? upstream->servers[server]
                   : upstream->discovers[server - upstream->servers_count];
    }
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

static struct checked *add_check(struct checks *checks, const struct config_item *item,
                                 struct slice host)
{
    struct checked *name = arena_zero(checks->errors->arena, sizeof *name);
    *name = (struct checked){checks, item, host, false};
    checks->count++;
    return name;
}

static void check_upstream(struct checks *checks, const struct config *config,
                           const struct snapshot *snapshot, size_t u, struct resolver *resolver)
{
    struct server_config source;
    for (size_t i = 0; upstream_source(snapshot->upstreams[u], i, &source); i++) {
        const struct config_item *item =
            source.source != SERVER_FIXED ? find_item(config, snapshot, u, i) : NULL;
        if (item == NULL || source.source == SERVER_FILE)
            continue;
        struct checked *name = add_check(checks, item, source.host);
        if (source.source == SERVER_SRV)
            resolver_follow_services(resolver, source.host, on_services_checked, name);
        else
            resolver_follow(resolver, source.host, source.port, on_checked, name);
    }
}

void names_check(const struct config *config, const struct snapshot *snapshot,
                 struct config_errors *errors)
{
    static struct thread thread; /* too large for a frame */
    struct checks checks = {.errors = errors};
    struct resolver *resolver;
    if (!discovery_has_names(snapshot) || thread_init(&thread, "check", -1) != OK)
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
