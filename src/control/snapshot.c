/* SPDX-License-Identifier: Apache-2.0 */
#include "control/snapshot.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "control/certificates.h"
#include "control/names.h"
#include "control/secret.h"
#include "control/snapshot_route.h"
#include "exchange/cidr.h"
#include "upstream/call.h"
#include "upstream/upstream.h"

#include <stdlib.h>

enum {
    PORT_HTTP = 80,
    PORT_HTTPS = 443,
};

bool server_parse(struct slice text, struct server_parts *parts)
{
    static const struct slice SCHEME = {"http://", 7};
    static const struct slice SCHEME_TLS = {"https://", 8};
    *parts = (struct server_parts){.is_tls = slice_starts_nocase(text, SCHEME_TLS)};
    if (parts->is_tls || slice_starts_nocase(text, SCHEME)) {
        text = slice_from(text, parts->is_tls ? SCHEME_TLS.size : SCHEME.size);
        text = slice_first(text, slice_find(text, '/'));
    }
    bool is_bracketed = text.size > 0 && text.data[0] == '[';
    size_t colon = is_bracketed ? slice_find(text, ']') + 1 : slice_find(text, ':');
    uint64_t number = parts->is_tls ? PORT_HTTPS : PORT_HTTP;
    parts->name = slice_first(text, colon);
    if (address_parse(text, (uint16_t)number, &parts->address))
        return true;
    if (colon < text.size &&
        (!slice_to_u64(slice_from(text, colon + 1), 65535, &number) || number == 0))
        return false;
    parts->host = parts->name;
    parts->port = (uint16_t)number;
    return parts->host.size > 0;
}

static struct server_config read_server(struct snapshot_builder *b,
                                        const struct config_upstream *upstream,
                                        const struct server_line_config *line)
{
    struct server_parts parts;
    check(server_parse(line->address, &parts));
    struct server_config server = {
        .name = line->name.size > 0 ? line->name : line->address,
        .host = parts.host,
        .port = parts.port,
        .address = parts.address,
        .weight = (uint32_t)line->weight,
        .max_conns = line->max_conns,
        .priority = (uint32_t)line->priority,
        .backup = line->backup,
        .down = line->down,
    };
    if (parts.host.size > 0)
        server.source = line->resolve == RESOLVE_ONE ? SERVER_ONE : SERVER_NAME;
    if (parts.is_tls || upstream->tls.is_on)
        server.tls =
            certificates_client(b->snapshot->certificates, upstream, parts.name, b->errors);
    return server;
}

/* _http._tcp.app.internal is expected to show a certificate for app.internal, unless sni says
 * otherwise; servers of a file one for the upstream's name. */
static struct slice discovered_name(const struct config_upstream *upstream,
                                    const struct discover_config *line)
{
    struct slice name = line->kind == DISCOVER_SRV ? line->what : upstream->name;
    while (line->kind == DISCOVER_SRV && slice_starts(name, SLICE("_")) &&
           slice_find(name, '.') < name.size)
        name = slice_from(name, slice_find(name, '.') + 1);
    return name;
}

static struct server_config read_discover(struct snapshot_builder *b,
                                          const struct config_upstream *upstream,
                                          const struct discover_config *line)
{
    struct server_config server = {
        .name = line->what,
        .source = line->kind == DISCOVER_SRV ? SERVER_SRV : SERVER_FILE,
        .host = line->what,
        .weight = 1,
        .max_conns = line->max_conns,
    };
    if (upstream->tls.is_on)
        server.tls = certificates_client(b->snapshot->certificates, upstream,
                                         discovered_name(upstream, line), b->errors);
    return server;
}

/* The one of that name that is served now, when its servers have room in it; NULL: there is none.
 */
static struct upstream *find_previous(const struct snapshot_builder *b,
                                      const struct upstream_config *config)
{
    const struct snapshot *previous = b->previous;
    for (size_t i = 0; previous != NULL && i < previous->upstreams_count; i++)
        if (slice_equal(upstream_name(previous->upstreams[i]), config->name))
            return upstream_fits(previous->upstreams[i], config) ? previous->upstreams[i] : NULL;
    return NULL;
}

static void add_upstream(struct snapshot_builder *b, const struct upstream_config *config)
{
    struct snapshot *snapshot = b->snapshot;
    size_t count = snapshot->upstreams_count + 1;
    snapshot->upstreams = memory_resize(snapshot->upstreams, count * sizeof *snapshot->upstreams);
    snapshot->upstreams_from =
        memory_resize(snapshot->upstreams_from, count * sizeof *snapshot->upstreams_from);
    struct upstream *upstream = find_previous(b, config);
    bool is_fresh = upstream == NULL;
    if (is_fresh)
        upstream = upstream_new(config, snapshot->workers);
    snapshot->upstreams[snapshot->upstreams_count] = upstream;
    snapshot->upstreams_from[snapshot->upstreams_count++] =
        (struct snapshot_upstream){.config = *config, .is_fresh = is_fresh};
}

static int64_t none_if_off(int64_t value)
{
    return value < 0 ? 0 : value;
}

static struct slice cookie_attributes(struct arena *arena, const struct sticky_config *sticky)
{
    static const char *const SAME_SITE[] = {
        [SAME_SITE_LAX] = "Lax", [SAME_SITE_STRICT] = "Strict", [SAME_SITE_NONE] = "None"};
    struct buffer out = buffer_in(arena, 128);
    buffer_format(&out, "; Path=%.*s", SLICE_ARG(sticky->path));
    if (sticky->domain.size > 0)
        buffer_format(&out, "; Domain=%.*s", SLICE_ARG(sticky->domain));
    if (sticky->ttl != CLOCK_NEVER)
        buffer_format(&out, "; Max-Age=%lld", (long long)(sticky->ttl / SECONDS(1)));
    buffer_format(&out, "; HttpOnly; SameSite=%s", SAME_SITE[sticky->same_site]);
    return buffer_slice(&out);
}

static void build_sticky(struct snapshot_builder *b, const struct config_upstream *u,
                         struct upstream_config *made)
{
    const struct sticky_config *sticky = u->sticky;
    struct arena *arena = &b->snapshot->arena;
    if (sticky->by == STICKY_BY_CLIENT_IP) {
        made->affinity.key = UPSTREAM_KEY_CLIENT;
        made->load_percent = 0;
        return;
    }
    made->affinity.cookie = sticky->name;
    made->affinity.attributes = cookie_attributes(arena, sticky);
    made->affinity.secure =
        sticky->same_site == SAME_SITE_NONE ? STICKY_SECURE_ON : (enum sticky_secure)sticky->secure;
    struct slice secret = SLICE("");
    const char *why = "";
    if (sticky->secret.size == 0 || b->without_files)
        return;
    if (secret_read(sticky->secret, config_item_directory(u->sticky_item), arena, &secret, &why))
        made->sticky_key = hash_key_of(secret);
    else
        config_report_step(b->errors, u->sticky_item, "secret",
                           arena_format(arena, "the secret cannot be read: %s", why));
}

static struct upstream_passive passive_of(const struct passive_config *passive)
{
    return (struct upstream_passive){
        .fails = (uint32_t)passive->fails,
        .requests = (uint32_t)passive->requests,
        .percent = (uint32_t)none_if_off(passive->share / 100),
        .window = passive->window,
        .eject = passive->eject,
        .eject_longest = passive->eject_longest,
        .ejected_percent = (uint32_t)none_if_off(passive->max_ejected / 100),
    };
}

static void build_upstreams(struct snapshot_builder *b)
{
    const struct config *config = b->config;
    for (size_t i = 0; i < config->upstreams_count; i++) {
        const struct config_upstream *u = &config->upstreams[i];
        struct server_config *servers = arena_alloc(
            &b->snapshot->arena, (u->servers_count + u->discovers_count) * sizeof *servers);
        for (size_t s = 0; s < u->servers_count; s++)
            servers[s] = read_server(b, u, u->servers[s]->config);
        for (size_t d = 0; d < u->discovers_count; d++)
            servers[u->servers_count + d] = read_discover(b, u, u->discovers[d]->config);
        struct upstream_config made = {
            .name = u->name,
            .balance = (enum balance)u->balance.method,
            .affinity = {.key = balance_key_of((enum balance)u->balance.method),
                         .name = u->balance.name},
            .load_percent = u->balance.load < 0 ? 0 : (uint32_t)(u->balance.load / 100),
            .servers = servers,
            .servers_count = u->servers_count + u->discovers_count,
            .keepalive = none_if_off(u->keepalive.kept),
            .keepalive_idle = u->keepalive.idle,
            .queue = none_if_off(u->queue.size),
            .queue_timeout = u->queue.timeout,
            .requests_max = u->breaker.requests,
            .connects_max = u->breaker.connects,
            .adaptive_min = u->adaptive.least,
            .adaptive_max = none_if_off(u->adaptive.most),
            .passive = passive_of(&u->passive),
            .slow_start = u->slow_start,
            .http = (enum upstream_http)u->http,
            .proxy_protocol = u->proxy_protocol,
            .passes_tlvs = u->passes_tlvs,
        };
        if (u->sticky != NULL)
            build_sticky(b, u, &made);
        add_upstream(b, &made);
    }
}

/* A server that stands where the name of an upstream could: an upstream of its own. */
static struct upstream *inline_upstream(struct snapshot_builder *b, struct slice name)
{
    struct server_parts parts;
    if (!server_parse(name, &parts))
        return NULL;
    struct server_config *server = arena_alloc(&b->snapshot->arena, sizeof *server);
    *server = (struct server_config){.name = name,
                                     .source = parts.host.size > 0 ? SERVER_NAME : SERVER_FIXED,
                                     .weight = 1,
                                     .host = parts.host,
                                     .port = parts.port,
                                     .address = parts.address};
    if (parts.is_tls)
        server->tls = certificates_plain_client(parts.name);
    struct upstream_config config = {
        .name = name,
        .balance = BALANCE_RANDOM_TWO,
        .servers = server,
        .servers_count = 1,
        .keepalive = 100,
        .keepalive_idle = SECONDS(60),
        .queue = 1024,
        .queue_timeout = SECONDS(5),
        .slow_start = SECONDS(30),
    };
    add_upstream(b, &config);
    return b->snapshot->upstreams[b->snapshot->upstreams_count - 1];
}

struct upstream *snapshot_find_upstream(struct snapshot_builder *b, struct slice name)
{
    for (size_t i = 0; i < b->snapshot->upstreams_count; i++)
        if (slice_equal(upstream_name(b->snapshot->upstreams[i]), name))
            return b->snapshot->upstreams[i];
    return inline_upstream(b, name);
}

static struct site *find_site(struct snapshot_builder *b, const struct config_site *config)
{
    return &b->sites[config - b->config->sites];
}

/* The names of an address, and what each of them shows. */
static void build_tls(struct snapshot_builder *b, const struct config_listen *from,
                      struct listener_config *listener)
{
    size_t most = 0;
    size_t count = 0;
    for (size_t i = 0; i < from->sites_count; i++)
        most += from->sites[i]->hosts.count + from->sites[i]->aliases_count;
    struct tls_name *names = arena_alloc(&b->snapshot->arena, (most + 1) * sizeof *names);
    for (size_t i = 0; i < from->sites_count; i++) {
        const struct config_site *site = from->sites[i];
        struct tls_context *context =
            certificates_context(b->snapshot->certificates, site, b->errors);
        if (context == NULL)
            continue;
        for (size_t h = 0; h < site->hosts.count; h++)
            names[count++] = (struct tls_name){site->hosts.items[h], context};
        for (size_t a = 0; a < site->aliases_count; a++)
            names[count++] = (struct tls_name){site->aliases[a].host, context};
    }
    if (count > 0)
        listener->tls = snapshot_keep_server(b, tls_server_new(names, count));
}

static void build_listener(struct snapshot_builder *b, const struct config_listen *from,
                           struct listener_config *listener)
{
    struct arena *arena = &b->snapshot->arena;
    *listener = (struct listener_config){
        .address = from->address,
        .name = from->name,
        .half_close = from->half_close,
        .proxy_protocol = from->proxy_protocol,
        .timeouts = from->timeouts,
        .limits = from->limits,
    };
    size_t count = 0;
    for (size_t i = 0; i < from->sites_count; i++)
        count += from->sites[i]->hosts.count + from->sites[i]->aliases_count;
    struct site_name *names = arena_alloc(arena, (count + 1) * sizeof *names);
    size_t at = 0;
    for (size_t i = 0; i < from->sites_count; i++) {
        bool is_redirect = i >= from->sites_count - from->redirects_count;
        struct site *site =
            is_redirect ? snapshot_redirect_site(b, from->sites[i]) : find_site(b, from->sites[i]);
        /* The parser is as lenient as the most lenient site; each site checks for itself. */
        if (site->field_names > listener->field_names)
            listener->field_names = site->field_names;
        for (size_t h = 0; h < from->sites[i]->hosts.count; h++) {
            struct slice host = from->sites[i]->hosts.items[h];
            bool is_wildcard = slice_starts(host, SLICE("*."));
            names[at++] = (struct site_name){is_wildcard ? slice_from(host, 1) : host, site};
        }
        at += snapshot_alias_sites(b, from->sites[i], names + at);
    }
    site_table_build(&listener->sites, names, at, arena);
    listener->sites.is_secure = from->is_tls;
    listener->sites.guarded = b->guarded; /* complete: all sites have been built */
    listener->sites.secret_parameters = b->secret_parameters;
    listener->sites.secret_fields = b->secret_fields;
    if (from->is_tls)
        build_tls(b, from, listener);
}

void snapshot_add_name(struct slice_list *names, struct slice name, struct arena *arena)
{
    struct slice *items = arena_alloc(arena, (names->count + 1) * sizeof *items);
    for (size_t i = 0; i < names->count; i++) {
        if (slice_equal_nocase(names->items[i], name))
            return;
        items[i] = names->items[i];
    }
    items[names->count++] = name;
    names->items = items;
}

static void build_trust(struct snapshot_builder *b)
{
    const struct slice_list *words = &b->config->trusted_proxies.cidrs;
    struct cidr *cidrs = arena_alloc(&b->snapshot->arena, (words->count + 1) * sizeof *cidrs);
    for (size_t i = 0; i < words->count; i++)
        check(cidr_parse(words->items[i], &cidrs[i]));
    b->snapshot->trust =
        (struct trust){cidrs, words->count, (enum client_header)b->config->trusted_proxies.header};
}

/* One database of each content. */
static void build_geo(struct snapshot_builder *b)
{
    for (const struct config_item *item = b->config->top.first; item != NULL; item = item->next) {
        if (strcmp(item->key->name, "geoip") != 0)
            continue;
        const struct name_config *line = item->config;
        const struct held *file = snapshot_open_file(b, item, line->name, &geo_file);
        if (file == NULL)
            continue;
        struct geo *geo = &b->snapshot->geo;
        bool is_country = geo_content_of(file) == GEO_COUNTRY;
        const struct held **place = is_country ? &geo->country : &geo->network;
        if (*place != NULL)
            config_report_step(b->errors, item, NULL,
                               is_country ? SLICE("a second database of countries")
                                          : SLICE("a second database of networks"));
        *place = file;
    }
}

static bool report_log(struct snapshot_builder *b, const struct config_item *item, const char *why)
{
    const struct log_config *log = item->config;
    config_report_step(
        b->errors, item, NULL,
        arena_format(&b->snapshot->arena, "cannot open %.*s: %s", SLICE_ARG(log->to), why));
    return false;
}

static bool build_logs(struct snapshot_builder *b)
{
    const struct snapshot *previous = b->previous;
    const struct config *config = b->config;
    const char *why = "";
    size_t bad = 0;
    if (access_log_new(config->access_logs, config->access_logs_count,
                       previous == NULL ? NULL : previous->access_log, &b->snapshot->access_log,
                       &bad, &why) != OK)
        return report_log(b, config->access_log_items[bad], why);
    const struct config_item *item;
    b->snapshot->error_log =
        error_log_new(config, previous == NULL ? NULL : previous->error_log, &item, &why);
    return b->snapshot->error_log != NULL || report_log(b, item, why);
}

static struct snapshot *build(const struct config *config, unsigned workers, bool for_check,
                              bool without_files, const struct snapshot *previous,
                              struct config_errors *errors)
{
    struct snapshot *snapshot = memory_zero(sizeof *snapshot);
    arena_init(&snapshot->arena, NULL, 0);
    snapshot->config = config;
    snapshot->workers = workers;
    snapshot->fibers_max = (size_t)config->fibers_max;
    snapshot->timeouts = config->timeouts;
    snapshot->limits = config->limits;
    struct snapshot_builder b = {.snapshot = snapshot,
                                 .config = config,
                                 .previous = previous,
                                 .errors = errors,
                                 .without_files = without_files};
    size_t errors_before = errors->errors;
    snapshot->certificates =
        certificates_new(config, without_files, previous == NULL ? NULL : previous->certificates);
    build_upstreams(&b);
    snapshot_build_caches(&b);
    build_trust(&b);
    build_geo(&b);
    b.sites = arena_zero(&snapshot->arena, (config->sites_count + 1) * sizeof *b.sites);
    for (size_t i = 0; i < config->sites_count; i++)
        snapshot_build_site(&b, &config->sites[i], &b.sites[i]);
    struct listener_config *listeners =
        arena_alloc(&snapshot->arena, (config->listens_count + 1) * sizeof *listeners);
    for (size_t i = 0; i < config->listens_count; i++)
        build_listener(&b, &config->listens[i], &listeners[i]);
    snapshot->listeners = listeners;
    snapshot->listeners_count = config->listens_count;
    for (size_t i = 0; i < config->admin.count; i++)
        if (config->admin.shown[i].tls.is_on)
            (void)certificates_context(snapshot->certificates, &config->admin.shown[i], errors);
    bool is_good = (for_check || build_logs(&b)) && errors->errors == errors_before;
    if (is_good)
        return snapshot;
    config_errors_sort(errors);
    snapshot_free(snapshot);
    return NULL;
}

struct snapshot *snapshot_new(const struct config *config, unsigned workers,
                              const struct snapshot *previous, struct config_errors *errors)
{
    return build(config, workers, false, false, previous, errors);
}

struct snapshot *snapshot_to_look_at(const struct config *config, struct config_errors *errors)
{
    return build(config, 1, true, true, NULL, errors);
}

void snapshot_check(const struct config *config, bool without_files, bool without_names,
                    struct config_errors *errors)
{
    struct snapshot *snapshot = build(config, 1, true, without_files, NULL, errors);
    if (snapshot == NULL)
        return;
    if (!without_names)
        names_check(config, snapshot, errors);
    snapshot_free(snapshot);
}

/* What was made for a snapshot that is not to be. */
static void free_untaken(struct snapshot *snapshot, size_t index)
{
    const struct snapshot_upstream *from = &snapshot->upstreams_from[index];
    if (from->is_fresh)
        upstream_free(snapshot->upstreams[index]);
    for (size_t i = 0; i < from->config.servers_count && !from->is_fresh; i++)
        tls_client_free(from->config.servers[i].tls);
}

void snapshot_free(struct snapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->upstreams_count && !snapshot->is_taken; i++)
        free_untaken(snapshot, i);
    free(snapshot->upstreams);
    free(snapshot->upstreams_from);
    free(snapshot->views);
    free(snapshot->by_slot);
    access_log_free(snapshot->access_log);
    error_log_free(snapshot->error_log);
    snapshot_release_kept(snapshot);
    certificates_free(snapshot->certificates);
    arena_done(&snapshot->arena);
    free(snapshot);
}
