/* SPDX-License-Identifier: Apache-2.0 */
/* The path of an exchange: down the steps of its route until one answers, back up over those that
 * were reached, then the body is pulled through to the client. */
#include "exchange/exchange.h"

#include "base/buffer.h"
#include "base/check.h"
#include "exchange/grpc.h"
#include "fiber/thread.h"
#include "http/status_text.h"

#include <stdlib.h>

static void (*note_begin)(const struct exchange *x);
static void (*log_exchange)(const struct exchange *x);

void exchange_set_log(void (*begun)(const struct exchange *x),
                      void (*log)(const struct exchange *x))
{
    note_begin = begun;
    log_exchange = log;
}

void exchange_log(const struct exchange *x)
{
    if (log_exchange != NULL)
        log_exchange(x);
}

void exchange_keep_state(struct exchange *x, const void *config, void *state)
{
    struct step_state *kept = arena_alloc(&x->arena, sizeof *kept);
    *kept = (struct step_state){config, state, x->step_states};
    x->step_states = kept;
}

void *exchange_state(const struct exchange *x, const void *config)
{
    for (const struct step_state *kept = x->step_states; kept != NULL; kept = kept->next)
        if (kept->config == config)
            return kept->state;
    return NULL;
}

void exchange_hold(struct exchange *x, const struct exchange_hold *hold)
{
    struct exchange_hold *kept = arena_alloc(&x->arena, sizeof *kept);
    *kept = *hold;
    kept->next = x->holds;
    x->holds = kept;
}

void exchange_let_go(struct exchange *x)
{
    while (x->holds != NULL) {
        struct exchange_hold *hold = x->holds;
        x->holds = hold->next;
        hold->end(hold->object, hold->key, hold->has_outlived);
        if (hold->has_outlived)
            free(hold);
    }
}

void exchange_hand_over(struct exchange *x, struct exchange *copy)
{
    for (; x->holds != NULL; x->holds = x->holds->next) {
        struct exchange_hold *hold = memory_alloc(sizeof *hold);
        *hold = *x->holds;
        hold->outlive(hold->object);
        hold->has_outlived = true;
        hold->next = copy->holds;
        copy->holds = hold;
    }
}

enum verdict exchange_blame(struct exchange *x, enum status status, enum side side, int answer,
                            const char *error, const char *why)
{
    if (x->blame.status == OK) /* the first cause is the cause */
        x->blame = (struct blame){status, side, answer, error, why, REFUSAL_NONE};
    return FAILED;
}

/* RFC 9209 §2.3: how a refusal is called in Proxy-Status. */
static const char *error_of_refusal(enum refusal refusal)
{
    switch (refusal) {
    case REFUSAL_NO_SITE:
    case REFUSAL_NO_ROUTE:
        return "destination_not_found";
    case REFUSAL_LOOP:
        return "proxy_loop_detected";
    case REFUSAL_CONNECTIONS:
    case REFUSAL_CONNECTIONS_PER_CLIENT:
    case REFUSAL_FIBERS:
        return "connection_limit_reached";
    case REFUSAL_MEMORY:
        return "proxy_internal_response";
    case REFUSAL_RATE_LIMIT:
    case REFUSAL_CONN_LIMIT:
    case REFUSAL_DENIED:
    case REFUSAL_BLOCKED:
        return "http_request_denied";
    default:
        return "http_request_error";
    }
}

enum verdict exchange_refuse(struct exchange *x, enum refusal refusal)
{
    return exchange_refuse_as(x, refusal, refusal_text(refusal)->status);
}

enum verdict exchange_refuse_as(struct exchange *x, enum refusal refusal, int status)
{
    exchange_blame(x, ERR_PROTOCOL, SIDE_CLIENT, status, error_of_refusal(refusal),
                   refusal_text(refusal)->reason);
    if (x->blame.refusal == REFUSAL_NONE && x->blame.side == SIDE_CLIENT)
        x->blame.refusal = refusal;
    return FAILED;
}

void response_text(struct exchange *x, int status, struct slice type, struct slice text)
{
    struct body_text *body = arena_alloc(&x->arena, sizeof *body);
    body_text_init(body, text);
    x->response.status = status;
    x->response.body = &body->body;
    x->response.has_length = false;
    x->response.is_ours = true;
    x->response.is_page = false;
    fields_remove(&x->response.fields, FIELD_CONTENT_TYPE);
    if (type.size > 0)
        fields_add(&x->response.fields, FIELD_CONTENT_TYPE, type);
}

void response_replace(struct exchange *x, int status, struct slice type, struct slice text)
{
    x->response.fields.count = 0;
    x->response.fields.present[0] = 0;
    x->tunnel.server = NULL;
    response_text(x, status, type, text);
}

/* The answer of weir itself to what went wrong. */
static void build_error(struct exchange *x)
{
    int status = x->blame.answer;
    if (grpc_is_call(x)) {
        grpc_build_error(x);
    } else {
        const char *more =
            x->blame.refusal == REFUSAL_IN_CLEAR ? "TLS is spoken here: ask with https.\n" : "";
        struct slice text =
            arena_format(&x->arena, "%d %.*s\n%s", status, SLICE_ARG(status_text(status)), more);
        response_replace(x, status, SLICE("text/plain; charset=utf-8"), text);
    }
    struct fields *fields = &x->response.fields;
    exchange_set_id(x, fields); /* what a user who sees this can quote */
    if (x->blame.error != NULL && x->blame.error[0] != '\0')
        fields_add(fields, FIELD_PROXY_STATUS,
                   arena_format(&x->arena, "weir; error=%s", x->blame.error));
    if (status == 503 || x->retry_after > 0)
        fields_add(
            fields, FIELD_RETRY_AFTER,
            arena_format(&x->arena, "%lld", (long long)(x->retry_after > 0 ? x->retry_after : 1)));
    if (status == 401 && x->challenge.size > 0)
        fields_add(fields, FIELD_WWW_AUTHENTICATE, x->challenge);
    if (status == 405)
        fields_add(fields, FIELD_ALLOW, SLICE("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
}

/* A connection that is good for no site any more, since its own has another policy than when it was
 * opened, has to be opened anew. */
COLD static enum verdict refuse_misdirected(struct exchange *x)
{
    const struct site *own = x->tls == NULL ? NULL : site_choose(x->sites, x->tls->server_name);
    x->is_outdated = own == NULL || own->tls_policy != x->tls->policy;
    if (x->is_outdated)
        x->keep_client = false;
    return exchange_refuse(x, REFUSAL_MISDIRECTED);
}

static enum verdict choose_route(struct exchange *x)
{
    struct request_head *head = &x->request.head;
    x->site = site_choose(x->sites, head->host);
    if (x->site == NULL)
        return exchange_refuse(x, REFUSAL_NO_SITE);
    /* What the client was asked for, or shown, must be what this site would have. */
    if (x->tls != NULL ? x->site->tls_policy != x->tls->policy : x->sites->is_secure)
        return refuse_misdirected(x);
    if (x->sites->names_vary && x->site->field_names == FIELD_NAMES_REJECT &&
        exchange_has_odd_name(&head->fields))
        return exchange_refuse(x, REFUSAL_FIELD_NAME_POLICY);
    exchange_take_off_guarded(x, &head->fields);
    if (head->path.size == 1 && head->path.data[0] == '*')
        x->request.path = head->path; /* OPTIONS * */
    else if (!uri_canonical_path(head->path, &x->site->path_rules, &x->arena, &x->request.path))
        return exchange_refuse(x, REFUSAL_PATH);
    struct route_question question = {
        .path = x->request.path,
        .query = head->query,
        .method = head->method_text,
        .fields = &head->fields,
        .client = x->client,
    };
    bool limit_hit = false;
    x->route = route_choose(x->site, &question, &limit_hit);
    if (limit_hit)
        return exchange_blame(x, ERR_LIMIT, SIDE_CLIENT, 400, "http_request_denied",
                              "a regular expression of a route ran into its limit");
    if (x->route == NULL)
        return exchange_refuse(x, REFUSAL_NO_ROUTE);
    if (note_begin != NULL && !x->is_apart)
        note_begin(x);
    return NEXT;
}

/* The target that is sent on: the canonical path, the query as it was. */
static void build_target(struct exchange *x)
{
    const struct request_head *head = &x->request.head;
    if (!head->has_query) {
        x->request.target = x->request.path;
        return;
    }
    if (x->request.path.data == head->path.data &&
        head->path.data + head->path.size + 1 == head->query.data) {
        /* Nothing was changed: path, "?" and query stand behind each other as they came. */
        x->request.target = slice_of(head->path.data, head->path.size + 1 + head->query.size);
        return;
    }
    struct buffer target = buffer_in(&x->arena, x->request.path.size + 1 + head->query.size);
    buffer_append(&target, x->request.path);
    buffer_append_byte(&target, '?');
    buffer_append(&target, head->query);
    x->request.target = buffer_slice(&target);
}

/* The steps that this round begins with: those of one apart stand behind the step that asked. */
static size_t first_step(const struct exchange *x)
{
    return x->rounds == NULL ? x->steps_from : 0;
}

static enum verdict walk_steps(struct exchange *x)
{
    if (x->route->leads_elsewhere && x->asked == NULL)
        exchange_keep_fields(x);
    for (size_t i = first_step(x); i < x->route->steps_count; i++) {
        const struct step_use *use = &x->route->steps[i];
        x->steps_reached = i + 1;
        if (use->step->on_request == NULL)
            continue;
        enum verdict verdict = use->step->on_request(x, use->config);
        if (verdict != NEXT)
            return verdict;
    }
    return exchange_blame(x, ERR_CONFIG, SIDE_US, 500, "proxy_configuration_error",
                          "no step of the route answered");
}

static enum verdict walk_down(struct exchange *x)
{
    bool is_chosen = x->is_apart && x->rounds == NULL;
    if (!is_chosen && choose_route(x) == FAILED)
        return FAILED;
    if (!is_chosen)
        build_target(x);
    if (x->route->timeout != CLOCK_NEVER)
        x->deadline = x->started + x->route->timeout;
    int64_t timeout = grpc_is_call(x) ? grpc_timeout(x) : CLOCK_NEVER;
    if (timeout < CLOCK_NEVER - x->started && x->started + timeout < x->deadline)
        x->deadline = x->started + timeout;
    x->body_limit = x->route->limits.body_size;
    if (x->body_limit >= 0 && x->request.head.framing == FRAMING_LENGTH &&
        x->request.head.length > (uint64_t)x->body_limit)
        return exchange_refuse(x, REFUSAL_BODY_SIZE);
    return walk_steps(x);
}

static enum verdict go_down(struct exchange *x)
{
    enum verdict verdict = walk_down(x);
    while (verdict == ELSEWHERE) {
        exchange_begin_round(x);
        verdict = walk_down(x);
    }
    if (verdict == ANSWERED && x->rounds != NULL)
        exchange_carry(x);
    return verdict;
}

static void go_up(struct exchange *x)
{
    for (size_t i = x->steps_reached; i > first_step(x); i--) {
        const struct step_use *use = &x->route->steps[i - 1];
        if (use->step->on_response != NULL)
            use->step->on_response(x, use->config);
    }
}

/* What the body is to the client: RFC 9112 §6.3, the sender's side. */
static void frame_response(struct exchange *x)
{
    struct response *response = &x->response;
    bool is_bodiless = x->request.head.method == METHOD_HEAD || response->status == 204 ||
                       response->status == 304 || response->status < 200;
    if (is_bodiless) {
        if (response->body->length >= 0 && !response->has_length && response->is_ours &&
            response->status >= 200 && response->status != 204 && response->status != 304) {
            response->length = (uint64_t)response->body->length;
            response->has_length = true;
        }
        response->framing = FRAMING_NONE;
        response->body = body_none();
    } else if (response->body->length >= 0) {
        response->framing = FRAMING_LENGTH;
        response->length = (uint64_t)response->body->length;
    } else {
        response->framing = x->request.head.minor == 0 ? FRAMING_CLOSE : FRAMING_CHUNKED;
    }
}

static void blame_hang_up(struct exchange *x)
{
    if (fiber_is_cancelled(x->fiber))
        exchange_blame(x, ERR_CANCELLED, SIDE_CLIENT, 0, "", "client_closed");
}

static void blame_move(struct exchange *x, enum status status, bool client_failed)
{
    bool is_late = status == ERR_TIMEOUT;
    if (client_failed)
        exchange_blame(x, status, SIDE_CLIENT, 0, "",
                       is_late ? "timeouts.client_write" : "the client did not take the response");
    blame_hang_up(x);
    if (!client_failed)
        exchange_blame(x, status, SIDE_UPSTREAM, 0,
                       is_late ? "http_response_timeout" : "http_response_incomplete",
                       "the response's body ended too early");
}

static enum status send_body(struct exchange *x)
{
    struct body *body = x->response.body;
    bool client_failed = false;
    for (;;) {
        if (body->move != NULL && (x->head_sent || body->moves_first) &&
            x->response.framing == FRAMING_LENGTH) {
            enum status moved = x->sink->move(x, body, &client_failed);
            if (moved == OK)
                continue;
            if (moved != ERR_LIMIT) {
                blame_move(x, moved, client_failed);
                return moved;
            }
        }
        struct slice chunk;
        enum status status = body->read(body, &chunk, x->deadline);
        if (status != OK) {
            blame_hang_up(x);
            exchange_blame(x, status, SIDE_UPSTREAM, 502,
                           status == ERR_TIMEOUT ? "http_response_timeout"
                                                 : "http_response_incomplete",
                           "the response's body ended too early");
            return status;
        }
        if (chunk.size == 0)
            return x->sink->finish(x, body->trailers);
        status = x->sink->chunk(x, chunk, body->is_ready(body));
        if (status != OK) {
            exchange_blame(x, status, SIDE_CLIENT, 0, "", "the client did not take the response");
            return status;
        }
        x->bytes_out += chunk.size;
    }
}

static enum status send_response(struct exchange *x)
{
    frame_response(x);
    /* RFC 6797 §7.2: over a secure transport only. */
    if (x->tls != NULL && x->site != NULL && x->site->hsts.size > 0 && !x->is_apart)
        fields_set_named(&x->response.fields, SLICE("Strict-Transport-Security"), x->site->hsts);
    bool hold = x->response.framing == FRAMING_NONE || x->response.body->is_ready(x->response.body);
    x->answered = loop_now();
    enum status status = x->sink->head(x, hold);
    if (status != OK) {
        exchange_blame(x, status, SIDE_CLIENT, 0, "", "the client did not take the head");
        return status;
    }
    if (x->response.framing == FRAMING_NONE)
        return x->sink->finish(x, NULL);
    return send_body(x);
}

enum status exchange_proceed(struct exchange *x)
{
    struct fields none;
    fields_init(&none, NULL, NULL, 0);
    return x->head_sent || x->response.status != 0 ? OK : x->sink->interim(x, 100, &none);
}

static void finish_steps(struct exchange *x)
{
    for (size_t i = x->steps_reached; i > first_step(x); i--) {
        const struct step_use *use = &x->route->steps[i - 1];
        if (use->step->on_finish != NULL)
            use->step->on_finish(x, use->config);
    }
}

static void finish(struct exchange *x)
{
    bool goes_on = x->tunnel.server != NULL && x->is_finished;
    if (!goes_on && !x->is_apart)
        exchange_keep_for_log(x);
    finish_steps(x);
    for (; x->rounds != NULL; finish_steps(x))
        exchange_end_round(x);
    fiber_scope_cancel(&x->scope);
    if (!goes_on && !x->is_apart) /* a tunnel is logged when it ends */
        exchange_log(x);
    exchange_let_go(x);
}

/* Sends what stands in x->response, or ends the exchange without an answer. */
static void answer(struct exchange *x)
{
    enum status status = send_response(x);
    if (status != OK && !x->head_sent && x->blame.answer != 0 && !fiber_is_cancelled(x->fiber)) {
        /* Nothing has left yet: the client can still be told. */
        build_error(x);
        go_up(x);
        status = send_response(x);
    }
    blame_hang_up(x);
    if (status == OK)
        x->is_finished = true;
    else
        x->sink->abort(x);
}

void exchange_run(struct exchange *x)
{
    check(x->sink != NULL && x->fiber == fiber_self());
    fiber_scope_init(&x->scope);
    x->deadline = CLOCK_NEVER;
    x->body_limit = -1;
    enum verdict verdict = go_down(x);
    blame_hang_up(x);
    if (verdict == FAILED && (x->blame.answer == 0 || fiber_is_cancelled(x->fiber))) {
        x->sink->abort(x);
        finish(x);
        return;
    }
    if (verdict == FAILED)
        build_error(x);
    go_up(x);
    if (x->tunnel.server != NULL && x->response.status == 101) {
        frame_response(x);
        enum status status = x->sink->head(x, false);
        if (status == OK)
            status = x->sink->tunnel(x);
        if (status != OK) {
            x->tunnel.server = NULL;
            exchange_blame(x, status, SIDE_CLIENT, 0, "", "the tunnel could not be opened");
            x->sink->abort(x);
        }
        finish(x);
        return;
    }
    answer(x);
    finish(x);
}

void exchange_refuse_head(struct exchange *x, enum refusal refusal)
{
    fiber_scope_init(&x->scope);
    x->deadline = CLOCK_NEVER;
    x->body_limit = -1;
    exchange_refuse(x, refusal);
    build_error(x);
    answer(x);
    finish(x);
}
