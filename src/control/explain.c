/* SPDX-License-Identifier: Apache-2.0 */
#include "control/explain.h"

#include "base/json.h"
#include "exchange/exchange.h"
#include "http/h1_parse.h"
#include "http/uri.h"

enum {
    PORT_CLEAR = 80,
    PORT_TLS = 443,
};

/* The request as a client would send it, so that the parser of real ones reads it. */
static struct slice write_head(const struct explain_question *question, const struct uri *uri,
                               struct arena *arena)
{
    struct buffer out = buffer_in(arena, 512);
    struct slice method = question->method.size == 0 ? SLICE("GET") : question->method;
    struct slice path = uri->path.size == 0 ? SLICE("/") : uri->path;
    bool has_host = false;
    buffer_format(&out, "%.*s %.*s%s%.*s HTTP/1.1\r\n", SLICE_ARG(method), SLICE_ARG(path),
                  uri->has_query ? "?" : "", SLICE_ARG(uri->query));
    for (size_t i = 0; i < question->fields_count; i++) {
        buffer_format(&out, "%.*s\r\n", SLICE_ARG(question->fields[i]));
        has_host = has_host || slice_starts_nocase(question->fields[i], SLICE("host:"));
    }
    if (!has_host && uri->port != 0)
        buffer_format(&out, "Host: %.*s:%u\r\n", SLICE_ARG(uri->host), uri->port);
    else if (!has_host)
        buffer_format(&out, "Host: %.*s\r\n", SLICE_ARG(uri->host));
    buffer_append(&out, SLICE("\r\n"));
    return buffer_slice(&out);
}

static const struct listener_config *choose_listener(const struct snapshot *snapshot,
                                                     const struct uri *uri, struct slice host)
{
    bool is_secure = slice_equal_nocase(uri->scheme, SLICE("https"));
    uint16_t port = uri->port != 0 ? uri->port : is_secure ? PORT_TLS : PORT_CLEAR;
    const struct listener_config *found = NULL;
    for (size_t i = 0; i < snapshot->listeners_count; i++) {
        const struct listener_config *listener = &snapshot->listeners[i];
        if (listener->sites.is_secure != is_secure)
            continue;
        if (address_port(&listener->address) == port)
            return listener;
        /* Without a port in the question: where that site is, whatever stands in front of it. */
        if (uri->port == 0 && (found == NULL || site_choose(&found->sites, host) == NULL))
            found = listener;
    }
    return found;
}

static const char *why_site(const struct listener_config *listener, const struct site *site,
                            struct slice host)
{
    if (listener->sites.any == site)
        return "any host";
    for (size_t i = 0; i < listener->sites.exact_size; i++)
        if (listener->sites.exact[i].site == site &&
            slice_equal(listener->sites.exact[i].host, host))
            return "exact host";
    return "wildcard";
}

static const char *why_route(const struct route *route)
{
    if (route->is_fallback)
        return "the site's own answer";
    return route->kind == ROUTE_EXACT    ? "exact path"
           : route->kind == ROUTE_PREFIX ? "longest prefix"
                                         : "regular expression";
}

/* Whether a route alone would be taken. */
static bool holds(const struct site *site, struct route route,
                  const struct route_question *question)
{
    struct site alone = *site;
    bool limit_hit = false;
    alone.routes = &route;
    alone.routes_count = 1;
    return route_choose(&alone, question, &limit_hit) != NULL;
}

static void find_others(struct explanation *e, const struct route_question *question,
                        struct arena *arena)
{
    const struct site *site = e->site;
    e->also = arena_alloc(arena, (site->routes_count + 1) * sizeof *e->also);
    e->unmet = arena_alloc(arena, (site->routes_count + 1) * sizeof *e->unmet);
    for (size_t i = 0; i < site->routes_count; i++) {
        const struct route *route = &site->routes[i];
        struct route unconditional = *route;
        unconditional.matches_count = 0;
        if (route == e->route)
            continue;
        if (holds(site, *route, question))
            e->also[e->also_count++] = route;
        else if (route->matches_count > 0 && holds(site, unconditional, question))
            e->unmet[e->unmet_count++] = route;
    }
}

static struct exchange *make_exchange(const struct explanation *e,
                                      const struct explain_question *asked, struct arena *arena)
{
    struct exchange *x = arena_zero(arena, sizeof *x);
    char ip[ADDRESS_TEXT_MAX];
    struct body_text *body = arena_alloc(arena, sizeof *body);
    bool has_body = e->head.framing != FRAMING_NONE;
    body_text_init(body, SLICE(""));
    body->body.length = e->head.framing == FRAMING_LENGTH ? (int64_t)e->head.length : -1;
    arena_init(&x->arena, NULL, 0);
    x->site = e->site;
    x->route = e->route;
    x->request.head = e->head;
    x->request.path = e->path;
    x->request.target = e->head.has_query ? arena_format(arena, "%.*s?%.*s", SLICE_ARG(e->path),
                                                         SLICE_ARG(e->head.query))
                                          : e->path;
    x->request.body = has_body ? &body->body : body_none();
    x->response.body = body_none();
    x->client = x->peer = &asked->client;
    x->client_ip = arena_copy(arena, address_format_ip(&asked->client, ip));
    x->scheme = e->listener->sites.is_secure ? SLICE("https") : SLICE("http");
    return x;
}

static void choose(struct explanation *e, const struct explain_question *asked, struct arena *arena)
{
    bool limit_hit = false;
    e->site = site_choose(&e->listener->sites, e->head.host);
    if (e->site == NULL) {
        e->refusal = REFUSAL_NO_SITE;
        return;
    }
    e->site_why = why_site(e->listener, e->site, e->head.host);
    if (e->head.path.size == 1 && e->head.path.data[0] == '*') {
        e->path = e->head.path;
    } else if (!uri_canonical_path(e->head.path, &e->site->path_rules, arena, &e->path)) {
        e->refusal = REFUSAL_PATH;
        return;
    }
    struct route_question question = {
        .path = e->path,
        .query = e->head.query,
        .method = e->head.method_text,
        .fields = &e->head.fields,
        .client = &asked->client,
    };
    e->route = route_choose(e->site, &question, &limit_hit);
    if (e->route == NULL) {
        e->refusal = REFUSAL_NO_ROUTE;
    } else {
        e->route_why = why_route(e->route);
        e->x = make_exchange(e, asked, arena);
    }
    find_others(e, &question, arena);
}

void explain(const struct snapshot *snapshot, const struct explain_question *question,
             struct arena *arena, struct explanation *e)
{
    struct uri uri;
    *e = (struct explanation){0};
    if (!uri_parse(question->url, &uri)) {
        e->trouble = "that is no whole URL: write http://host/path or https://host/path";
        return;
    }
    struct slice text = write_head(question, &uri, arena);
    char host[256];
    size_t host_size = uri.host.size < sizeof host ? uri.host.size : sizeof host;
    for (size_t i = 0; i < host_size; i++)
        host[i] = ascii_lower(uri.host.data[i]);
    e->listener = choose_listener(snapshot, &uri, slice_of(host, host_size));
    if (e->listener == NULL) {
        e->trouble = "no address of the configuration is for that scheme and port";
        return;
    }
    const struct limits *limits = &e->listener->limits;
    struct h1_limits h1_limits = {
        .line_size = (uint32_t)limits->request_line,
        .fields_size = (uint32_t)limits->fields_size,
        .fields_count = (uint32_t)limits->fields,
        .field_names = e->listener->field_names,
    };
    size_t consumed;
    fields_init(&e->head.fields, arena, NULL, 0);
    if (h1_parse_request((char *)(uintptr_t)text.data, text.size, &h1_limits, &e->head, &consumed,
                         &e->refusal) == PARSE_DONE)
        choose(e, question, arena);
}

static void write_route(struct buffer *out, const struct route *route, const char *why)
{
    buffer_append_byte(out, '{');
    json_field(out, "pattern", route->is_fallback ? SLICE("/*") : route->pattern);
    json_field(out, "at", route->at);
    if (why != NULL)
        json_field(out, "why", slice_from_cstring(why));
    buffer_append_byte(out, '}');
}

static void write_routes(struct buffer *out, const char *name, const struct route **routes,
                         size_t count)
{
    json_name(out, name);
    buffer_append_byte(out, '[');
    for (size_t i = 0; i < count; i++) {
        buffer_append(out, i > 0 ? SLICE(",") : SLICE(""));
        write_route(out, routes[i], NULL);
    }
    buffer_append_byte(out, ']');
}

static void write_steps(const struct explanation *e, struct buffer *out)
{
    const struct route *route = e->route;
    json_name(out, "steps");
    buffer_append_byte(out, '[');
    for (size_t i = 0; i < route->steps_count; i++) {
        buffer_append(out, i > 0 ? SLICE(",{") : SLICE("{"));
        json_field(out, "name", slice_from_cstring(route->steps[i].step->key->name));
        json_field(out, "at", route->steps[i].at);
        if (route->steps[i].step->explain != NULL) {
            struct buffer says = buffer_in(&e->x->arena, 256);
            route->steps[i].step->explain(e->x, route->steps[i].config, &says);
            json_field(out, "says", buffer_slice(&says));
        }
        buffer_append_byte(out, '}');
    }
    buffer_append_byte(out, ']');
}

void explain_write(const struct explanation *e, struct buffer *out)
{
    buffer_append_byte(out, '{');
    if (e->trouble != NULL)
        json_field(out, "trouble", slice_from_cstring(e->trouble));
    if (e->listener != NULL)
        json_field(out, "listener", e->listener->name);
    if (e->path.size > 0)
        json_field(out, "path", e->path);
    if (e->site != NULL) {
        json_name(out, "site");
        buffer_append_byte(out, '{');
        json_field(out, "name", e->site->name);
        json_field(out, "at", e->site->at);
        json_field(out, "why", slice_from_cstring(e->site_why));
        buffer_append_byte(out, '}');
    }
    if (e->refusal != REFUSAL_NONE) {
        json_field_int(out, "status", refusal_text(e->refusal)->status);
        json_field(out, "reason", slice_from_cstring(refusal_text(e->refusal)->reason));
    }
    if (e->route != NULL) {
        json_name(out, "route");
        write_route(out, e->route, e->route_why);
        write_steps(e, out);
        arena_done(&e->x->arena);
        arena_init(&e->x->arena, NULL, 0);
    }
    write_routes(out, "also", e->also, e->also_count);
    write_routes(out, "unmet", e->unmet, e->unmet_count);
    buffer_append(out, SLICE("}\n"));
}
