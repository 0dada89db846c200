/* SPDX-License-Identifier: Apache-2.0 */
/* Which lines are followed: those of the present snapshot. One that is the same in the next goes on
 * as it is. */
#include "base/buffer.h"
#include "base/log.h"
#include "control/discovery_inside.h"
#include "control/names.h"
#include "fiber/fiber.h"
#include "fiber/loop.h"
#include "fiber/thread.h"

#include <stdlib.h>

static struct line *find_line(const struct discovery *discovery, const struct upstream *upstream,
                              size_t index)
{
    for (struct line *line = discovery->first; line != NULL; line = line->next)
        if (line->upstream == upstream && line->index == index)
            return line;
    return NULL;
}

/* What a line says of its servers' share may be other than it was. */
static void renew_share(struct line *line, const struct server_config *source)
{
    line->config = *source;
    for (size_t i = 0; i < line->count; i++) {
        struct upstream_member *share = &line->targets[i]->share;
        if (source->source == SERVER_NAME || source->source == SERVER_ONE) {
            share->weight = source->weight;
            share->priority = source->priority;
            share->backup = source->backup;
        }
        if (source->source != SERVER_FILE)
            share->max_conns = source->max_conns;
    }
    if (source->source == SERVER_FILE) {
        discovery_free_text(&line->text); /* its lines may differ from the rest: it is read again */
        line->changed = 0;
        discovery_start_line(line);
    } else if (line->is_heard_of) {
        discovery_push(line);
    }
}

static void add_lines(struct discovery *discovery, struct upstream *upstream)
{
    struct server_config source;
    for (size_t i = 0; upstream_source(upstream, i, &source); i++) {
        if (source.source == SERVER_FIXED)
            continue;
        struct line *line = find_line(discovery, upstream, i);
        if (line != NULL) {
            bool is_other =
                line->config.weight != source.weight || line->config.priority != source.priority ||
                line->config.max_conns != source.max_conns ||
                line->config.backup != source.backup || line->config.down != source.down;
            line->config = source; /* the texts may have moved */
            if (is_other)
                renew_share(line, &source);
            continue;
        }
        line = memory_zero(sizeof *line);
        line->discovery = discovery;
        line->upstream = upstream;
        line->index = i;
        line->config = source;
        line->next = discovery->first;
        discovery->first = line;
        discovery_start_line(line);
    }
}

/* The settings of the resolver as a text, to see whether they have changed. */
static char *resolver_text(const struct config *config)
{
    struct arena arena;
    arena_init(&arena, NULL, 0);
    struct buffer out = buffer_in(&arena, 256);
    const struct resolver_keys_config *keys = &config->resolver;
    for (size_t i = 0; i < keys->servers.count; i++)
        buffer_format(&out, "%.*s ", SLICE_ARG(keys->servers.items[i]));
    buffer_format(&out, "%lld %lld %lld %lld %lld", (long long)keys->timeout,
                  (long long)keys->tries, (long long)keys->ttl_min, (long long)keys->ttl_max,
                  (long long)keys->keep);
    char *text = memory_alloc(out.size + 1);
    memcpy(text, out.data, out.size);
    text[out.size] = '\0';
    arena_done(&arena);
    return text;
}

static void follow_again(struct discovery *discovery)
{
    for (struct line *line = discovery->first; line != NULL; line = line->next) {
        if (line->services != NULL) {
            resolver_unfollow(line->services);
            line->services = resolver_follow_services(discovery->resolver, line->config.host,
                                                      discovery_on_services, line);
        }
        for (size_t i = 0; i < line->count; i++) {
            struct target *target = line->targets[i];
            if (target->resolution == NULL)
                continue;
            resolver_unfollow(target->resolution);
            target->resolution =
                resolver_follow(discovery->resolver, slice_from_cstring(target->host), target->port,
                                discovery_on_addresses, target);
        }
    }
}

/* One that asks as this configuration wants it. */
static enum status take_resolver(struct discovery *discovery, const struct config *config)
{
    char *text = resolver_text(config);
    if (discovery->resolver != NULL && strcmp(text, discovery->resolver_is) == 0) {
        free(text);
        return OK;
    }
    struct resolver *old = discovery->resolver;
    enum status status = names_open_resolver(config, &discovery->resolver);
    if (status != OK) {
        discovery->resolver = old;
        free(text);
        return status;
    }
    free(discovery->resolver_is);
    discovery->resolver_is = text;
    if (old != NULL) {
        follow_again(discovery);
        resolver_free(old);
    }
    return OK;
}

static enum status take_snapshot(struct discovery *discovery, const struct config *config,
                                 const struct snapshot *snapshot)
{
    if (!discovery_has_names(snapshot))
        return OK;
    TRY(take_resolver(discovery, config));
    for (size_t u = 0; u < snapshot->upstreams_count; u++)
        add_lines(discovery, snapshot->upstreams[u]);
    if (!timer_is_set(&discovery->look))
        timer_set(&thread_self()->timers, &discovery->look,
                  loop_now() + MILLISECONDS(DISCOVERY_LOOK_MS));
    return OK;
}

enum status discovery_start(const struct config *config, const struct snapshot *snapshot,
                            struct discovery **made)
{
    struct discovery *discovery = memory_zero(sizeof *discovery);
    *made = discovery;
    discovery->look.on_fire = discovery_on_look;
    return take_snapshot(discovery, config, snapshot);
}

static bool is_all_heard_of(const struct discovery *discovery)
{
    for (const struct line *line = discovery->first; line != NULL; line = line->next)
        if (!line->is_heard_of)
            return false;
    return true;
}

enum status discovery_add(struct discovery *discovery, const struct config *config,
                          const struct snapshot *snapshot, int64_t deadline)
{
    TRY(take_snapshot(discovery, config, snapshot));
    enum status status = OK;
    discovery->waiter = fiber_self();
    while (status == OK && !is_all_heard_of(discovery))
        status = fiber_wait(deadline);
    discovery->waiter = NULL;
    return OK; /* who is not heard of yet is down, as at a start */
}

static void free_line(struct line *line)
{
    for (size_t i = 0; i < line->count; i++)
        discovery_free_target(line->targets[i]);
    free(line->targets);
    if (line->services != NULL)
        resolver_unfollow(line->services);
    discovery_free_text(&line->text);
    discovery_free_text(&line->seen);
    free(line);
}

void discovery_drop(struct discovery *discovery, const struct snapshot *snapshot)
{
    for (struct line *line = discovery->first; line != NULL; line = line->next)
        line->is_there = false;
    for (size_t u = 0; u < snapshot->upstreams_count; u++) {
        struct server_config source;
        for (size_t i = 0; upstream_source(snapshot->upstreams[u], i, &source); i++) {
            struct line *line = find_line(discovery, snapshot->upstreams[u], i);
            if (line != NULL)
                line->is_there = upstream_is_line_wanted(snapshot->upstreams[u], i);
        }
    }
    for (struct line **at = &discovery->first; *at != NULL;) {
        struct line *line = *at;
        if (line->is_there) {
            at = &line->next;
            continue;
        }
        *at = line->next;
        free_line(line);
    }
    if (discovery->first == NULL)
        timer_clear(&thread_self()->timers, &discovery->look);
}

void discovery_stop(struct discovery *discovery)
{
    if (discovery == NULL)
        return;
    timer_clear(&thread_self()->timers, &discovery->look);
    while (discovery->first != NULL) {
        struct line *line = discovery->first;
        discovery->first = line->next;
        free_line(line);
    }
    if (discovery->resolver != NULL)
        resolver_free(discovery->resolver);
    free(discovery->resolver_is);
    free(discovery);
}
