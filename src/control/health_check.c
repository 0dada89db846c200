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
    END_LOOK_MS = 5,
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
    struct health_check_config config; /* a copy: it outlives the configuration */
    struct arena arena;                /* of its texts */
    void *regex;                       /* NULL: the body does not matter */
    struct fiber *fiber;               /* that starts the checks; NULL: it has ended */
    bool is_there;                     /* in the snapshot that is looked at */
    struct checked **servers;
    size_t count;
    struct fiber_scope scope; /* of the checks under way */
};

struct health_checks {
    struct checked_upstream *first;
    struct checked_upstream *ended; /* of the update under way */
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
    const struct health_check_config *config = &checked->upstream->config;
    bool is_news = answer->is_good != checked->is_up;
    checked->in_row = is_news ? checked->in_row + 1 : 0;
    int64_t needed = !checked->is_known ? 1 : answer->is_good ? config->rise : config->fall;
    bool is_first = !checked->is_known; /* another check may have had another mind */
    upstream_count_check(checked->upstream->upstream, checked->index, answer->is_good);
    checked->is_known = true;
    if (checked->in_row >= needed || is_first) {
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

/* As the check says, else as requests do. */
static enum upstream_http http_of(const struct checked_upstream *u)
{
    if (u->config.http != UPSTREAM_HTTP_INHERITED)
        return (enum upstream_http)u->config.http;
    return upstream_proxy_protocol(u->upstream) > 0 ? UPSTREAM_HTTP_1
                                                    : upstream_http_of(u->upstream);
}

/* Not inlined: the addresses stand in the frame of its caller. */
__attribute__((noinline)) static enum status ask(const struct checked_upstream *u,
                                                 const struct checked *checked, struct slice name,
                                                 const struct address *addresses, size_t count,
                                                 struct health_answer *answer)
{
    struct health_target target = {.host = name,
                                   .addresses = addresses,
                                   .count = count,
                                   .http = http_of(u),
                                   .proxy_protocol = upstream_proxy_protocol(u->upstream)};
    upstream_server_tls(u->upstream, checked->index, &target.tls, &target.sessions);
    if (u->config.tls == HEALTH_CHECK_TLS_OFF)
        target.tls = NULL;
    upstream_server_hold(u->upstream, checked->index, true);
    enum status status = health_check_once(&u->config, u->regex, &target, answer);
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
            log_about(
                LOG_DEBUG, "check_failed",
                &(struct log_about){.upstream = upstream_name(u->upstream), .server = state.name},
                "upstream %.*s: check of %.*s: %s (status %d)",
                SLICE_ARG(upstream_name(u->upstream)), SLICE_ARG(state.name), answer.why,
                answer.status);
        conclude(checked, &answer);
    }
    checked->is_running = false;
    if (u->fiber != NULL)
        fiber_wake(u->fiber); /* when the next one is due is known now */
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
        status = fiber_wait(start_due(u));
        if (status == ERR_TIMEOUT)
            status = OK;
    }
    fiber_scope_cancel(&u->scope);
    u->fiber = NULL;
}

static void copy_config(struct checked_upstream *u, const struct health_check_config *from)
{
    struct health_check_config *to = &u->config;
    *to = *from;
    to->what = arena_copy(&u->arena, from->what);
    to->body = arena_copy(&u->arena, from->body);
    to->host = arena_copy(&u->arena, from->host);
    to->service = arena_copy(&u->arena, from->service);
    struct slice *expect = arena_alloc(&u->arena, (from->expect.count + 1) * sizeof *expect);
    for (size_t i = 0; i < from->expect.count; i++)
        expect[i] = arena_copy(&u->arena, from->expect.items[i]);
    to->expect.items = expect;
}

static bool is_same(const struct health_check_config *a, const struct health_check_config *b)
{
    bool is_same = a->interval == b->interval && a->fast_interval == b->fast_interval &&
                   a->timeout == b->timeout && a->rise == b->rise && a->fall == b->fall &&
                   a->port == b->port && a->tls == b->tls && a->http == b->http &&
                   a->is_tcp == b->is_tcp && a->is_grpc == b->is_grpc &&
                   slice_equal(a->what, b->what) && slice_equal(a->body, b->body) &&
                   slice_equal(a->host, b->host) && slice_equal(a->service, b->service) &&
                   a->expect.count == b->expect.count;
    for (size_t i = 0; is_same && i < a->expect.count; i++)
        is_same = slice_equal(a->expect.items[i], b->expect.items[i]);
    return is_same;
}

static struct checked_upstream *find_upstream(const struct health_checks *checks,
                                              const struct upstream *upstream)
{
    for (struct checked_upstream *u = checks->first; u != NULL; u = u->next)
        if (u->upstream == upstream)
            return u;
    return NULL;
}

static enum status add_upstream(struct health_checks *checks,
                                const struct health_check_config *config, struct upstream *upstream)
{
    struct checked_upstream *u = memory_zero(sizeof *u);
    u->upstream = upstream;
    u->is_there = true;
    arena_init(&u->arena, NULL, 0);
    copy_config(u, config);
    if (u->config.body.size > 0) {
        char error[128];
        size_t error_at;
        u->regex = regex_compile(u->config.body, error, sizeof error, &error_at);
        check(u->regex != NULL); /* it was compiled when it was read */
    }
    u->next = checks->first;
    checks->first = u;
    return fiber_start(&checks->scope, "checks", watch_upstream, u, &u->fiber);
}

static void free_upstream(struct checked_upstream *u)
{
    for (size_t i = 0; i < u->count; i++)
        free(u->servers[i]);
    free(u->servers);
    if (u->regex != NULL)
        regex_free(u->regex);
    arena_done(&u->arena);
    free(u);
}

enum status health_checks_start(const struct config *config, const struct snapshot *snapshot,
                                struct health_checks **made)
{
    struct health_checks *checks = memory_zero(sizeof *checks);
    *made = checks;
    fiber_scope_init(&checks->scope);
    enum status status = OK;
    for (size_t i = 0; i < config->upstreams_count && status == OK; i++)
        if (config->upstreams[i].health_check != NULL)
            status =
                add_upstream(checks, config->upstreams[i].health_check, snapshot->upstreams[i]);
    return status;
}

/* Servers that nobody checks any more are not down by a check. */
static void absolve(const struct checked_upstream *u)
{
    struct server_state state;
    for (size_t i = 0; upstream_server_state(u->upstream, i, &state); i++)
        if (!state.is_resting)
            upstream_set_health(u->upstream, i, true, "it is not checked any more");
}

/* Waits for the checks that are under way. */
static void end_upstream(struct checked_upstream *u)
{
    if (u->fiber != NULL)
        fiber_cancel(u->fiber);
    while (u->fiber != NULL) {
        bool was_cancelled = fiber_shield();
        check(fiber_sleep(loop_now() + MILLISECONDS(END_LOOK_MS)) != ERR_TIMEOUT);
        fiber_unshield(was_cancelled);
    }
}

void health_checks_update(struct health_checks *checks, const struct config *config,
                          const struct snapshot *snapshot)
{
    for (struct checked_upstream *u = checks->first; u != NULL; u = u->next)
        u->is_there = false;
    for (size_t i = 0; i < config->upstreams_count; i++) {
        const struct health_check_config *wanted = config->upstreams[i].health_check;
        struct checked_upstream *u = find_upstream(checks, snapshot->upstreams[i]);
        if (u != NULL && wanted != NULL && is_same(&u->config, wanted))
            u->is_there = true;
    }
    for (struct checked_upstream **at = &checks->first; *at != NULL;) {
        struct checked_upstream *u = *at;
        if (u->is_there) {
            at = &u->next;
            continue;
        }
        end_upstream(u);
        *at = u->next;
        u->next = checks->ended;
        checks->ended = u;
    }
    for (size_t i = 0; i < config->upstreams_count; i++) {
        const struct health_check_config *wanted = config->upstreams[i].health_check;
        if (wanted != NULL && find_upstream(checks, snapshot->upstreams[i]) == NULL &&
            add_upstream(checks, wanted, snapshot->upstreams[i]) != OK)
            log_about(LOG_ERROR, "checks_failed",
                      &(struct log_about){.upstream = config->upstreams[i].name},
                      "upstream %.*s is not checked: no fiber is left",
                      SLICE_ARG(config->upstreams[i].name));
    }
    while (checks->ended != NULL) {
        struct checked_upstream *u = checks->ended;
        checks->ended = u->next;
        /* Others of the same upstream look for themselves, and say so soon. */
        if (find_upstream(checks, u->upstream) == NULL)
            absolve(u);
        free_upstream(u);
    }
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
        free_upstream(u);
    }
    free(checks);
}
