/* SPDX-License-Identifier: Apache-2.0 */
/* An upstream under another configuration: what is the same goes on as it was, with its health, its
 * connections and its load. On control's thread. */
#include "base/check.h"
#include "net/tls_client.h"
#include "upstream/server.h"

#include <stdlib.h>

#define STORE(field, value) __atomic_store_n(&(field), (value), __ATOMIC_RELAXED)

bool upstream_fits(const struct upstream *upstream, const struct upstream_config *config)
{
    return config->servers_count + UPSTREAM_DISCOVERED_MAX <= upstream->capacity;
}

bool upstream_has_line(const struct upstream *upstream, size_t index)
{
    return index < upstream->sources && !upstream->lines[index]->is_free &&
           !upstream->lines[index]->is_leaving;
}

bool upstream_is_line_wanted(const struct upstream *upstream, size_t index)
{
    return upstream_has_line(upstream, index) && upstream->lines[index]->is_wanted;
}

static uint64_t identity_of(const struct tls_client *tls)
{
    return tls == NULL ? 0 : tls_client_identity(tls);
}

static struct slice keep(char **at, struct slice text)
{
    struct slice kept = slice_of(*at, text.size);
    if (text.size > 0)
        memcpy(*at, text.data, text.size);
    *at += text.size;
    return kept;
}

size_t upstream_add_line(struct upstream *upstream, const struct server_config *config)
{
    size_t index = 0;
    while (index < upstream->sources && !upstream->lines[index]->is_free)
        index++;
    if (index == upstream->sources) {
        upstream->lines =
            memory_resize(upstream->lines, (index + 1) * sizeof(struct upstream_line *));
        upstream->lines[index] = NULL;
        upstream->sources++;
    }
    struct upstream_line *line = upstream->lines[index];
    if (line == NULL)
        line = upstream->lines[index] = memory_zero(sizeof *line);
    char *text = memory_alloc(config->name.size + config->host.size + 1);
    *line = (struct upstream_line){
        .config = *config,
        .tls_identity = identity_of(config->tls),
        .is_wanted = true,
        .text = text,
    };
    line->config.name = keep(&text, config->name);
    line->config.host = keep(&text, config->host);
    return index;
}

void upstream_free_line(struct upstream_line *line)
{
    tls_client_free(line->config.tls);
    free(line->text);
    *line = (struct upstream_line){.is_free = true, .config.source = SERVER_FIXED};
}

static bool is_same(const struct upstream_line *line, const struct server_config *config)
{
    const struct server_config *is = &line->config;
    return !line->is_free && !line->is_wanted && is->source == config->source &&
           slice_equal(is->name, config->name) && slice_equal(is->host, config->host) &&
           is->port == config->port &&
           (is->source != SERVER_FIXED || address_equal(&is->address, &config->address)) &&
           line->tls_identity == identity_of(config->tls);
}

/* One that is there, perhaps about to leave, and no other line's of the new configuration. */
static struct upstream_line *find_line(const struct upstream *upstream,
                                       const struct server_config *config)
{
    for (size_t i = 0; i < upstream->sources; i++)
        if (is_same(upstream->lines[i], config))
            return upstream->lines[i];
    return NULL;
}

/* Servers that stay hear what may change of them. */
static void tell_servers(struct upstream *upstream, size_t index)
{
    const struct server_config *config = &upstream->lines[index]->config;
    bool is_of_line = config->source == SERVER_NAME || config->source == SERVER_ONE;
    struct upstream_member share = {
        .weight = config->weight,
        .priority = config->priority,
        .max_conns = config->max_conns,
        .backup = config->backup,
    };
    for (size_t i = 0; i < upstream->count && is_of_line; i++) {
        struct server *server = &upstream->servers[i];
        if (server->source == index && !server->is_draining)
            server_set_share(server, &share);
    }
}

static void settle(struct upstream *upstream, size_t index)
{
    struct upstream_line *line = upstream->lines[index];
    if (line->config.source != SERVER_FIXED) {
        tell_servers(upstream, index);
        return;
    }
    line->is_homeless = !upstream_join_fixed(upstream, index);
    line->was_discovered = true;
    for (size_t i = 0; i < upstream->count; i++)
        if (upstream->servers[i].source == index)
            STORE(upstream->servers[i].config.down, line->config.down);
}

static void update_line(struct upstream *upstream, const struct server_config *config)
{
    struct upstream_line *line = find_line(upstream, config);
    size_t index = 0;
    if (line == NULL) {
        index = upstream_add_line(upstream, config);
        upstream->lines[index]->was_discovered = upstream_members(upstream) > 0; /* it is late */
    } else {
        line->config.weight = config->weight;
        line->config.priority = config->priority;
        line->config.max_conns = config->max_conns;
        line->config.backup = config->backup;
        line->config.down = config->down;
        line->is_wanted = true;
        line->is_leaving = false;
        tls_client_free(config->tls); /* as the one that is there */
        while (upstream->lines[index] != line)
            index++;
    }
    settle(upstream, index);
}

void upstream_update(struct upstream *upstream, const struct upstream_config *config)
{
    for (size_t i = 0; i < upstream->sources; i++)
        upstream->lines[i]->is_wanted = false;
    upstream_set_rules(upstream, config);
    for (size_t i = 0; i < config->servers_count; i++)
        update_line(upstream, &config->servers[i]);
    upstream_changed(upstream);
}

void upstream_leave(struct upstream *upstream)
{
    for (size_t i = 0; i < upstream->sources; i++) {
        const struct upstream_line *line = upstream->lines[i];
        if (!line->is_free && !line->is_wanted && !line->is_leaving)
            upstream_drop_line(upstream, i);
    }
}

static void give_up_line(struct upstream *upstream, size_t index)
{
    upstream_free_line(upstream->lines[index]);
    for (size_t i = 0; i < upstream->count; i++)
        if (upstream->servers[i].source == index)
            server_let_rest(upstream, &upstream->servers[i]);
}

/* Lines whose last server rests are free for others; those that found no place look again. */
void upstream_tidy_lines(struct upstream *upstream)
{
    bool has_joined = false;
    for (size_t i = 0; i < upstream->sources; i++) {
        struct upstream_line *line = upstream->lines[i];
        bool is_idle = true;
        if (line->is_homeless && !line->is_leaving && upstream_join_fixed(upstream, i)) {
            line->is_homeless = false;
            has_joined = true;
        }
        if (!line->is_leaving)
            continue;
        for (size_t s = 0; s < upstream->count && is_idle; s++)
            is_idle = upstream->servers[s].source != i || upstream->servers[s].is_resting;
        if (is_idle)
            give_up_line(upstream, i);
    }
    if (has_joined)
        upstream_changed(upstream);
}

bool upstream_is_quiet(const struct upstream *upstream)
{
    for (size_t i = 0; i < upstream->count; i++) {
        const struct server *server = &upstream->servers[i];
        if (server->is_held || __atomic_load_n(&server->active, __ATOMIC_SEQ_CST) != 0 ||
            __atomic_load_n(&server->idle, __ATOMIC_SEQ_CST) != 0 ||
            __atomic_load_n(&server->links, __ATOMIC_SEQ_CST) != 0 ||
            __atomic_load_n(&server->is_probed, __ATOMIC_SEQ_CST))
            return false;
    }
    return true;
}

bool upstream_worker_is_done(const struct upstream *upstream)
{
    return upstream->locals[thread_self()->index].probes.count == 0;
}
