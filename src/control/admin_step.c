/* SPDX-License-Identifier: Apache-2.0 */
/* Which function answers what, and what is asked of a request before it is called. */
#include "base/check.h"
#include "control/admin_inside.h"

enum takes {
    TAKES_NOTHING,
    TAKES_JSON,
    TAKES_CONFIG, /* text or JSON */
    TAKES_PATCH,  /* a merge patch or operations */
};

struct endpoint {
    enum method method;
    const char *path; /* ":" stands for any segment */
    admin_endpoint *answer;
    enum takes takes;
    bool is_change;
    const char *parameters; /* that it knows, with a comma behind each */
};

static const struct endpoint ENDPOINTS[] = {
    {METHOD_GET, "/healthz", admin_get_health, TAKES_NOTHING, false, ""},
    {METHOD_GET, "/readyz", admin_get_ready, TAKES_NOTHING, false, "upstream,"},
    {METHOD_GET, "/metrics", admin_get_metrics, TAKES_NOTHING, false, ""},
    {METHOD_GET, "/v1/status", admin_get_status, TAKES_NOTHING, false, ""},
    {METHOD_GET, "/v1/config", admin_get_config, TAKES_NOTHING, false, ""},
    {METHOD_PUT, "/v1/config", admin_put_config, TAKES_CONFIG, true,
     "dry_run,ephemeral,rollback_after,rollback_errors,rollback_down,"},
    {METHOD_PATCH, "/v1/config", admin_patch_config, TAKES_PATCH, true,
     "dry_run,ephemeral,rollback_after,rollback_errors,rollback_down,"},
    {METHOD_POST, "/v1/config/check", admin_check_config, TAKES_CONFIG, false, ""},
    {METHOD_GET, "/v1/explain", admin_get_explain, TAKES_NOTHING, false,
     "method,url,client,field,"},
    {METHOD_POST, "/v1/config/confirm", admin_confirm_config, TAKES_NOTHING, true, ""},
    {METHOD_POST, "/v1/config/rollback", admin_rollback_config, TAKES_JSON, true,
     "dry_run,rollback_after,rollback_errors,rollback_down,"},
    {METHOD_GET, "/v1/config/versions", admin_get_versions, TAKES_NOTHING, false, ""},
    {METHOD_GET, "/v1/config/versions/:", admin_get_version, TAKES_NOTHING, false, ""},
    {METHOD_GET, "/v1/config/diff", admin_get_diff, TAKES_NOTHING, false, "from,to,"},
    {METHOD_GET, "/v1/config/drift", admin_get_drift, TAKES_NOTHING, false, ""},
    {METHOD_POST, "/v1/reload", admin_reload, TAKES_NOTHING, true,
     "dry_run,wait,rollback_after,rollback_errors,rollback_down,"},
    {METHOD_GET, "/v1/schema", admin_get_schema, TAKES_NOTHING, false, ""},
    {METHOD_GET, "/v1/upstreams", admin_get_upstreams, TAKES_NOTHING, false, ""},
    {METHOD_GET, "/v1/upstreams/:", admin_get_upstream, TAKES_NOTHING, false, ""},
    {METHOD_POST, "/v1/upstreams/:/servers", admin_add_server, TAKES_JSON, true, ""},
    {METHOD_GET, "/v1/upstreams/:/servers/:", admin_get_server, TAKES_NOTHING, false, ""},
    {METHOD_PATCH, "/v1/upstreams/:/servers/:", admin_change_server, TAKES_JSON, true, ""},
    {METHOD_DELETE, "/v1/upstreams/:/servers/:", admin_remove_server, TAKES_NOTHING, true,
     "drain,persist,"},
    {METHOD_GET, "/v1/operations/:", admin_get_operation, TAKES_NOTHING, false, "wait,"},
    {METHOD_GET, "/v1/overrides", admin_get_overrides, TAKES_NOTHING, false, "as_config,"},
    {METHOD_GET, "/v1/overrides/:", admin_get_override, TAKES_NOTHING, false, ""},
    {METHOD_DELETE, "/v1/overrides/:", admin_remove_override, TAKES_NOTHING, true, ""},
    {METHOD_GET, "/v1/caches", admin_get_caches, TAKES_NOTHING, false, ""},
    {METHOD_POST, "/v1/caches/:/purge", admin_purge_cache, TAKES_JSON, true, ""},
    {METHOD_GET, "/v1/certs", admin_get_certs, TAKES_NOTHING, false, ""},
    {METHOD_POST, "/v1/certs/:/renew", admin_renew_cert, TAKES_NOTHING, true, ""},
    {METHOD_GET, "/v1/connections", admin_get_connections, TAKES_NOTHING, false,
     "site,client,slow,limit,after,"},
    {METHOD_DELETE, "/v1/connections/:", admin_end_connection, TAKES_NOTHING, true, ""},
    {METHOD_GET, "/v1/sites", admin_get_sites, TAKES_NOTHING, false, ""},
    {METHOD_GET, "/v1/routes", admin_get_routes, TAKES_NOTHING, false, ""},
    {METHOD_GET, "/v1/log", admin_stream_log, TAKES_NOTHING, false,
     "status,slow,failed,site,events,level,recent,follow,"},
    {METHOD_GET, "/v1/events", admin_stream_events, TAKES_NOTHING, false, "level,recent,follow,"},
    {METHOD_GET, "/v1/log/level", admin_get_level, TAKES_NOTHING, false, ""},
    {METHOD_PUT, "/v1/log/level", admin_set_level, TAKES_JSON, true, ""},
    {METHOD_POST, "/v1/log/reopen", admin_reopen_logs, TAKES_NOTHING, true, ""},
    {METHOD_POST, "/v1/shutdown", admin_shut_down, TAKES_NOTHING, true, ""},
};

static bool split_path(struct admin_request *r)
{
    struct slice rest = slice_from(r->x->request.path, 1);
    while (rest.size > 0) {
        size_t end = slice_find(rest, '/');
        if (r->parts_count == ADMIN_PARTS_MAX ||
            !admin_decode(slice_first(rest, end), r->arena, &r->parts[r->parts_count++]))
            return false;
        rest = slice_from(rest, end + 1);
    }
    return true;
}

static bool has_path(const struct admin_request *r, const char *path)
{
    struct slice rest = slice_from_cstring(path + 1);
    size_t i = 0;
    for (; rest.size > 0 && i < r->parts_count; i++) {
        size_t end = slice_find(rest, '/');
        struct slice part = slice_first(rest, end);
        if (!slice_equal(part, SLICE(":")) && !slice_equal(part, r->parts[i]))
            return false;
        rest = slice_from(rest, end + 1);
    }
    return rest.size == 0 && i == r->parts_count;
}

static const struct endpoint *find(struct admin_request *r)
{
    enum method method = r->x->request.head.method;
    struct buffer allowed = buffer_in(r->arena, 64);
    if (method == METHOD_HEAD)
        method = METHOD_GET;
    for (size_t i = 0; i < sizeof ENDPOINTS / sizeof *ENDPOINTS; i++) {
        const struct endpoint *endpoint = &ENDPOINTS[i];
        if (!has_path(r, endpoint->path))
            continue;
        if (endpoint->method == method)
            return endpoint;
        buffer_format(&allowed, "%s%.*s", allowed.size > 0 ? ", " : "",
                      SLICE_ARG(method_name(endpoint->method)));
    }
    if (allowed.size == 0) {
        admin_problem(r, 404, "not-found", "There is no such thing here", r->x->request.path);
        return NULL;
    }
    admin_problem(r, 405, "method", "This cannot be done here", SLICE(""));
    fields_add(&r->x->response.fields, FIELD_ALLOW, buffer_slice(&allowed));
    return NULL;
}

/* A misspelt ?dry_run must not be passed over. */
static bool knows_parameters(struct admin_request *r, const struct endpoint *endpoint)
{
    struct slice rest = r->x->request.head.query;
    while (rest.size > 0) {
        size_t end = slice_find(rest, '&');
        struct slice pair = slice_first(rest, end);
        struct slice name = slice_first(pair, slice_find(pair, '='));
        struct slice known = slice_from_cstring(endpoint->parameters);
        bool is_known = name.size == 0 && pair.size == 0;
        while (known.size > 0 && !is_known) {
            size_t comma = slice_find(known, ',');
            is_known = slice_equal(slice_first(known, comma), name);
            known = slice_from(known, comma + 1);
        }
        if (!is_known) {
            admin_problem(r, 400, "parameter", "A parameter that is not known here", name);
            return false;
        }
        rest = slice_from(rest, end + 1);
    }
    return true;
}

static bool is_type(struct slice type, const char *wanted)
{
    struct slice name = slice_trim(slice_first(type, slice_find(type, ';')));
    return slice_equal_nocase(name, slice_from_cstring(wanted));
}

/* Forms in foreign pages can post texts of some types, but no JSON. */
static bool has_type(struct admin_request *r, enum takes takes)
{
    const struct field *field = fields_find(&r->x->request.head.fields, FIELD_CONTENT_TYPE);
    struct slice type = field == NULL ? SLICE("") : field->value;
    r->is_json = is_type(type, "application/json");
    if (takes == TAKES_PATCH) {
        r->is_merge = is_type(type, "application/merge-patch+json");
        r->is_json = r->is_merge || is_type(type, "application/json-patch+json");
        if (!r->is_json)
            admin_problem(r, 415, "type", "The body is of another type",
                          SLICE("Content-Type: application/merge-patch+json or "
                                "application/json-patch+json"));
        return r->is_json;
    }
    if (r->is_json || (takes == TAKES_CONFIG && is_type(type, "text/weir")))
        return true;
    admin_problem(r, 415, "type", "The body is of another type",
                  takes == TAKES_CONFIG ? SLICE("Content-Type: text/weir or application/json")
                                        : SLICE("Content-Type: application/json"));
    return false;
}

/* The whole body; what does not come is the client's fault and ends the exchange. */
static enum verdict read_body(struct admin_request *r, size_t most)
{
    struct body *body = r->x->request.body;
    struct buffer whole =
        buffer_in(r->arena, body->length > 0 && body->length < 65536 ? (size_t)body->length : 4096);
    for (;;) {
        struct slice chunk;
        enum status status = body->read(body, &chunk, r->x->deadline);
        if (status == ERR_LIMIT || (status == OK && whole.size + chunk.size > most)) {
            admin_problem(r, 413, "too-large", "The body is too large",
                          arena_format(r->arena, "at most %zu bytes", most));
            return ANSWERED;
        }
        if (status != OK)
            return exchange_blame(r->x, status, SIDE_CLIENT, status == ERR_TIMEOUT ? 408 : 400,
                                  "http_request_error", "the request's body ended too early");
        if (chunk.size == 0)
            break;
        buffer_append(&whole, chunk);
    }
    r->body = buffer_slice(&whole);
    return NEXT;
}

static enum verdict on_request(struct exchange *x, const void *config)
{
    struct admin_request r = {.x = x, .arena = &x->arena, .actor = SLICE("nobody")};
    const struct admin_policy *policy = admin_policy_of(x);
    (void)config;
    fields_add(&x->response.fields, FIELD_CACHE_CONTROL, SLICE("no-store"));
    if (policy == NULL || !split_path(&r)) {
        admin_problem(&r, 404, "not-found", "There is no such thing here", SLICE(""));
        return ANSWERED;
    }
    bool is_change = !method_is_safe(x->request.head.method);
    const struct endpoint *endpoint = find(&r);
    if (endpoint != NULL)
        is_change = endpoint->is_change;
    /* Who may not ask is not told what there is. */
    if (!admin_may(&r, policy, is_change) || endpoint == NULL)
        return ANSWERED;
    if (!knows_parameters(&r, endpoint) ||
        (endpoint->takes != TAKES_NOTHING && !has_type(&r, endpoint->takes)))
        return ANSWERED;
    size_t most = endpoint->takes >= TAKES_CONFIG ? ADMIN_CONFIG_MAX
                  : endpoint->takes == TAKES_JSON ? ADMIN_JSON_MAX
                                                  : 0;
    enum verdict verdict = read_body(&r, most);
    if (verdict != NEXT)
        return verdict;
    endpoint->answer(&r);
    check(x->response.status != 0);
    return ANSWERED;
}

static void on_finish(struct exchange *x, const void *config)
{
    (void)config;
    admin_end_stream(x);
}

static const struct key key_admin_step = {.name = "admin", .doc = "The admin API."};

const struct step step_admin = {
    .key = &key_admin_step, .on_request = on_request, .on_finish = on_finish};
