/* SPDX-License-Identifier: Apache-2.0 */
#include "control/names.h"

#include "base/log.h"
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

enum status names_start(const struct config *config, const struct snapshot *snapshot,
                        struct names **made)
{
    struct names *names = memory_zero(sizeof *names);
    *made = names;
    if (!has_names(snapshot))
        return OK;
    const struct resolver_keys_config *keys = &config->resolver;
    struct resolver_config resolver = {
        .servers = keys->servers.items,
        .servers_count = keys->servers.count,
        .timeout = keys->timeout,
        .tries = (int)keys->tries,
        .ttl_min = keys->ttl_min,
        .ttl_max = keys->ttl_max,
        .keep = keys->keep,
    };
    TRY(resolver_new(&resolver, &names->resolver));
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
