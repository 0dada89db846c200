/* SPDX-License-Identifier: Apache-2.0 */
#include "control/snapshot_route.h"

#include "base/check.h"
#include "base/clock.h"
#include "control/certificates.h"
#include "control/metrics.h"
#include "exchange/cidr.h"
#include "steps/access.h"
#include "steps/compress.h"
#include "steps/proxy.h"
#include "steps/redirect.h"
#include "steps/steps.h"

/* What the step in a block is worth beside the others: its option `weight`. */
static uint32_t weight_of(const struct config_item *item)
{
    for (const struct option *option = item->key->options;
         option != NULL && option->type != OPTION_END; option++)
        if (strcmp(option->name, "weight") == 0)
            return (uint32_t) *
                   (const int64_t *)(const void *)((const char *)item->config + option->offset);
    return 1;
}

static void build_step(struct snapshot_builder *b, const struct config_item *item,
                       struct step_use *use);

/* Blocks of steps hold no further ones. */
static void build_inner(struct snapshot_builder *b, const struct config_block *block,
                        struct prepare *prepare)
{
    struct arena *arena = &b->snapshot->arena;
    struct step_use *uses = arena_alloc(arena, (block->count + 1) * sizeof *uses);
    uint32_t *weights = arena_alloc(arena, (block->count + 1) * sizeof *weights);
    for (const struct config_item *item = block->first; item != NULL; item = item->next) {
        weights[prepare->inner_count] = weight_of(item);
        build_step(b, item, &uses[prepare->inner_count++]);
    }
    prepare->inner = uses;
    prepare->inner_weights = weights;
}

static void build_step(struct snapshot_builder *b, const struct config_item *item,
                       struct step_use *use)
{
    struct arena *arena = &b->snapshot->arena;
    const struct step *step = steps_find(item->key);
    check(step != NULL);
    void *config = arena_zero(arena, item->key->config_size);
    memcpy(config, item->config, item->key->config_size);
    *use = (struct step_use){step, config, config_item_at(arena, item)};
    if (step->prepare == NULL)
        return;
    struct prepare inner = {0};
    if (item->block != NULL)
        build_inner(b, item->block, &inner);
    struct preparing preparing = snapshot_preparing(b, item);
    preparing.prepare.inner = inner.inner;
    preparing.prepare.inner_weights = inner.inner_weights;
    preparing.prepare.inner_count = inner.inner_count;
    size_t errors_before = b->errors->errors;
    if (step->prepare(config, &preparing.prepare) != OK && b->errors->errors == errors_before)
        preparing.prepare.error(&preparing.prepare, NULL, "%s could not be made ready",
                                item->key->name);
    b->leads_elsewhere = b->leads_elsewhere || preparing.prepare.leads_elsewhere;
}

static void *compile_regex(struct snapshot_builder *b, const struct config_item *item,
                           struct slice pattern)
{
    char error[128];
    size_t at;
    void *regex = regex_compile(pattern, error, sizeof error, &at);
    if (regex == NULL)
        config_report_step(b->errors, item, NULL,
                           arena_format(&b->snapshot->arena, "%s (at byte %zu)", error, at));
    else
        snapshot_keep(b->snapshot, regex_free, regex);
    return regex;
}

static void build_match(struct snapshot_builder *b, const struct config_item *item,
                        struct match *match)
{
    const struct match_line_config *line = item->config;
    struct arena *arena = &b->snapshot->arena;
    *match = (struct match){.kind = (enum match_kind)line->kind};
    if (match->kind == MATCH_METHOD || match->kind == MATCH_LANGUAGE) {
        match->values = line->values.items;
        match->count = line->values.count;
        return;
    }
    if (match->kind == MATCH_CLIENT) {
        struct cidr *cidrs = arena_alloc(arena, line->values.count * sizeof *cidrs);
        for (size_t i = 0; i < line->values.count; i++)
            check(cidr_parse(line->values.items[i], &cidrs[i]));
        match->cidrs = cidrs;
        match->count = line->values.count;
        return;
    }
    match->name = line->values.items[0];
    match->any_value = line->values.count == 1;
    if (match->any_value)
        return;
    match->value = line->values.items[1];
    if (match->value.size > 0 && match->value.data[0] == '~')
        match->regex = compile_regex(b, item, slice_from(match->value, 1));
}

static void build_pattern(struct snapshot_builder *b, const struct config_route *from,
                          const struct uri_path_rules *rules, struct route *route)
{
    struct slice pattern = from->pattern;
    route->pattern = pattern;
    if (pattern.size > 0 && pattern.data[0] == '~') {
        route->kind = ROUTE_REGEX;
        route->regex = compile_regex(b, from->item, slice_from(pattern, 1));
        return;
    }
    bool is_prefix = slice_ends(pattern, SLICE("/*"));
    route->kind = is_prefix ? ROUTE_PREFIX : ROUTE_EXACT;
    struct slice path = slice_first(pattern, pattern.size - (is_prefix ? 2 : 0));
    /* Written in the form that requests are brought into before they are compared. */
    if (path.size == 0 || !uri_canonical_path(path, rules, &b->snapshot->arena, &route->path))
        route->path = path;
}

static void build_route(struct snapshot_builder *b, const struct config_route *from,
                        const struct uri_path_rules *rules, struct route *route)
{
    struct arena *arena = &b->snapshot->arena;
    b->route = from;
    b->leads_elsewhere = false;
    build_pattern(b, from, rules, route);
    struct match *matches = arena_alloc(arena, (from->matches_count + 1) * sizeof *matches);
    for (size_t i = 0; i < from->matches_count; i++)
        build_match(b, from->matches[i], &matches[i]);
    struct step_use *steps = arena_alloc(arena, (from->path.count + 1) * sizeof *steps);
    route->timeouts = from->timeouts;
    route->limits = from->limits;
    route->timeout = CLOCK_NEVER;
    for (size_t i = 0; i < from->path.count; i++) {
        build_step(b, from->path.steps[i], &steps[i]);
        if (steps[i].step != &step_proxy)
            continue;
        const struct proxy_config *proxy = steps[i].config;
        route->timeout = proxy->timeout;
        if (proxy->tunnel_timeout != 0)
            route->timeouts.tunnel = proxy->tunnel_timeout;
    }
    access_settle(steps, from->path.count);
    compress_settle(steps, from->path.count);
    route->leads_elsewhere = b->leads_elsewhere;
    route->matches = matches;
    route->matches_count = from->matches_count;
    route->steps = steps;
    route->steps_count = from->path.count;
    route->is_fallback = from->is_fallback;
    route->order = from->order;
    route->at = config_item_at(arena, from->item);
    route->series = metrics_series(b->site->hosts.items[0], route->pattern);
}

/* RFC 6797 §6.1 */
static struct slice hsts_of(struct snapshot_builder *b, const struct config_site *from)
{
    const struct tls_config *settings = &from->tls.settings;
    if (!from->tls.is_on || settings->hsts == CLOCK_NEVER)
        return SLICE("");
    return arena_format(&b->snapshot->arena, "max-age=%lld%s%s",
                        (long long)(settings->hsts / SECONDS(1)),
                        settings->hsts_subdomains ? "; includeSubDomains" : "",
                        settings->hsts_preload ? "; preload" : "");
}

void snapshot_build_site(struct snapshot_builder *b, const struct config_site *from,
                         struct site *site)
{
    struct arena *arena = &b->snapshot->arena;
    b->site = from;
    *site = (struct site){
        .name = from->hosts.items[0],
        .path_rules = {.keep_escaped_slash = from->path_escaped_slash,
                       .keep_slashes = !from->path_merge_slashes},
        .field_names = (enum field_names)from->field_names,
        .access_log = from->access_log,
        .hsts = hsts_of(b, from),
        .geo = &b->snapshot->geo,
        .at = config_item_at(arena, from->item),
        .series = metrics_series(from->hosts.items[0], SLICE("")),
        .routes_count = from->routes_count,
    };
    const struct tls_context *context =
        certificates_context(b->snapshot->certificates, from, b->errors);
    site->tls_policy = context == NULL ? 0 : tls_context_policy(context);
    site->routes = arena_zero(arena, (from->routes_count + 1) * sizeof *site->routes);
    for (size_t i = 0; i < from->routes_count; i++)
        build_route(b, &from->routes[i], &site->path_rules, &site->routes[i]);
    routes_sort(site->routes, site->routes_count);
}

/* A site that sends every path elsewhere, for a site that is written. */
struct elsewhere {
    struct slice host;
    struct slice to;
    int64_t status;
    const struct config_item *item;
};

static void build_elsewhere(struct snapshot_builder *b, const struct config_site *from,
                            const struct elsewhere *elsewhere, struct site *site)
{
    struct arena *arena = &b->snapshot->arena;
    const struct site *own = &b->sites[from - b->config->sites];
    struct redirect_config *redirect = arena_zero(arena, sizeof *redirect);
    redirect->to = elsewhere->to;
    redirect->status = elsewhere->status;
    struct preparing preparing = snapshot_preparing(b, elsewhere->item);
    check(step_redirect.prepare(redirect, &preparing.prepare) == OK);
    struct step_use *use = arena_alloc(arena, sizeof *use);
    *use = (struct step_use){&step_redirect, redirect, config_item_at(arena, elsewhere->item)};
    struct route *route = arena_zero(arena, sizeof *route);
    *route = (struct route){
        .kind = ROUTE_PREFIX,
        .pattern = SLICE("/*"),
        .path = SLICE(""),
        .steps = use,
        .steps_count = 1,
        .timeout = CLOCK_NEVER,
        .timeouts = from->timeouts,
        .limits = from->limits,
        .at = use->at,
    };
    *site = (struct site){
        .name = elsewhere->host,
        .routes = route,
        .routes_count = 1,
        .path_rules = {.keep_escaped_slash = from->path_escaped_slash,
                       .keep_slashes = !from->path_merge_slashes},
        .field_names = (enum field_names)from->field_names,
        .access_log = from->access_log,
        .tls_policy = own->tls_policy,
        .hsts = own->hsts,
        .at = use->at,
    };
}

struct site *snapshot_redirect_site(struct snapshot_builder *b, const struct config_site *from)
{
    struct site *site = arena_alloc(&b->snapshot->arena, sizeof *site);
    struct elsewhere elsewhere = {from->hosts.items[0], SLICE("https://{host}{uri}"), 308,
                                  from->item};
    build_elsewhere(b, from, &elsewhere, site);
    return site;
}

static void release_server(void *server)
{
    tls_server_free(server);
}

struct tls_server *snapshot_keep_server(struct snapshot_builder *b, struct tls_server *server)
{
    snapshot_keep(b->snapshot, release_server, server);
    return server;
}

size_t snapshot_alias_sites(struct snapshot_builder *b, const struct config_site *from,
                            struct site_name *names)
{
    struct site *sites =
        arena_alloc(&b->snapshot->arena, (from->aliases_count + 1) * sizeof *sites);
    for (size_t i = 0; i < from->aliases_count; i++) {
        const struct config_alias *alias = &from->aliases[i];
        struct elsewhere elsewhere = {alias->host,
                                      arena_format(&b->snapshot->arena, "{scheme}://%.*s{uri}",
                                                   SLICE_ARG(from->hosts.items[0])),
                                      alias->status, alias->item};
        build_elsewhere(b, from, &elsewhere, &sites[i]);
        struct slice host = from->aliases[i].host;
        bool is_wildcard = slice_starts(host, SLICE("*."));
        names[i] = (struct site_name){is_wildcard ? slice_from(host, 1) : host, &sites[i]};
    }
    return from->aliases_count;
}
