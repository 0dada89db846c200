/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/cgi.h"

#include "base/clock.h"
#include "base/log.h"
#include "exchange/exchange.h"
#include "exchange/file_site.h"
#include "exchange/spool.h"
#include "exchange/variable.h"
#include "fiber/loop.h"
#include "http/chars.h"
#include "steps/param.h"
#include "steps/proxy_affinity.h"
#include "steps/retry.h"

enum {
    BODY_KEPT = 64 * 1024, /* of one without a length, in memory */
};

enum status cgi_prepare(struct cgi_config *c, struct prepare *p, enum upstream_http http)
{
    c->http = http;
    c->params = p->inner;
    c->params_count = p->inner_count;
    bool is_good = retry_prepare(&c->retry_on, &c->retry, p);
    is_good = accel_prepare(&c->accel, p) && is_good;
    c->upstream = p->find_upstream(p, c->to);
    return c->upstream != NULL && is_good ? OK : ERR_CONFIG;
}

/* What no program is told under the name that the client gave it: what is said by another
 * parameter, is of one hop, says who the client is (REMOTE_ADDR does), or would be taken for a
 * variable that programs trust (HTTP_PROXY). */
static bool is_left_out(struct slice name, bool is_trusted)
{
    static const struct slice NEVER[] = {
        {"HTTP_PROXY", 10},
        {"HTTP_HOST", 9},
        {"HTTP_CONTENT_LENGTH", 19},
        {"HTTP_CONTENT_TYPE", 17},
        {"HTTP_CONNECTION", 15},
        {"HTTP_KEEP_ALIVE", 15},
        {"HTTP_PROXY_CONNECTION", 21},
        {"HTTP_PROXY_AUTHORIZATION", 24},
        {"HTTP_TE", 7},
        {"HTTP_TRAILER", 12},
        {"HTTP_TRANSFER_ENCODING", 22},
        {"HTTP_UPGRADE", 12},
        {"HTTP_HTTP2_SETTINGS", 19},
        {"HTTP_EXPECT", 11},
    };
    static const struct slice OF_TRUSTED[] = {
        {"HTTP_X_FORWARDED_FOR", 20}, {"HTTP_X_FORWARDED_PROTO", 22}, {"HTTP_X_FORWARDED_HOST", 21},
        {"HTTP_X_REAL_IP", 14},       {"HTTP_FORWARDED", 14},
    };
    for (size_t i = 0; i < sizeof NEVER / sizeof *NEVER; i++)
        if (slice_equal(name, NEVER[i]))
            return true;
    for (size_t i = 0; i < sizeof OF_TRUSTED / sizeof *OF_TRUSTED && !is_trusted; i++)
        if (slice_equal(name, OF_TRUSTED[i]))
            return true;
    return false;
}

static struct slice id_parameter(struct exchange *x)
{
    return x->id_name.size == 0 ? SLICE("HTTP_X_REQUEST_ID")
                                : cgi_field_name(x->id_name, &x->arena);
}

/* Fields of one name become one parameter; two names that become the same one are told apart by no
 * program. */
static bool add_field(struct exchange *x, struct cgi_parameters *list, size_t first, uint32_t index)
{
    const struct fields *fields = &x->request.head.fields;
    const struct field *field = &fields->items[index];
    struct slice name = cgi_field_name(field->name, &x->arena);
    if (is_left_out(name, x->client_trusted) || slice_equal(name, id_parameter(x)))
        return true;
    for (size_t i = first; i < list->count; i++) {
        if (!slice_equal(list->items[i].name, name))
            continue;
        for (uint32_t other = 0; other < index; other++)
            if (!slice_equal_nocase(fields->items[other].name, field->name) &&
                slice_equal(cgi_field_name(fields->items[other].name, &x->arena), name))
                return false;
        const char *between = field->id == FIELD_COOKIE ? "; " : ", ";
        list->items[i].value =
            arena_format(&x->arena, "%.*s%s%.*s", SLICE_ARG(list->items[i].value), between,
                         SLICE_ARG(field->value));
        return true;
    }
    cgi_add(list, name, field->value);
    return true;
}

static bool add_fields(struct exchange *x, struct cgi_parameters *list)
{
    const struct fields *fields = &x->request.head.fields;
    size_t first = list->count;
    cgi_add(list, SLICE("HTTP_HOST"), exchange_client_host(x));
    cgi_add(list, id_parameter(x), x->request_id);
    for (uint32_t i = 0; i < fields->count; i++)
        if (!add_field(x, list, first, i))
            return false;
    return true;
}

static struct slice number(struct exchange *x, uint64_t value)
{
    return arena_format(&x->arena, "%llu", (unsigned long long)value);
}

static void add_server(struct exchange *x, struct cgi_parameters *list)
{
    const struct request_head *head = &x->request.head;
    struct address local = {0};
    char text[ADDRESS_TEXT_MAX];
    if (x->introduction == NULL && x->sink->local_address != NULL)
        x->sink->local_address(x, &local);
    bool has_address = local.size > 0 && local.any.sa_family != AF_UNIX;
    struct slice standard = slice_equal(x->scheme, SLICE("https")) ? SLICE("443") : SLICE("80");
    cgi_add(list, SLICE("SERVER_NAME"), head->host.size > 0 ? head->host : x->site->name);
    cgi_add(list, SLICE("SERVER_ADDR"),
            has_address ? arena_copy(&x->arena, address_format_ip(&local, text)) : SLICE(""));
    cgi_add(list, SLICE("SERVER_PORT"), has_address ? number(x, address_port(&local)) : standard);
    cgi_add(list, SLICE("SERVER_SOFTWARE"), SLICE("weir"));
    cgi_add(list, SLICE("SERVER_PROTOCOL"),
            head->major == 2   ? SLICE("HTTP/2.0")
            : head->minor == 0 ? SLICE("HTTP/1.0")
                               : SLICE("HTTP/1.1"));
    cgi_add(list, SLICE("GATEWAY_INTERFACE"), SLICE("CGI/1.1"));
    cgi_add(list, SLICE("REDIRECT_STATUS"), SLICE("200")); /* PHP may insist on it */
}

/* Who is asking: what weir knows itself, or was told by a proxy that is trusted. */
static void add_client(struct exchange *x, struct cgi_parameters *list)
{
    const struct fields *fields = &x->request.head.fields;
    struct slice scheme = x->told_proto.size > 0 ? x->told_proto : x->scheme;
    const struct field *said = fields_find(fields, FIELD_X_FORWARDED_PROTO);
    if (x->client_trusted && x->client_header == CLIENT_HEADER_X_FORWARDED_FOR && said != NULL)
        scheme = said->value;
    bool is_secure = slice_equal_nocase(scheme, SLICE("https"));
    cgi_add(list, SLICE("REQUEST_SCHEME"), is_secure ? SLICE("https") : SLICE("http"));
    if (is_secure)
        cgi_add(list, SLICE("HTTPS"), SLICE("on"));
    cgi_add(list, SLICE("REMOTE_ADDR"), x->client_ip);
    bool has_port = x->client != NULL && x->client->size > 0 &&
                    x->client->any.sa_family != AF_UNIX && address_port(x->client) > 0;
    cgi_add(list, SLICE("REMOTE_PORT"), has_port ? number(x, address_port(x->client)) : SLICE(""));
    if (x->user.size == 0)
        return;
    const struct field *authorization = fields_find(fields, FIELD_AUTHORIZATION);
    cgi_add(list, SLICE("REMOTE_USER"), x->user);
    if (authorization != NULL)
        cgi_add(list, SLICE("AUTH_TYPE"),
                slice_first(authorization->value, slice_find(authorization->value, ' ')));
}

struct cgi_parameters *cgi_describe(struct exchange *x)
{
    const struct request_head *head = &x->request.head;
    struct cgi_parameters *list = arena_zero(&x->arena, sizeof *list);
    struct slice target = x->request.target;
    struct slice type = fields_joined(&head->fields, SLICE("Content-Type"), &x->arena);
    list->arena = &x->arena;
    cgi_add(list, SLICE("QUERY_STRING"), slice_from(target, slice_find(target, '?') + 1));
    cgi_add(list, SLICE("REQUEST_METHOD"), head->method_text);
    /* The path by which access was granted, also when a rewrite has made another of it. */
    cgi_add(list, SLICE("REQUEST_URI"),
            head->has_query ? arena_format(&x->arena, "%.*s?%.*s", SLICE_ARG(x->request.path),
                                           SLICE_ARG(head->query))
                            : x->request.path);
    if (type.size > 0)
        cgi_add(list, SLICE("CONTENT_TYPE"), type);
    add_server(x, list);
    add_client(x, list);
    if (!add_fields(x, list)) {
        exchange_refuse(x, REFUSAL_FIELD_NAME_POLICY);
        return NULL;
    }
    return list;
}

static struct slice decoded(struct slice path, struct arena *arena)
{
    if (slice_find(path, '%') == path.size)
        return path;
    struct buffer out = buffer_in(arena, path.size);
    for (size_t i = 0; i < path.size; i++) {
        bool is_escape = path.data[i] == '%' && i + 2 < path.size;
        char byte = path.data[i];
        if (is_escape)
            byte = (char)(chars_hex(path.data[i + 1]) << 4 | chars_hex(path.data[i + 2]));
        buffer_append_byte(&out, byte);
        i += is_escape ? 2 : 0;
    }
    return buffer_slice(&out);
}

struct slice cgi_script_name(struct exchange *x, struct slice name)
{
    struct slice mount = decoded(x->request.mount, &x->arena);
    if (mount.size == 0)
        return name;
    return arena_format(&x->arena, "%.*s%.*s", SLICE_ARG(mount), SLICE_ARG(name));
}

void cgi_add_path(struct exchange *x, struct cgi_parameters *parameters)
{
    struct slice path;
    if (!file_site_path(x, &path)) /* OPTIONS *, or what a rewrite made */
        path = SLICE("");
    path = decoded(path, &x->arena);
    struct slice name = cgi_script_name(x, SLICE(""));
    cgi_add(parameters, SLICE("SCRIPT_NAME"), name);
    cgi_add(parameters, SLICE("PATH_INFO"), path);
    cgi_add(parameters, SLICE("DOCUMENT_URI"),
            name.size == 0 ? path
                           : arena_format(&x->arena, "%.*s%.*s", SLICE_ARG(name), SLICE_ARG(path)));
}

/* What a program says beside its answer, in the error log. */
static void on_stderr(void *argument, struct slice text)
{
    struct exchange *x = argument;
    struct log_about about = exchange_about(x);
    while (text.size > 0) {
        size_t end = slice_find(text, '\n');
        struct slice line = slice_trim(slice_first(text, end));
        if (line.size > 0 && line.data[line.size - 1] == '\r')
            line.size--;
        text = slice_from(text, end + 1);
        if (line.size > 0)
            log_about(LOG_WARN, "cgi_stderr", &about, "%.*s: request %.*s %.*s: %.*s",
                      SLICE_ARG(x->route->at), SLICE_ARG(x->request_id), SLICE_ARG(x->request.path),
                      SLICE_ARG(line));
    }
}

static void note_facts(struct exchange *x, const struct upstream_call *call)
{
    x->upstream = (struct upstream_facts){
        .upstream = upstream_name(call->upstream),
        .server = arena_copy(&x->arena, call->server_name), /* it may go before we do */
        .server_state = call->server_state,
        .status = call->body != NULL ? call->head.status : 0,
        .tries = call->tries,
        .connect = call->connect_time,
        .first_byte = call->first_byte_time,
    };
}

static void build_call(struct exchange *x, const struct cgi_config *c,
                       struct cgi_parameters *parameters, struct upstream_call *call)
{
    const struct request_head *head = &x->request.head;
    for (size_t i = 0; i < c->params_count; i++)
        param_set(c->params[i].config, x, parameters);
    call->arena = &x->arena;
    call->upstream = c->upstream;
    call->policy = (struct upstream_policy){
        .connect_timeout = c->connect_timeout,
        .first_byte_timeout = c->first_byte_timeout,
        .idle_timeout = c->idle_timeout,
        .tries = (int)c->tries,
        .http = c->http,
        .retry = &c->retry,
        .kept_body = c->retry_body,
    };
    call->request = (struct upstream_request){
        .method_text = head->method_text,
        .method = head->method,
        .target = x->request.target,
        .fields = &head->fields,
        .body = x->request.body,
        .parameters = parameters,
        .client = x->client,
        .on_stderr = on_stderr,
        .argument = x,
    };
    proxy_affinity_ask(x, call);
}

static void pass_on(struct exchange *x, struct upstream_call *call)
{
    struct response *response = &x->response;
    const struct field *length = fields_find(&call->head.fields, FIELD_CONTENT_LENGTH);
    response->status = call->head.status;
    response->fields = call->head.fields;
    response->body = call->body;
    response->is_ours = false;
    response->has_length =
        length != NULL && call->head.framing == FRAMING_NONE && call->head.status != 204;
    response->length = call->head.length;
    exchange_set_id(x, &response->fields);
    proxy_affinity_answer(x, call);
}

/* A program is told how much will come. */
static enum status know_length(struct exchange *x, const struct cgi_config *c,
                               struct cgi_parameters *parameters)
{
    if (x->request.body->length < 0)
        TRY(spool_body(x, BODY_KEPT, c->buffer_body));
    if (x->request.body->length > 0 || x->request.head.framing != FRAMING_NONE)
        cgi_add(parameters, SLICE("CONTENT_LENGTH"), number(x, (uint64_t)x->request.body->length));
    return OK;
}

/* The answer was one for weir: what is left of it is of no use, and the connection may be. */
static void drop_answer(struct exchange *x, const void *config, struct upstream_call *call)
{
    struct slice chunk = {0};
    while (call->body->is_ready(call->body) &&
           call->body->read(call->body, &chunk, x->deadline) == OK && chunk.size > 0)
        continue;
    exchange_keep_state(x, config, NULL);
    upstream_call_end(call);
}

enum verdict cgi_ask(struct exchange *x, const void *config, const struct cgi_config *c,
                     struct cgi_parameters *parameters)
{
    if (c->timeout != CLOCK_NEVER && x->started + c->timeout < x->deadline)
        x->deadline = x->started + c->timeout;
    if (know_length(x, c, parameters) != OK)
        return FAILED;
    struct upstream_call *call = arena_zero(&x->arena, sizeof *call);
    build_call(x, c, parameters, call);
    exchange_keep_state(x, config, call);
    enum status status = upstream_call(call, x->deadline);
    note_facts(x, call);
    if (status == ERR_CANCELLED)
        return exchange_blame(x, status, SIDE_CLIENT, 0, "", "client_closed");
    if (status != OK)
        return exchange_blame(x, status, SIDE_UPSTREAM, call->answer, call->error, call->why);
    if (accel_applies(&c->accel, &call->head.fields)) {
        struct accel_answer answer = accel_take(x, &call->head.fields);
        drop_answer(x, config, call);
        return accel_follow(x, &c->accel, &answer);
    }
    pass_on(x, call);
    return ANSWERED;
}

void cgi_finish(struct exchange *x, const void *config)
{
    struct upstream_call *call = exchange_state(x, config);
    if (call == NULL)
        return;
    struct log_about about = exchange_about(x);
    if (call->exit_status != 0)
        log_about(LOG_WARN, "cgi_exit", &about,
                  "%.*s: request %.*s %.*s: the program exited with %u", SLICE_ARG(x->route->at),
                  SLICE_ARG(x->request_id), SLICE_ARG(x->request.path), call->exit_status);
    upstream_call_end(call);
}
