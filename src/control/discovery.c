/* SPDX-License-Identifier: Apache-2.0 */
/* Each line of an upstream that is discovered has targets: hosts with a port. What they resolve to
 * is put together and pushed down when every one of them has been heard of, so that a change never
 * leaves less than there was before. What goes wrong changes nothing. */
#include "control/discovery_inside.h"

#include "base/check.h"
#include "base/log.h"
#include "control/names.h"
#include "control/servers_file.h"
#include "fiber/fiber.h"
#include "fiber/file.h"
#include "fiber/loop.h"
#include "fiber/thread.h"
#include "upstream/call.h"
#include "upstream/upstream.h"

#include <stdio.h>
#include <stdlib.h>

bool discovery_has_names(const struct snapshot *snapshot)
{
    struct server_config source;
    for (size_t u = 0; u < snapshot->upstreams_count; u++)
        for (size_t i = 0; upstream_source(snapshot->upstreams[u], i, &source); i++)
            if (source.source != SERVER_FIXED)
                return true;
    return false;
}

/* The members of one target. At most one address of each family is one machine. */
static size_t add_members(struct upstream_member *members, char (*names)[ADDRESS_TEXT_MAX],
                          const struct target *target)
{
    size_t v4 = 0;
    for (size_t i = 0; i < target->count; i++)
        v4 += target->addresses[i].any.sa_family == AF_INET;
    bool is_one = target->is_one || (v4 <= 1 && target->count - v4 <= 1);
    size_t count = is_one ? target->count > 0 : target->count;
    for (size_t i = 0; i < count; i++) {
        members[i] = target->share;
        members[i].host = slice_from_cstring(target->name);
        members[i].name =
            is_one ? members[i].host : address_format(&target->addresses[i], names[i]);
        members[i].addresses = &target->addresses[i];
        members[i].addresses_count = is_one ? target->count : 1;
    }
    return count;
}

static void note_heard(struct line *line)
{
    line->is_heard_of = true;
    if (line->discovery->waiter != NULL)
        fiber_wake(line->discovery->waiter);
}

void discovery_push(struct line *line)
{
    size_t most = 0;
    for (size_t i = 0; i < line->count; i++) {
        if (!line->targets[i]->is_told)
            return;
        most += line->targets[i]->count;
    }
    struct upstream_member *members = memory_alloc((most + 1) * sizeof *members);
    char(*names)[ADDRESS_TEXT_MAX] = memory_alloc((most + 1) * sizeof *names);
    size_t count = 0;
    for (size_t i = 0; i < line->count; i++)
        count += add_members(members + count, names + count, line->targets[i]);
    /* Records and files may name hosts that are not there yet: nobody leaves for those. */
    bool is_void =
        count == 0 && line->count > 0 && line->members > 0 && line->config.source >= SERVER_SRV;
    if (is_void)
        log_about(LOG_WARN, "servers_kept",
                  &(struct log_about){.upstream = upstream_name(line->upstream)},
                  "upstream %.*s: no host of %.*s resolves; the servers stay as they are",
                  SLICE_ARG(upstream_name(line->upstream)), SLICE_ARG(line->config.name));
    size_t homeless =
        is_void ? 0 : upstream_set_members(line->upstream, line->index, members, count);
    if (homeless > 0)
        log_about(LOG_WARN, "servers_too_many",
                  &(struct log_about){.upstream = upstream_name(line->upstream)},
                  "upstream %.*s: %zu servers of %.*s find no place; there are %d",
                  SLICE_ARG(upstream_name(line->upstream)), homeless, SLICE_ARG(line->config.name),
                  UPSTREAM_DISCOVERED_MAX);
    line->members = is_void ? line->members : count;
    note_heard(line);
    free(names);
    free(members);
}

void discovery_on_addresses(void *argument, const struct address *addresses, size_t count,
                            const char *why)
{
    struct target *target = argument;
    struct line *line = target->line;
    if (count == 0)
        log_about(LOG_WARN, "name_unresolved",
                  &(struct log_about){.upstream = upstream_name(line->upstream)},
                  "upstream %.*s: %s does not resolve (%s); the server is down",
                  SLICE_ARG(upstream_name(line->upstream)), target->host, why);
    target->addresses = memory_resize(target->addresses, (count + 1) * sizeof *addresses);
    if (count > 0)
        memcpy(target->addresses, addresses, count * sizeof *addresses);
    target->count = count;
    target->is_told = true;
    discovery_push(line);
}

void discovery_free_target(struct target *target)
{
    if (target->resolution != NULL)
        resolver_unfollow(target->resolution);
    free(target->addresses);
    free(target);
}

static struct target *find_target(struct target **targets, size_t count, const char *host,
                                  uint16_t port, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (targets[i] != NULL && targets[i]->port == port && strcmp(targets[i]->host, host) == 0 &&
            strcmp(targets[i]->name, name) == 0)
            return targets[i];
    return NULL;
}

/* Takes the list in the place of the one before. A target that was there is kept with what is known
 * of it; `wanted` are not yet followed and become the line's or are freed. */
static void set_targets(struct line *line, struct target **wanted, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct target *one = wanted[i];
        struct target *was =
            find_target(line->targets, line->count, one->host, one->port, one->name);
        if (was == NULL)
            continue;
        was->share = one->share;
        discovery_free_target(one);
        wanted[i] = was;
        for (size_t t = 0; t < line->count; t++)
            if (line->targets[t] == was)
                line->targets[t] = NULL;
    }
    for (size_t t = 0; t < line->count; t++)
        if (line->targets[t] != NULL)
            discovery_free_target(line->targets[t]);
    free(line->targets);
    line->targets = wanted;
    line->count = count;
    for (size_t i = 0; i < count; i++)
        if (!wanted[i]->is_told && wanted[i]->resolution == NULL)
            wanted[i]->resolution =
                resolver_follow(line->discovery->resolver, slice_from_cstring(wanted[i]->host),
                                wanted[i]->port, discovery_on_addresses, wanted[i]);
    discovery_push(line);
}

static struct target *new_target(struct line *line, struct slice name, struct slice host,
                                 uint16_t port)
{
    struct target *target = memory_zero(sizeof *target);
    target->line = line;
    target->port = port;
    (void)snprintf(target->name, sizeof target->name, "%.*s", SLICE_ARG(name));
    (void)snprintf(target->host, sizeof target->host, "%.*s", SLICE_ARG(host));
    target->share = (struct upstream_member){
        .weight = line->config.weight,
        .priority = line->config.priority,
        .max_conns = line->config.max_conns,
        .backup = line->config.backup,
    };
    return target;
}

/* Weights of SRV are numbers up to 65,535 that only mean something beside each other. */
static uint32_t scale_weight(uint32_t weight, uint32_t heaviest)
{
    if (heaviest > WEIGHT_MAX)
        weight = (weight * WEIGHT_MAX + heaviest - 1) / heaviest;
    return weight == 0 ? 1 : weight;
}

void discovery_on_services(void *argument, const struct resolver_service *services, size_t count,
                           const char *why)
{
    struct line *line = argument;
    if (count == 0)
        log_about(LOG_WARN, "name_unresolved",
                  &(struct log_about){.upstream = upstream_name(line->upstream)},
                  "upstream %.*s: %.*s has no servers (%s); the line counts as down",
                  SLICE_ARG(upstream_name(line->upstream)), SLICE_ARG(line->config.host), why);
    uint32_t heaviest = 0;
    for (size_t i = 0; i < count; i++)
        heaviest = services[i].weight > heaviest ? services[i].weight : heaviest;
    struct target **wanted = memory_alloc((count + 1) * sizeof(*wanted));
    for (size_t i = 0; i < count; i++) {
        char name[NAME_MAX_SIZE];
        int size = snprintf(name, sizeof name, "%s:%u", services[i].host, services[i].port);
        wanted[i] = new_target(line, slice_of(name, (size_t)size),
                               slice_from_cstring(services[i].host), services[i].port);
        wanted[i]->share.weight = scale_weight(services[i].weight, heaviest);
        wanted[i]->share.priority = services[i].priority;
    }
    set_targets(line, wanted, count);
}

static struct target *target_of(struct line *line, const struct server_line_config *server)
{
    struct server_parts parts;
    check(server_parse(server->address, &parts));
    bool is_fixed = parts.host.size == 0;
    struct target *target = new_target(line, server->name.size > 0 ? server->name : server->address,
                                       is_fixed ? server->address : parts.host, parts.port);
    target->share.weight = (uint32_t)server->weight;
    target->share.priority = (uint32_t)server->priority;
    if (server->max_conns > 0)
        target->share.max_conns = server->max_conns;
    target->share.backup = server->backup;
    target->is_one = server->resolve == RESOLVE_ONE;
    target->is_told = is_fixed;
    if (is_fixed) {
        target->addresses = memory_alloc(sizeof parts.address);
        target->addresses[0] = parts.address;
        target->count = 1;
    }
    return target;
}

void discovery_free_text(struct slice *text)
{
    free((void *)(uintptr_t)text->data);
    *text = (struct slice){0};
}

static void complain(struct line *line, struct slice why)
{
    if (!line->is_complained)
        log_about(LOG_WARN, "servers_file",
                  &(struct log_about){.upstream = upstream_name(line->upstream)},
                  "upstream %.*s: %.*s: %.*s; the servers stay as they are",
                  SLICE_ARG(upstream_name(line->upstream)), SLICE_ARG(line->config.host),
                  SLICE_ARG(why));
    line->is_complained = true;
    note_heard(line);
}

static void use_text(struct line *line, struct slice text, struct arena *arena)
{
    const struct server_line_config *servers = NULL;
    size_t count = 0;
    struct slice why = {0};
    line->is_complained = false;
    if (servers_file_parse(line->config.host, text, arena, &servers, &count, &why) != OK) {
        complain(line, why);
        return;
    }
    struct target **wanted = memory_alloc((count + 1) * sizeof(*wanted));
    size_t used = 0;
    for (size_t i = 0; i < count; i++)
        if (!servers[i].down)
            wanted[used++] = target_of(line, &servers[i]);
    set_targets(line, wanted, used);
}

static void keep_text(struct slice *kept, struct slice text)
{
    discovery_free_text(kept);
    char *copy = memory_alloc(text.size + 1);
    memcpy(copy, text.data, text.size);
    *kept = slice_of(copy, text.size);
}

/* What was written half is waited for: a text counts when the next look finds the same, but for the
 * very first. */
static void consider(struct line *line, struct slice text, bool is_first, struct arena *arena)
{
    if (line->text.data != NULL && slice_equal(text, line->text)) {
        line->is_complained = false;
        discovery_free_text(&line->seen);
    } else if (is_first || (line->seen.data != NULL && slice_equal(text, line->seen))) {
        discovery_free_text(&line->seen);
        keep_text(&line->text, text);
        use_text(line, text, arena);
    } else {
        keep_text(&line->seen, text);
    }
}

static void look_at_file(struct line *line, bool is_first)
{
    struct arena arena;
    arena_init(&arena, NULL, 0);
    const char *path = arena_cstring(&arena, line->config.host);
    int64_t changed = file_changed(path);
    bool is_settled = changed == line->changed && clock_wall() - changed > MILLISECONDS(SETTLED_MS);
    struct slice text = {0};
    const char *why = "";
    if (changed == 0)
        complain(line, SLICE("there is no such file"));
    else if (is_settled && line->seen.data == NULL)
        ; /* as it was */
    else if (file_read(path, SERVERS_FILE_SIZE_MAX, &arena, &text, &why) != OK)
        complain(line, slice_from_cstring(why));
    else
        consider(line, text, is_first, &arena);
    line->changed = changed;
    arena_done(&arena);
}

void discovery_on_look(struct timer *timer)
{
    struct discovery *discovery = LIST_ENTRY(timer, struct discovery, look);
    int64_t now = loop_now();
    for (struct line *line = discovery->first; line != NULL; line = line->next)
        if (line->config.source == SERVER_FILE)
            look_at_file(line, false);
    timer_set(&thread_self()->timers, timer, now + MILLISECONDS(DISCOVERY_LOOK_MS));
}

void discovery_start_line(struct line *line)
{
    struct discovery *discovery = line->discovery;
    if (line->config.source == SERVER_SRV) {
        line->services = resolver_follow_services(discovery->resolver, line->config.host,
                                                  discovery_on_services, line);
        return;
    }
    if (line->config.source == SERVER_FILE) {
        look_at_file(line, true);
        return;
    }
    struct target **wanted = memory_alloc(sizeof(*wanted));
    wanted[0] = new_target(line, line->config.name, line->config.host, line->config.port);
    wanted[0]->is_one = line->config.source == SERVER_ONE;
    set_targets(line, wanted, 1);
}
