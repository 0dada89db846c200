/* SPDX-License-Identifier: Apache-2.0 */
/* forward_auth UPSTREAM path=/verify: another service says who may pass. It sees the head of the
 * request; its yes lets the request on, with fields of its own; its no is the client's answer. When
 * it says neither nobody passes. */
#include "base/clock.h"
#include "exchange/variable.h"
#include "fiber/thread.h"
#include "http/uri.h"
#include "steps/auth.h"
#include "upstream/call.h"

enum {
    CONNECT_TIMEOUT_S = 3,
    BODY_MAX = 64 * 1024, /* of a yes, read so that the connection can be used again */
};

struct forward_auth_config {
    struct slice to;
    struct slice path;
    struct slice_list copy;
    struct slice user;
    int64_t timeout;
    struct upstream *upstream;
    const struct template *path_template;
};

static const struct option ARGUMENTS[] = {
    {.name = "to",
     .type = OPTION_UPSTREAM,
     .flags = OPTION_REQUIRED,
     .offset = offsetof(struct forward_auth_config, to),
     .doc = "The name of an upstream, or one server: host:port, http://host:port, unix:/path."},
    {0},
};

static const struct option OPTIONS[] = {
    {.name = "path",
     .type = OPTION_TEMPLATE,
     .standard = "/",
     .offset = offsetof(struct forward_auth_config, path),
     .doc = "What is asked for there; always with GET and without a body."},
    {.name = "copy",
     .type = OPTION_FIELD,
     .flags = OPTION_MANY,
     .offset = offsetof(struct forward_auth_config, copy),
     .doc = "Fields of its yes that the servers are told; clients cannot set them on any site."},
    {.name = "user",
     .type = OPTION_FIELD,
     .standard = "Remote-User",
     .offset = offsetof(struct forward_auth_config, user),
     .doc = "The field of its yes that {user} is made of."},
    {.name = "timeout",
     .type = OPTION_DURATION,
     .standard = "5s",
     .min = MILLISECONDS(1),
     .max = SECONDS(300),
     .offset = offsetof(struct forward_auth_config, timeout),
     .doc = "How long it may take, its answer included."},
    {0},
};

static const struct key key_forward_auth = {
    .name = "forward_auth",
    .contexts = IN_SITE | IN_ROUTE | IN_DEFAULTS,
    .flags = KEY_STEP | KEY_ONE | KEY_OFF,
    .arguments = ARGUMENTS,
    .options = OPTIONS,
    .config_size = sizeof(struct forward_auth_config),
    .doc =
        "Asks another service whether a request may pass: 2xx is yes; 3xx and 4xx are no, and go "
        "to the client as they are; anything else is 502, 503 or 504. It is told the request's "
        "fields and X-Forwarded-Method, -Proto, -Host, -Uri and -For.",
    .example = "forward_auth 127.0.0.1:9091 path=/api/verify copy=Remote-User,Remote-Groups",
    .since = "0.1",
};

static enum status prepare(void *config, struct prepare *p)
{
    struct forward_auth_config *c = config;
    if (c->path.size == 0 || c->path.data[0] != '/') {
        p->error(p, "path", "a path starts with /");
        return ERR_CONFIG;
    }
    c->upstream = p->find_upstream(p, c->to);
    c->path_template = p->compile_template(p, "path", c->path);
    for (size_t i = 0; i < c->copy.count; i++)
        TRY(auth_guard_field(p, "copy", c->copy.items[i]));
    return c->upstream != NULL && c->path_template != NULL ? OK : ERR_CONFIG;
}

/* What belongs to the request's body, its connection or to a copy that the client has. */
static bool is_left_out(struct slice name)
{
    static const struct slice NAMES[] = {
        {"Content-Length", 14},
        {"Transfer-Encoding", 17},
        {"Content-Encoding", 16},
        {"Content-Type", 12},
        {"Expect", 6},
        {"Upgrade", 7},
        {"Range", 5},
        {"If-Range", 8},
        {"If-Match", 8},
        {"If-None-Match", 13},
        {"If-Modified-Since", 17},
        {"If-Unmodified-Since", 19},
        {"X-Forwarded-Method", 18},
        {"X-Forwarded-Uri", 15},
        {"X-Original-URL", 14},
        {"X-Original-Method", 17},
        {"HTTP2-Settings", 14},
        {"Trailer", 7},
    };
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        if (slice_equal_nocase(name, NAMES[i]))
            return true;
    return false;
}

static void set_unless_trusted(struct exchange *x, struct fields *fields, enum field_id id,
                               struct slice value)
{
    if (!x->client_trusted || fields_find(fields, id) == NULL)
        fields_set_checked(fields, id, value);
}

static struct fields *fields_for(struct exchange *x)
{
    const struct fields *from = &x->request.head.fields;
    struct fields *fields = arena_zero(&x->arena, sizeof *fields);
    fields_init(fields, &x->arena, NULL, 0);
    for (uint32_t i = 0; i < from->count; i++)
        if (!is_left_out(from->items[i].name))
            fields_append_checked(fields, (enum field_id)from->items[i].id, from->items[i].name,
                                  from->items[i].value);
    if (!x->client_trusted)
        fields_remove(fields, FIELD_FORWARDED);
    set_unless_trusted(x, fields, FIELD_X_FORWARDED_PROTO, x->scheme);
    set_unless_trusted(x, fields, FIELD_X_FORWARDED_HOST, exchange_client_host(x));
    fields_set_checked(fields, FIELD_X_FORWARDED_FOR, x->client_ip);
    fields_set_checked(fields, FIELD_X_REAL_IP, x->client_ip);
    exchange_set_id(x, fields);
    fields_set_named(fields, SLICE("X-Forwarded-Method"), x->request.head.method_text);
    fields_set_named(fields, SLICE("X-Forwarded-Uri"), variable_value(x, SLICE("uri")));
    return fields;
}

static void build_call(struct exchange *x, const struct forward_auth_config *c,
                       struct upstream_call *call)
{
    static const struct upstream_retry RETRY = {.connect = true, .reset = true};
    call->arena = &x->arena;
    call->upstream = c->upstream;
    call->policy = (struct upstream_policy){
        .connect_timeout = SECONDS(CONNECT_TIMEOUT_S),
        .first_byte_timeout = c->timeout,
        .idle_timeout = c->timeout,
        .tries = 2,
        .retry = &RETRY,
        .http = UPSTREAM_HTTP_INHERITED,
    };
    call->request = (struct upstream_request){
        .method_text = SLICE("GET"),
        .method = METHOD_GET,
        .target = uri_encode(template_expand(c->path_template, x), &x->arena),
        .fields = fields_for(x),
        .body = body_none(),
    };
}

/* A yes: what it says of the client becomes the request's, whose own word does not count. */
static void let_in(struct exchange *x, const struct forward_auth_config *c,
                   const struct upstream_call *call)
{
    struct fields *fields = &x->request.head.fields;
    for (size_t i = 0; i < c->copy.count; i++) {
        struct slice name = c->copy.items[i];
        struct slice value = fields_joined(&call->head.fields, name, &x->arena);
        fields_remove_named(fields, name);
        if (value.size > 0)
            fields_add_named(fields, name, arena_copy(&x->arena, value));
    }
    struct slice user = fields_joined(&call->head.fields, c->user, &x->arena);
    if (user.size > 0)
        x->user = arena_copy(&x->arena, user);
}

static void read_rest(struct upstream_call *call, int64_t deadline)
{
    struct slice chunk = {0};
    size_t size = 0;
    do {
        if (call->body->read(call->body, &chunk, deadline) != OK)
            return;
        size += chunk.size;
    } while (chunk.size > 0 && size <= BODY_MAX);
}

static enum verdict pass_on(struct exchange *x, const struct upstream_call *call)
{
    struct response *response = &x->response;
    x->refused_by = key_forward_auth.name;
    response->status = call->head.status;
    response->fields = call->head.fields;
    response->body = call->body;
    response->is_ours = false;
    response->has_length = false;
    exchange_set_id(x, &response->fields);
    return ANSWERED;
}

static enum verdict on_request(struct exchange *x, const void *config)
{
    const struct forward_auth_config *c = config;
    struct upstream_call *call = arena_zero(&x->arena, sizeof *call);
    int64_t deadline = loop_now() + c->timeout;
    deadline = deadline < x->deadline ? deadline : x->deadline;
    build_call(x, c, call);
    exchange_keep_state(x, config, call);
    enum status status = upstream_call(call, deadline);
    if (status == ERR_CANCELLED)
        return exchange_blame(x, status, SIDE_CLIENT, 0, "", "client_closed");
    if (status != OK || call->head.status >= 500 || call->head.status < 200) {
        x->refused_by = key_forward_auth.name;
        return exchange_blame(x, status == OK ? ERR_UNREACHABLE : status, SIDE_UPSTREAM,
                              status == OK || call->answer == 0 ? 502 : call->answer,
                              status == OK ? "http_response_incomplete" : call->error,
                              status == OK ? "the service of forward_auth failed" : call->why);
    }
    if (call->head.status >= 300)
        return pass_on(x, call);
    let_in(x, c, call);
    read_rest(call, deadline);
    if (fiber_is_cancelled(x->fiber))
        return exchange_blame(x, ERR_CANCELLED, SIDE_CLIENT, 0, "", "client_closed");
    exchange_keep_state(x, config, NULL);
    upstream_call_end(call);
    return NEXT;
}

static void on_finish(struct exchange *x, const void *config)
{
    struct upstream_call *call = exchange_state(x, config);
    if (call != NULL)
        upstream_call_end(call);
}

const struct step step_forward_auth = {
    .key = &key_forward_auth,
    .prepare = prepare,
    .on_request = on_request,
    .on_finish = on_finish,
};
