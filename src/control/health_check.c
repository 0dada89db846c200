/* SPDX-License-Identifier: Apache-2.0 */
/* When which server is checked, and what its answers in a row mean. How one check is made stands in
 * health_check_once.c. */
#include "control/health_check.h"

#include "base/check.h"
#include "base/log.h"
#include "exchange/route.h"
#include "fiber/fiber.h"
#include "upstream/call.h"
#include "upstream/upstream.h"

#include <stdlib.h>

enum {
    JITTER_PERCENT = 20,
    LOOK_MS = 1000,        /* how often an upstream is looked at for new servers */
    FIRST_SPREAD_MS = 500, /* within which the first checks begin */
    ADDRESSES_MAX = 8,
};

struct checked_upstream;

/* A server that is checked. */
struct checked {
    struct checked_upstream *upstream;
    size_t index;
    int64_t next_at;
    int64_t in_row;      /* answers in a row that say other than is_up */
    uint32_t generation; /* of the server that was checked last */
    bool is_up;
    bool is_known;   /* it was checked before: the first answer counts at once */
    bool is_running; /* a check is under way */
};

struct checked_upstream {
    struct checked_upstream *next;
    struct upstream *upstream;
    const struct health_check_config *config;
    void *regex; /* NULL: the body does not matter */
    struct checked **servers;
    size_t count;
    struct fiber_scope scope; /* of the checks under way */
};

struct health_checks {
    struct checked_upstream *first;
    struct fiber_scope scope;
};

static int64_t jittered(int64_t interval)
{
    uint32_t percent =
        100 - JITTER_PERCENT + random_below(&thread_self()->random, 2 * JITTER_PERCENT + 1);
    return interval / 100 * percent;
}

/* What an answer changes: `fall` bad ones in a row take a server down, `rise` good ones bring it
 * back; the very first decides alone. */
static void conclude(struct checked *checked, const struct health_answer *answer)
{
    const struct health_check_config *config = checked->upstream->config;
    bool is_news = answer->is_good != checked->is_up;
    checked->in_row = is_news ? checked->in_row + 1 : 0;
    int64_t needed = !checked->is_known ? 1 : answer->is_good ? config->rise : config->fall;
    checked->is_known = true;
    if (checked->in_row >= needed) {
        checked->in_row = 0;
        checked->is_up = answer->is_good;
        upstream_set_health(checked->upstream->upstream, checked->index, answer->is_good,
                            answer->why);
    }
    bool is_changing = checked->in_row > 0;
    checked->next_at = loop_now() + jittered(is_changing && config->fast_interval < config->interval
                                                 ? config->fast_interval
                                                 : config->interval);
}

/* Not inlined: the addresses stand in the frame of its caller. */
__attribute__((noinline)) static enum status ask(const struct checked_upstream *u,
                                                 const struct checked *checked, struct slice name,
                                                 const struct address *addresses, size_t count,
                                                 struct health_answer *answer)
{
    struct health_target target = {.host = name, .addresses = addresses, .count = count};
    upstream_server_tls(u->upstream, checked->index, &target.tls, &target.sessions);
    if (u->config->tls == HEALTH_CHECK_TLS_OFF)
        target.tls = NULL;
    upstream_server_hold(u->upstream, checked->index, true);
    enum status status = health_check_once(u->config, u->regex, &target, answer);
    upstream_server_hold(u->upstream, checked->index, false);
    return status;
}

static void run_check(void *argument)
{
    struct checked *checked = argument;
    struct checked_upstream *u = checked->upstream;
    struct address addresses[ADDRESSES_MAX];
    size_t count = upstream_server_addresses(u->upstream, checked->index, addresses, ADDRESSES_MAX);
    struct server_state state;
    check(upstream_server_state(u->upstream, checked->index, &state));
    struct health_answer answer = {0};
    if (state.generation != checked->generation) { /* another server stands there now */
        checked->generation = state.generation;
        checked->is_known = false;
        checked->is_up = true;
        checked->in_row = 0;
    }
    /* One without an address is down anyway, and its life of checks begins when it gets one. */
    if (count == 0)
        checked->is_known = false;
    if (count == 0)
        checked->next_at = loop_now() + MILLISECONDS(LOOK_MS);
    else if (ask(u, checked, state.name, addresses, count, &answer) == OK) {
        if (!answer.is_good)
            log_write(LOG_DEBUG, "check_failed", "upstream %.*s: check of %.*s: %s (status %d)",
                      SLICE_ARG(upstream_name(u->upstream)), SLICE_ARG(state.name), answer.why,
                      answer.status);
        conclude(checked, &answer);
    }
    checked->is_running = false;
}

/* A place for each server there is; more may come. */
static void take_servers(struct checked_upstream *u)
{
    struct server_state state;
    while (upstream_server_state(u->upstream, u->count, &state)) {
        struct checked *checked = memory_zero(sizeof *checked);
        *checked = (struct checked){.upstream = u, .index = u->count, .is_up = true};
        checked->next_at =
            loop_now() + MILLISECONDS(random_below(&thread_self()->random, FIRST_SPREAD_MS));
        u->servers = memory_resize(u->servers, (u->count + 1) * sizeof *u->servers);
        u->servers[u->count++] = checked;
    }
}

/* Starts every check that is due; when the next one is. */
static int64_t start_due(struct checked_upstream *u)
{
    int64_t now = loop_now();
    int64_t next = now + MILLISECONDS(LOOK_MS);
    for (size_t i = 0; i < u->count; i++) {
        struct checked *checked = u->servers[i];
        if (!checked->is_running && checked->next_at <= now) {
            checked->is_running = true;
            if (fiber_start(&u->scope, "check", run_check, checked, NULL) != OK) {
                checked->is_running = false;
                checked->next_at = next; /* no fiber is left: soon again */
            }
        }
        if (!checked->is_running && checked->next_at < next)
            next = checked->next_at;
    }
    return next;
}

static void watch_upstream(void *argument)
{
    struct checked_upstream *u = argument;
    fiber_scope_init(&u->scope);
    enum status status = OK;
    while (status == OK) {
        take_servers(u);
        status = fiber_sleep(start_due(u));
    }
    fiber_scope_cancel(&u->scope);
}

static void add_upstream(struct health_checks *checks, const struct config_upstream *config,
                         struct upstream *upstream)
{
    struct checked_upstream *u = memory_zero(sizeof *u);
    u->upstream = upstream;
    u->config = config->health_check;
    if (u->config->body.size > 0) {
        char error[128];
        size_t error_at;
        u->regex = regex_compile(u->config->body, error, sizeof error, &error_at);
        check(u->regex != NULL); /* it was compiled when it was read */
    }
    u->next = checks->first;
    checks->first = u;
}

enum status health_checks_start(const struct config *config, const struct snapshot *snapshot,
                                struct health_checks **made)
{
    struct health_checks *checks = memory_zero(sizeof *checks);
    *made = checks;
    fiber_scope_init(&checks->scope);
    for (size_t i = 0; i < config->upstreams_count; i++)
        if (config->upstreams[i].health_check != NULL)
            add_upstream(checks, &config->upstreams[i], snapshot->upstreams[i]);
    for (struct checked_upstream *u = checks->first; u != NULL; u = u->next)
        TRY(fiber_start(&checks->scope, "checks", watch_upstream, u, NULL));
    return OK;
}

void health_checks_stop(struct health_checks *checks)
{
    if (checks == NULL)
        return;
    fiber_scope_cancel_soon(&checks->scope);
    while (checks->scope.count > 0)
        loop_turn(loop_now() + MILLISECONDS(10));
    while (checks->first != NULL) {
        struct checked_upstream *u = checks->first;
        checks->first = u->next;
        for (size_t i = 0; i < u->count; i++)
            free(u->servers[i]);
        free(u->servers);
        if (u->regex != NULL)
            regex_free(u->regex);
        free(u);
    }
    free(checks);
}
