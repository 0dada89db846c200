/* SPDX-License-Identifier: Apache-2.0 */
/* What people set by hand: which servers get requests, and how many. It is kept by name, so that a
 * server that leaves and joins again is found as it was left. On control's thread; workers see the
 * result in each server. */
#include "upstream/queue.h"
#include "upstream/server.h"

#include <stdlib.h>

#define LOAD(field)         __atomic_load_n(&(field), __ATOMIC_RELAXED)
#define STORE(field, value) __atomic_store_n(&(field), (value), __ATOMIC_RELAXED)

static const struct upstream_setting *find(const struct upstream *upstream, struct slice name)
{
    for (size_t i = 0; i < upstream->settings_count; i++)
        if (slice_equal(upstream->settings[i].server, name))
            return &upstream->settings[i];
    return NULL;
}

void server_recall(struct server *server)
{
    const struct upstream_setting *setting = find(server->upstream, server->name);
    bool has_weight = setting != NULL && setting->weight > 0;
    STORE(server->config.weight, has_weight ? setting->weight : server->weight_said);
    __atomic_store_n(&server->admin, setting == NULL ? SERVER_ADMIN_NONE : (int)setting->state,
                     __ATOMIC_SEQ_CST);
}

void upstream_forget_settings(struct upstream *upstream)
{
    for (size_t i = 0; i < upstream->settings_count; i++)
        free((void *)(uintptr_t)upstream->settings[i].server.data);
    free(upstream->settings);
    upstream->settings = NULL;
    upstream->settings_count = 0;
}

static void keep_settings(struct upstream *upstream, const struct upstream_setting *settings,
                          size_t count)
{
    upstream->settings = memory_alloc((count + 1) * sizeof *settings);
    for (size_t i = 0; i < count; i++) {
        struct slice name = settings[i].server;
        char *text = memory_alloc(name.size + 1);
        memcpy(text, name.data, name.size);
        upstream->settings[i] = settings[i];
        upstream->settings[i].server = slice_of(text, name.size);
    }
    upstream->settings_count = count;
}

static void note(struct server *server, bool was_wanted)
{
    bool is_wanted = server_is_wanted(server);
    if (is_wanted == was_wanted)
        return;
    STORE(server->reason, is_wanted ? "it is back in service" : "it was taken out by hand");
    STORE(server->since, clock_wall());
    if (is_wanted) /* it has to warm up like one that comes back by itself */
        STORE(server->back_since, clock_monotonic());
}

void upstream_set_admin(struct upstream *upstream, const struct upstream_setting *settings,
                        size_t count)
{
    bool has_changed = false;
    upstream_forget_settings(upstream);
    keep_settings(upstream, settings, count);
    for (size_t i = 0; i < upstream->count; i++) {
        struct server *server = &upstream->servers[i];
        uint32_t weight = server_weight(server);
        bool was_wanted = server_is_wanted(server);
        server_recall(server);
        note(server, was_wanted);
        has_changed = has_changed || weight != server_weight(server);
    }
    if (has_changed)
        upstream_renew_roster(upstream);
    if (__atomic_load_n(&upstream->waiting, __ATOMIC_SEQ_CST) > 0)
        upstream_queue_wake(upstream);
}
