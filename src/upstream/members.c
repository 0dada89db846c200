/* SPDX-License-Identifier: Apache-2.0 */
/* Servers that come and go. Each has a place that never moves; a place is given to another server
 * when nothing of the one before runs any more, so whoever holds a pointer to it holds a server.
 * Everything here runs on control's thread; workers see a server when its is_draining is false, and
 * what was written before that with it. */
#include "upstream/upstream.h"

#include "base/check.h"
#include "base/log.h"
#include "upstream/call.h"
#include "upstream/queue.h"
#include "upstream/server.h"

enum {
    REST_MS = 1000, /* between the last that ran and the next server of a place */
};

#define LOAD(field)         __atomic_load_n(&(field), __ATOMIC_RELAXED)
#define STORE(field, value) __atomic_store_n(&(field), (value), __ATOMIC_RELAXED)

bool upstream_source(const struct upstream *upstream, size_t index, struct server_config *source)
{
    if (index >= upstream->sources)
        return false;
    *source = upstream->lines[index]->config;
    if (!upstream_has_line(upstream, index))
        source->source = SERVER_FIXED;
    return true;
}

static bool has_addresses(const struct server *server, const struct upstream_member *member)
{
    size_t count = member->addresses_count < SERVER_ADDRESSES_MAX ? member->addresses_count
                                                                  : SERVER_ADDRESSES_MAX;
    if (server->addresses_count != count)
        return false;
    for (size_t i = 0; i < count; i++) {
        bool is_there = false;
        for (size_t j = 0; j < count && !is_there; j++)
            is_there = address_equal(&server->addresses[i], &member->addresses[j]);
        if (!is_there)
            return false;
    }
    return true;
}

static void count_members(struct upstream *upstream)
{
    size_t members = 0;
    for (size_t i = 0; i < upstream->count; i++) {
        const struct server *server = &upstream->servers[i];
        members += !server->is_draining;
    }
    STORE(upstream->members, members);
}

/* What a server that stays is told anew. */
void server_set_share(struct server *server, const struct upstream_member *member)
{
    server->weight_said = member->weight;
    server_recall(server);
    STORE(server->config.priority, member->priority);
    STORE(server->config.max_conns, member->max_conns);
    STORE(server->config.backup, member->backup);
}

static struct slice keep_text(char *into, struct slice text)
{
    size_t size = text.size < SERVER_NAME_MAX ? text.size : SERVER_NAME_MAX;
    memcpy(into, text.data, size);
    return slice_of(into, size);
}

void server_set_name(struct server *server, struct slice name, struct slice host)
{
    server->name = keep_text(server->name_text, name);
    server->host = keep_text(server->host_text, server_host_of(host));
}

/* A session is resumed with the server that it was begun with, and no other. */
static void set_tls(struct server *server, struct tls_client *tls)
{
    if (server->sessions != NULL)
        tls_sessions_free(server->sessions);
    server->sessions = tls == NULL ? NULL : tls_sessions_new();
    server->config.tls = tls;
}

/* A new life: nothing of the server that had the place before is left. */
static void join(struct upstream *upstream, struct server *server, size_t source,
                 const struct upstream_member *member)
{
    check(server->is_resting);
    struct upstream_line *line = upstream->lines[source];
    bool is_late = line->was_discovered;
    server->source = source;
    server_set_name(server, member->name, member->host.size > 0 ? member->host : member->name);
    set_tls(server, line->config.tls);
    pthread_mutex_lock(&server->addresses_mutex);
    size_t count = 0;
    for (; count < member->addresses_count && count < SERVER_ADDRESSES_MAX; count++)
        server->addresses[count] = member->addresses[count];
    STORE(server->addresses_count, count);
    pthread_mutex_unlock(&server->addresses_mutex);
    server_set_share(server, member);
    STORE(server->health, SERVER_UP);
    STORE(server->is_check_failed, false);
    STORE(server->errors_in_row, 0);
    STORE(server->ejections, 0);
    STORE(server->window_all, 0);
    STORE(server->window_errors, 0);
    STORE(server->timing, 0);
    bool is_fixed = line->config.source == SERVER_FIXED;
    STORE(server->config.down, is_fixed && line->config.down);
    STORE(server->reason, is_fixed ? "it was configured" : "it was discovered");
    STORE(server->since, clock_wall());
    /* One that joins others has to warm up like one that comes back. */
    STORE(server->back_since, is_late ? clock_monotonic() : 0);
    STORE(server->generation, server->generation + 1);
    server->is_resting = false;
    __atomic_store_n(&server->is_draining, false, __ATOMIC_SEQ_CST);
    size_t index = (size_t)(server - upstream->servers);
    if (index >= upstream->count)
        __atomic_store_n(&upstream->count, index + 1, __ATOMIC_RELEASE);
    server->is_new = true;
}

/* Said when they may be chosen. */
static void say_who_joined(struct upstream *upstream)
{
    for (size_t i = 0; i < upstream->count; i++) {
        struct server *server = &upstream->servers[i];
        if (server->is_new)
            log_about(LOG_INFO, "server_joined",
                      &(struct log_about){.upstream = upstream->name, .server = server->name},
                      "upstream %.*s: server %.*s has joined", SLICE_ARG(upstream->name),
                      SLICE_ARG(server->name));
        server->is_new = false;
    }
}

static void drain(struct upstream *upstream, struct server *server)
{
    bool is_gone = upstream->lines[server->source]->is_leaving;
    STORE(server->reason,
          is_gone ? "the configuration has it no more" : "discovery knows it no more");
    STORE(server->since, clock_wall());
    server->drained_since = clock_monotonic();
    __atomic_store_n(&server->is_draining, true, __ATOMIC_SEQ_CST);
    log_about(LOG_INFO, "server_draining",
              &(struct log_about){.upstream = upstream->name, .server = server->name},
              "upstream %.*s: server %.*s has left; what runs there may end (%u)",
              SLICE_ARG(upstream->name), SLICE_ARG(server->name), LOAD(server->active));
}

/* It left and is back before its place was given away. */
static void take_back(struct server *server)
{
    STORE(server->reason, "it is known again");
    STORE(server->since, clock_wall());
    __atomic_store_n(&server->is_draining, false, __ATOMIC_SEQ_CST);
    server->is_new = true;
}

void upstream_server_hold(struct upstream *upstream, size_t index, bool is_held)
{
    upstream->servers[index].is_held = is_held;
}

/* A line of a name that has no address now is known by its own place. */
static void name_home(struct upstream *upstream, size_t source)
{
    const struct server_config *config = &upstream->lines[source]->config;
    if (source >= upstream->homes || !upstream_has_line(upstream, source) ||
        config->source == SERVER_FIXED)
        return;
    for (size_t i = 0; i < upstream->count; i++)
        if (upstream->servers[i].source == source && !upstream->servers[i].is_resting)
            return;
    if (upstream->servers[source].source == source)
        server_set_name(&upstream->servers[source], config->name, config->name);
}

void server_let_rest(struct upstream *upstream, struct server *server)
{
    server->is_resting = true;
    server_set_name(server, SLICE(""), SLICE(""));
    server->config.tls = NULL; /* the line's */
    name_home(upstream, server->source);
}

static void rest_those_that_are_done(struct upstream *upstream)
{
    int64_t now = clock_monotonic();
    for (size_t i = 0; i < upstream->count; i++) {
        struct server *server = &upstream->servers[i];
        if (!server->is_draining || server->is_resting)
            continue;
        /* `active` first: what ends puts its connection away before it is counted out. */
        bool is_quiet = !server->is_held &&
                        __atomic_load_n(&server->active, __ATOMIC_SEQ_CST) == 0 &&
                        __atomic_load_n(&server->idle, __ATOMIC_SEQ_CST) == 0 &&
                        __atomic_load_n(&server->links, __ATOMIC_SEQ_CST) == 0 &&
                        !__atomic_load_n(&server->is_probed, __ATOMIC_SEQ_CST);
        if (!is_quiet) {
            server->drained_since = now;
            continue;
        }
        if (now - server->drained_since < MILLISECONDS(REST_MS))
            continue;
        STORE(server->addresses_count, 0);
        log_about(LOG_INFO, "server_left",
                  &(struct log_about){.upstream = upstream->name, .server = server->name},
                  "upstream %.*s: nothing runs on server %.*s any more", SLICE_ARG(upstream->name),
                  SLICE_ARG(server->name));
        server_let_rest(upstream, server);
    }
}

void upstream_reap(struct upstream *upstream)
{
    rest_those_that_are_done(upstream);
    upstream_tidy_lines(upstream);
}

/* The place of the line itself, else the first that is free. */
static struct server *find_place(struct upstream *upstream, size_t source)
{
    if (source < upstream->homes && upstream->servers[source].is_resting)
        return &upstream->servers[source];
    for (size_t i = upstream->homes; i < upstream->made; i++)
        if (upstream->servers[i].is_resting)
            return &upstream->servers[i];
    return upstream_make_place(upstream) ? &upstream->servers[upstream->made - 1] : NULL;
}

/* Its server if it is there already, draining or not. */
static struct server *find_server(struct upstream *upstream, size_t source,
                                  const struct upstream_member *member, bool is_draining)
{
    for (size_t i = 0; i < upstream->count; i++) {
        struct server *server = &upstream->servers[i];
        if (server->source == source && !server->is_resting && server->is_draining == is_draining &&
            has_addresses(server, member))
            return server;
    }
    return NULL;
}

static bool is_wanted(const struct server *server, const struct upstream_member *members,
                      size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (has_addresses(server, &members[i]))
            return true;
    return false;
}

void upstream_changed(struct upstream *upstream)
{
    count_members(upstream);
    upstream_renew_roster(upstream);
    say_who_joined(upstream);
    if (__atomic_load_n(&upstream->waiting, __ATOMIC_SEQ_CST) > 0)
        upstream_queue_wake(upstream);
}

/* False: it finds no place. */
static bool take_in(struct upstream *upstream, size_t index, const struct upstream_member *member)
{
    struct server *server = find_server(upstream, index, member, false);
    if (server == NULL && (server = find_server(upstream, index, member, true)) != NULL)
        take_back(server);
    if (server != NULL)
        server_set_share(server, member);
    else if ((server = find_place(upstream, index)) != NULL)
        join(upstream, server, index, member);
    return server != NULL;
}

/* Whether somebody has left. */
static bool drain_others(struct upstream *upstream, size_t index,
                         const struct upstream_member *members, size_t count)
{
    bool has_left = false;
    for (size_t i = 0; i < upstream->count; i++) {
        struct server *server = &upstream->servers[i];
        if (server->source == index && !server->is_draining && !is_wanted(server, members, count)) {
            drain(upstream, server);
            has_left = true;
        }
    }
    return has_left;
}

size_t upstream_set_members(struct upstream *upstream, size_t index,
                            const struct upstream_member *members, size_t count)
{
    check(index < upstream->sources && upstream->lines[index]->config.source != SERVER_FIXED);
    struct upstream_line *line = upstream->lines[index];
    size_t homeless = 0;
    if (line->config.down)
        count = 0;
    for (size_t i = 0; i < count; i++)
        homeless += !take_in(upstream, index, &members[i]);
    /* Who joins may be chosen before anybody leaves. */
    upstream_changed(upstream);
    line->was_discovered = line->was_discovered || count > 0;
    if (drain_others(upstream, index, members, count))
        upstream_changed(upstream);
    return homeless;
}

bool upstream_join_fixed(struct upstream *upstream, size_t index)
{
    const struct server_config *config = &upstream->lines[index]->config;
    struct upstream_member member = {
        .name = config->name,
        .addresses = &config->address,
        .addresses_count = 1,
        .weight = config->weight,
        .priority = config->priority,
        .max_conns = config->max_conns,
        .backup = config->backup,
    };
    return take_in(upstream, index, &member);
}

void upstream_drop_line(struct upstream *upstream, size_t index)
{
    upstream->lines[index]->is_leaving = true;
    if (drain_others(upstream, index, NULL, 0))
        upstream_changed(upstream);
}
