/* SPDX-License-Identifier: Apache-2.0 */
/* proxy UPSTREAM: the thin caller of upstream_call(). It says what a server is told about the
 * client and hands the answer to the exchange. */
#include "steps/proxy.h"

#include "base/clock.h"
#include "base/random.h"
#include "exchange/exchange.h"
#include "fiber/thread.h"
#include "http/forwarded.h"
#include "net/proxy_protocol.h"
#include "steps/proxy_affinity.h"
#include "steps/retry.h"
#include "upstream/call.h"

#include <pthread.h>
#include <stdio.h>

enum proxy_host { HOST_PRESERVE, HOST_UPSTREAM };
static const char *const HOSTS[] = {"preserve", "upstream", NULL};

enum client_headers { HEADERS_X_FORWARDED, HEADERS_FORWARDED, HEADERS_BOTH, HEADERS_NONE };
static const char *const CLIENT_HEADERS[] = {"x_forwarded", "forwarded", "both", "none", NULL};

static const char *const HTTP_WORDS[] = {"1", "2", "auto", "upstream", NULL};

static const struct option ARGUMENTS[] = {
    {.name = "to",
     .type = OPTION_UPSTREAM,
     .flags = OPTION_REQUIRED,
     .offset = offsetof(struct proxy_config, to),
     .doc = "The name of an upstream, or one server: host:port, http://host:port, unix:/path."},
    {0},
};

static const struct option OPTIONS[] = {
    {.name = "connect_timeout",
     .type = OPTION_DURATION,
     .flags = OPTION_MAY_BE_OFF,
     .standard = "3s",
     .offset = offsetof(struct proxy_config, connect_timeout),
     .doc = "How long connecting to a server may take."},
    {.name = "first_byte_timeout",
     .type = OPTION_DURATION,
     .flags = OPTION_MAY_BE_OFF,
     .standard = "60s",
     .offset = offsetof(struct proxy_config, first_byte_timeout),
     .doc = "How long a server may think, from the last byte of the request to the first of the "
            "answer."},
    {.name = "idle_timeout",
     .type = OPTION_DURATION,
     .flags = OPTION_MAY_BE_OFF,
     .standard = "60s",
     .offset = offsetof(struct proxy_config, idle_timeout),
     .doc = "How long a server may pause inside a body; streams of events may for ever."},
    {.name = "timeout",
     .type = OPTION_DURATION,
     .flags = OPTION_MAY_BE_OFF,
     .standard = "off",
     .offset = offsetof(struct proxy_config, timeout),
     .doc = "How long the whole exchange may take."},
    {.name = "tunnel_timeout",
     .type = OPTION_DURATION,
     .flags = OPTION_MAY_BE_OFF,
     .offset = offsetof(struct proxy_config, tunnel_timeout),
     .doc = "How long a WebSocket or other tunnel may be silent; timeouts.tunnel when left out."},
    {.name = "tries",
     .type = OPTION_INT,
     .standard = "2",
     .min = 1,
     .max = 10,
     .offset = offsetof(struct proxy_config, tries),
     .doc = "How many servers are asked at most; what had to reach a server only once is never "
            "sent twice."},
    {.name = "try_timeout",
     .type = OPTION_DURATION,
     .flags = OPTION_MAY_BE_OFF,
     .standard = "off",
     .min = MILLISECONDS(1),
     .max = SECONDS(86400),
     .offset = offsetof(struct proxy_config, try_timeout),
     .doc = "How long one try may take, up to the head of its answer; then another server is "
            "tried where that does no harm."},
    {.name = "retry_on",
     .type = OPTION_STRING,
     .flags = OPTION_MANY,
     .standard = "connect,reset,502-504",
     .offset = offsetof(struct proxy_config, retry_on),
     .doc = "After what another server is tried: connect, reset, timeout, statuses such as 503 or "
            "5xx; off: after nothing. Only for methods that may be repeated, unless nothing was "
            "sent; non_idempotent allows the others too."},
    {.name = "retry_body",
     .type = OPTION_SIZE,
     .standard = "64KiB",
     .min = 0,
     .max = 16 * 1024 * 1024,
     .offset = offsetof(struct proxy_config, retry_body),
     .doc = "A body up to this is read first and kept for another try; larger ones flow through."},
    {.name = "hedge",
     .type = OPTION_STRING,
     .standard = "off",
     .offset = offsetof(struct proxy_config, hedge),
     .doc = "A duration, or p95: after it, or after the time in which 95 % of the answers came, a "
            "request of a safe method without a body is sent to a second server too, within the "
            "budget of retries; the first good answer counts."},
    {.name = "host",
     .type = OPTION_ENUM,
     .standard = "preserve",
     .words = HOSTS,
     .offset = offsetof(struct proxy_config, host),
     .doc = "Host as the client sent it, or the server's own name."},
    {.name = "client_headers",
     .type = OPTION_ENUM,
     .standard = "x_forwarded",
     .words = CLIENT_HEADERS,
     .offset = offsetof(struct proxy_config, client_headers),
     .doc = "In which fields servers are told of the client. x_forwarded: X-Forwarded-For, -Proto "
            "and -Host, X-Real-IP; forwarded: Forwarded (RFC 7239); both; none. The others are "
            "removed."},
    {.name = "weight",
     .type = OPTION_INT,
     .standard = "1",
     .min = 0,
     .max = 1000000,
     .offset = offsetof(struct proxy_config, weight),
     .doc = "Inside a split: its share of the requests."},
    {.name = "http",
     .type = OPTION_ENUM,
     .standard = "upstream",
     .words = HTTP_WORDS,
     .offset = offsetof(struct proxy_config, http),
     .doc = "Which HTTP is spoken to the servers; upstream: as the upstream says, else 1."},
    ACCEL_OPTIONS(struct proxy_config, accel),
    {0},
};

static const struct key key_proxy = {
    .name = "proxy",
    .contexts = IN_SITE | IN_ROUTE | IN_SPLIT | IN_TRY,
    .flags = KEY_STEP | KEY_ANSWER,
    .arguments = ARGUMENTS,
    .options = OPTIONS,
    .config_size = sizeof(struct proxy_config),
    .doc = "Asks a server and passes its answer on.",
    .example = "proxy 127.0.0.1:3000 tries=3",
    .since = "0.1",
};

/* How this weir calls itself in Via: unique, so that two in a row are no loop. */
static char via_text[32];
static pthread_once_t via_once = PTHREAD_ONCE_INIT;

static void make_via(void)
{
    uint32_t id;
    random_bytes(&id, sizeof id);
    (void)snprintf(via_text, sizeof via_text, "1.1 weir-%08x", id);
}

static struct slice via(void)
{
    pthread_once(&via_once, make_via);
    return slice_from_cstring(via_text);
}

/* "20ms", "1s". */
static bool read_duration(struct slice text, int64_t *duration)
{
    bool is_ms = slice_ends(text, SLICE("ms"));
    uint64_t number = 0;
    if (!slice_ends(text, SLICE("s")) ||
        !slice_to_u64(slice_first(text, text.size - (is_ms ? 2 : 1)), 3600000, &number) ||
        number == 0)
        return false;
    *duration = (int64_t)number * (is_ms ? MILLISECONDS(1) : SECONDS(1));
    return true;
}

static bool prepare_hedge(struct proxy_config *c, struct prepare *p)
{
    if (slice_equal(c->hedge, SLICE("off")))
        return true;
    if (slice_equal(c->hedge, SLICE("p95")))
        c->hedge_after = UPSTREAM_HEDGE_P95;
    else if (!read_duration(c->hedge, &c->hedge_after)) {
        p->error(p, "hedge", "\"%.*s\" is no time to wait; write p95, off, or one such as 50ms",
                 SLICE_ARG(c->hedge));
        return false;
    }
    return true;
}

static enum status prepare(void *config, struct prepare *p)
{
    struct proxy_config *c = config;
    c->upstream = p->find_upstream(p, c->to);
    bool is_good = retry_prepare(&c->retry_on, &c->retry, p);
    is_good = prepare_hedge(c, p) && is_good;
    is_good = accel_prepare(&c->accel, p) && is_good;
    return c->upstream == NULL || !is_good ? ERR_CONFIG : OK;
}

static bool has_passed_here(const struct fields *fields)
{
    struct slice own = slice_from(via(), 4); /* behind "1.1 " */
    for (uint32_t i = 0; fields_find(fields, FIELD_VIA) != NULL && i < fields->count; i++)
        if (fields->items[i].id == FIELD_VIA &&
            slice_find_slice(fields->items[i].value, own) < fields->items[i].value.size)
            return true;
    return false;
}

static struct slice appended(struct exchange *x, struct slice list, struct slice element)
{
    return list.size == 0
               ? element
               : arena_format(&x->arena, "%.*s, %.*s", SLICE_ARG(list), SLICE_ARG(element));
}

/* What the trusted proxy before us has said, and who that is. Apart, as what follows are functions
 * that wait: what they stand on is the smaller for it. */
__attribute__((noinline)) static void pass_x_forwarded(struct exchange *x, struct slice *list,
                                                       struct slice *proto, struct slice *host)
{
    const struct fields *fields = &x->request.head.fields;
    char text[ADDRESS_TEXT_MAX];
    struct slice peer = arena_copy(&x->arena, address_format_ip(x->peer, text));
    bool is_passed = x->client_header == CLIENT_HEADER_X_FORWARDED_FOR;
    if (is_passed)
        *list = fields_joined(fields, SLICE("X-Forwarded-For"), &x->arena);
    else if (x->client == x->peer)
        *list = SLICE("");
    *list = appended(x, *list, peer);
    const struct field *said_proto = fields_find(fields, FIELD_X_FORWARDED_PROTO);
    const struct field *said_host = fields_find(fields, FIELD_X_FORWARDED_HOST);
    if (is_passed && said_proto != NULL)
        *proto = said_proto->value;
    if (is_passed && said_host != NULL)
        *host = said_host->value;
}

/* For those who read X-Forwarded-*. */
static void add_x_forwarded(struct exchange *x, struct slice host)
{
    struct fields *fields = &x->request.head.fields;
    struct slice proto = x->scheme;
    struct slice list = x->client_ip;
    if (x->client_trusted)
        pass_x_forwarded(x, &list, &proto, &host);
    fields_set_checked(fields, FIELD_X_FORWARDED_FOR, list);
    fields_set_checked(fields, FIELD_X_FORWARDED_PROTO,
                       x->told_proto.size > 0 ? x->told_proto : proto);
    fields_set_checked(fields, FIELD_X_FORWARDED_HOST, x->told_host.size > 0 ? x->told_host : host);
    fields_set_checked(fields, FIELD_X_REAL_IP, x->client_ip);
}

/* For those who read Forwarded (RFC 7239): what came from a trusted proxy, and who that is; or the
 * client. */
__attribute__((noinline)) static void add_forwarded(struct exchange *x, struct slice host)
{
    struct fields *fields = &x->request.head.fields;
    struct buffer out = buffer_in(&x->arena, 128);
    struct slice passed = fields_joined(fields, SLICE("Forwarded"), &x->arena);
    if (x->client_trusted && x->client_header == CLIENT_HEADER_FORWARDED &&
        forwarded_is_good(passed, &x->arena))
        buffer_append(&out, passed);
    else if (x->client != x->peer)
        forwarded_append(&out, x->client, SLICE(""), SLICE(""));
    if (out.size > 0)
        buffer_append(&out, SLICE(", "));
    forwarded_append(&out, x->peer, host, x->scheme);
    fields_set_checked(fields, FIELD_FORWARDED, buffer_slice(&out));
}

static struct slice passed_by(const struct fields *fields, struct arena *arena)
{
    bool is_first = fields_find(fields, FIELD_VIA) == NULL;
    return is_first ? SLICE("") : fields_joined(fields, SLICE("Via"), arena);
}

/* X-Forwarded-*, X-Real-IP, Forwarded, Via, X-Request-ID: what the server learns about the client
 * is what weir knows itself, unless the one before it is trusted; what nobody has vouched for goes.
 */
static void introduce_client(struct exchange *x, struct slice host, enum client_headers wanted)
{
    static const enum field_id NAMES[] = {FIELD_X_FORWARDED_FOR, FIELD_X_FORWARDED_PROTO,
                                          FIELD_X_FORWARDED_HOST, FIELD_X_REAL_IP};
    struct fields *fields = &x->request.head.fields;
    struct slice passed = passed_by(fields, &x->arena);
    if (wanted == HEADERS_FORWARDED || wanted == HEADERS_BOTH)
        add_forwarded(x, host);
    else
        fields_remove(fields, FIELD_FORWARDED);
    if (wanted == HEADERS_X_FORWARDED || wanted == HEADERS_BOTH)
        add_x_forwarded(x, host);
    else
        for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
            fields_remove(fields, NAMES[i]);
    fields_set_checked(fields, FIELD_VIA, appended(x, passed, via()));
    exchange_set_id(x, fields);
}

/* Where the client has connected to, as far as that is known. */
static const struct address *client_to(struct exchange *x)
{
    if (x->introduction != NULL && x->introduction->header.destination.size > 0)
        return &x->introduction->header.destination;
    struct address *address = arena_zero(&x->arena, sizeof *address);
    if (x->sink->local_address != NULL)
        x->sink->local_address(x, address);
    return address;
}

static void on_interim(void *argument, int status, const struct fields *fields)
{
    struct exchange *x = argument;
    if (x->sink->interim(x, status, fields) != OK) {
        /* The sink keeps it in mind: nothing follows an interim answer that was cut off. */
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

static void *take_tunnel(void *call)
{
    return upstream_call_detach(call);
}

/* The server's answer becomes the exchange's. */
static void pass_on(struct exchange *x, const struct proxy_config *c, struct upstream_call *call)
{
    struct response *response = &x->response;
    const struct field *length = fields_find(&call->head.fields, FIELD_CONTENT_LENGTH);
    struct slice passed = passed_by(&call->head.fields, &x->arena);
    response->status = call->head.status;
    response->fields = call->head.fields;
    response->body = call->body;
    response->is_ours = false;
    response->has_length = length != NULL && call->head.framing == FRAMING_NONE &&
                           call->head.status >= 200 && call->head.status != 204;
    response->length = call->head.length;
    fields_set_checked(&response->fields, FIELD_VIA, appended(x, passed, via()));
    exchange_set_id(x, &response->fields);
    if (call->tunnel != NULL)
        x->tunnel = (struct tunnel_offer){
            .server = call->tunnel,
            .early = call->tunnel_early,
            .take = take_tunnel,
            .on_end = upstream_tunnel_end,
            .argument = call,
            .timeout = c->tunnel_timeout,
        };
}

/* The answer was one for weir: what is left of it is of no use, and the connection may be. */
static void drop_answer(struct exchange *x, const void *config, struct upstream_call *call)
{
    struct slice chunk = {0};
    while (call->tunnel == NULL && call->body->is_ready(call->body) &&
           call->body->read(call->body, &chunk, x->deadline) == OK && chunk.size > 0)
        continue;
    exchange_keep_state(x, config, NULL);
    upstream_call_end(call);
}

static struct upstream_call *new_call(struct exchange *x, const struct proxy_config *c,
                                      struct slice host)
{
    struct request_head *head = &x->request.head;
    struct upstream_call *call = arena_zero(&x->arena, sizeof *call);
    call->arena = &x->arena;
    call->upstream = c->upstream;
    call->policy = (struct upstream_policy){
        .connect_timeout = c->connect_timeout,
        .first_byte_timeout = c->first_byte_timeout,
        .idle_timeout = c->idle_timeout,
        .tries = (int)c->tries,
        .http = (enum upstream_http)c->http,
        .try_timeout = c->try_timeout == CLOCK_NEVER ? 0 : c->try_timeout,
        .retry = &c->retry,
        .kept_body = c->retry_body,
        .hedge = c->hedge_after,
    };
    call->request = (struct upstream_request){
        .method_text = head->method_text,
        .method = head->method,
        .target = x->request.target,
        .host = host,
        .fields = &head->fields,
        .upgrade = head->upgrade,
        .body = x->request.body,
        .client = x->client,
        .on_interim = on_interim,
        .argument = x,
    };
    if (upstream_proxy_protocol(c->upstream) > 0)
        call->request.client_to = client_to(x);
    if (x->introduction != NULL && upstream_passes_tlvs(c->upstream))
        call->request.client_tlvs = proxy_tlvs_to_pass(&x->introduction->header, &x->arena);
    proxy_affinity_ask(x, call);
    return call;
}

/* Asks, and once more where the step that has its say in it wants that. */
static enum verdict ask(struct exchange *x, const struct proxy_config *c, struct slice host,
                        struct upstream_call **asked, enum status *status)
{
    const struct asking *asking = x->asking;
    bool is_again = false;
    x->asking = NULL; /* it had its say; a redirect inside leads to others */
    do {
        if (asking != NULL) {
            enum verdict verdict =
                asking->before(x, asking->config, upstream_name(c->upstream), &host);
            if (verdict != NEXT)
                return verdict;
        }
        struct upstream_call *call = new_call(x, c, host);
        exchange_keep_state(x, c, call);
        *asked = call;
        *status = upstream_call(call, x->deadline);
        note_facts(x, call);
        is_again = !is_again && asking != NULL && *status == OK &&
                   asking->again(x, asking->config, call->head.status);
        if (is_again)
            drop_answer(x, c, call);
    } while (is_again);
    return NEXT;
}

__attribute__((noinline)) static enum verdict
follow_accel(struct exchange *x, const struct proxy_config *c, struct upstream_call *call)
{
    struct accel_answer answer = accel_take(x, &call->head.fields);
    drop_answer(x, c, call);
    return accel_follow(x, &c->accel, &answer);
}

static enum verdict on_request(struct exchange *x, const void *config)
{
    const struct proxy_config *c = config;
    if (has_passed_here(&x->request.head.fields))
        return exchange_refuse(x, REFUSAL_LOOP);
    if (c->timeout != CLOCK_NEVER && x->started + c->timeout < x->deadline)
        x->deadline = x->started + c->timeout; /* the one of a split knows its own alone */
    struct slice host = exchange_client_host(x);
    introduce_client(x, host, (enum client_headers)c->client_headers);
    struct upstream_call *call = NULL;
    enum status status = OK;
    enum verdict verdict = ask(x, c, c->host == HOST_PRESERVE ? host : SLICE(""), &call, &status);
    if (verdict != NEXT)
        return verdict;
    if (status == OK && loop_now() >= x->deadline) /* no time is left to pass it on */
        return exchange_blame(x, ERR_TIMEOUT, SIDE_UPSTREAM, 504, "http_response_timeout",
                              "the server did not answer in time");
    if (status == OK && accel_applies(&c->accel, &call->head.fields))
        return follow_accel(x, c, call);
    if (status == OK) {
        pass_on(x, c, call);
        proxy_affinity_answer(x, call);
        return ANSWERED;
    }
    if (status == ERR_CANCELLED)
        return exchange_blame(x, status, SIDE_CLIENT, 0, "", "client_closed");
    return exchange_blame(x, status, SIDE_UPSTREAM, call->answer, call->error, call->why);
}

static void on_finish(struct exchange *x, const void *config)
{
    struct upstream_call *call = exchange_state(x, config);
    if (call == NULL)
        return;
    if (x->blame.status != OK && x->blame.side == SIDE_UPSTREAM && call->body != NULL)
        upstream_call_broke_off(call, x->blame.error);
    upstream_call_end(call);
}

const struct step step_proxy = {
    .key = &key_proxy,
    .prepare = prepare,
    .on_request = on_request,
    .on_finish = on_finish,
};
