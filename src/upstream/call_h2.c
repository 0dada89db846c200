/* SPDX-License-Identifier: Apache-2.0 */
/* One try over one stream of a shared HTTP/2 connection: request out, head of the response in, and
 * both bodies as they are pulled. */
#include "base/check.h"
#include "upstream/call_inside.h"
#include "upstream/h2_link.h"

struct call_h2 {
    struct h2_link *link; /* NULL: it was let go */
    struct h2_stream stream;
    struct body body;
    struct upstream_call *call;
    struct fiber *reader; /* parked until something comes */
    struct fiber *sender; /* parked until what is to be sent was taken */
    bool is_patient;
    bool is_failed;
};

void call_h2_changed(struct h2_stream *stream)
{
    struct call_h2 *h2 = LIST_ENTRY(stream, struct call_h2, stream);
    if (h2->reader != NULL)
        fiber_wake(h2->reader);
    if (h2->sender != NULL)
        fiber_wake(h2->sender);
}

void call_h2_adopt(struct call_h2 *h2, struct upstream_call *call)
{
    h2->call = call;
}

static void kick(struct call_h2 *h2)
{
    if (h2->link != NULL)
        h2_link_kick(h2->link);
}

static enum status wait_reader(struct call_h2 *h2, int64_t deadline)
{
    h2->reader = fiber_self();
    enum status status = fiber_wait(deadline);
    h2->reader = NULL;
    return status;
}

/* Until all of `out` was taken, or the end was; ERR_CLOSED: the stream is. */
static enum status wait_sent(struct call_h2 *h2, int64_t deadline)
{
    struct h2_stream *stream = &h2->stream;
    while (stream->out_last ? !stream->out_done : stream->out[1].size > 0) {
        if (stream->is_closed || stream->is_reset)
            return ERR_CLOSED;
        h2->sender = fiber_self();
        enum status status = fiber_wait(deadline);
        h2->sender = NULL;
        TRY(status);
    }
    return OK;
}

bool call_h2_was_reused(const struct call_h2 *h2)
{
    return h2->link != NULL && h2->link->is_used;
}

void call_h2_release(struct upstream_call *call)
{
    struct upstream_exchange *inside = call->inside;
    struct call_h2 *h2 = inside->h2;
    if (h2->link == NULL)
        return;
    if (inside->is_sending)
        fiber_scope_cancel(&inside->scope);
    bool is_whole = h2->stream.is_ended && (h2->stream.out_done || h2->stream.is_closed);
    h2_stream_release(&h2->stream, is_whole ? H2_NO_ERROR : H2_CANCEL);
    struct h2_link *link = h2->link;
    h2->link = NULL;
    h2_link_leave(link);
}

/* Why the stream is closed before it should be. */
static enum status closed(struct upstream_call *call)
{
    struct upstream_exchange *inside = call->inside;
    const struct h2_stream *stream = &inside->h2->stream;
    if (stream->is_reset || stream->error == H2_PROTOCOL_ERROR)
        return call_fail(call, ERR_PROTOCOL, 502, "http_protocol_error",
                         "h2: the response breaks the protocol");
    if (stream->error == H2_REFUSED_STREAM) {
        /* Nothing was done for it (RFC 9113 §8.7), also after GOAWAY: it may be sent again. */
        inside->was_refused = true;
        inside->has_written = false;
        return call_fail(call, ERR_CLOSED, 502, "connection_terminated",
                         "h2: the server refused the stream");
    }
    const struct h2_link *link = inside->h2->link;
    if (link != NULL && link->alert != NULL)
        return call_fail(call, ERR_CLOSED, 502, "tls_alert_received", link->alert);
    return call_fail(call, ERR_CLOSED, 502, "connection_terminated",
                     "h2: the server closed without an answer");
}

/* The child: pulls from the client, gives to the stream, until the end or a failure of either. */
static void send_body(void *argument)
{
    struct upstream_call *call = argument;
    struct upstream_exchange *inside = call->inside;
    struct call_h2 *h2 = inside->h2;
    struct body *body = call->request.body;
    struct slice chunk;
    enum status status;
    do {
        status = body->read(body, &chunk, CLOCK_NEVER);
        inside->has_pulled = true;
        if (status != OK) {
            call->client_failed = status != ERR_CANCELLED;
            break;
        }
        h2->stream.out[1] = chunk;
        h2->stream.out_last = chunk.size == 0;
        h2->stream.out_trailers = chunk.size == 0 ? body->trailers : NULL;
        h2_stream_send(&h2->stream);
        kick(h2);
        status = wait_sent(h2, stream_stall_deadline(call->policy.idle_timeout, CLOCK_NEVER));
    } while (status == OK && chunk.size > 0);
    inside->send_status = status;
    inside->is_sent = status == OK;
    inside->sent_at = loop_now();
    inside->is_sending = false;
    if (h2->reader != NULL)
        fiber_wake(h2->reader);
}

static enum status send_request(struct upstream_call *call, struct call_h2 *h2)
{
    struct upstream_exchange *inside = call->inside;
    const struct upstream_request *request = &call->request;
    struct h2_request head = {
        .method = request->method_text,
        .scheme = inside->server->config.tls == NULL ? SLICE("http") : SLICE("https"),
        .authority = request->host.size > 0 ? request->host : inside->server->host,
        .path = request->target,
        .fields = request->fields,
        .length = request->body->length,
        .has_meaning = request->method == METHOD_POST || request->method == METHOD_PUT ||
                       request->method == METHOD_PATCH,
    };
    TRY(h2_stream_request(h2->link->session, &h2->stream, &head));
    inside->has_written = true;
    inside->sent_at = loop_now();
    if (inside->is_kept) {
        h2->stream.out[1] = inside->kept;
        h2->stream.out_last = true;
        inside->is_sent = true;
        h2_stream_send(&h2->stream);
    } else {
        inside->is_sending = true;
        if (fiber_start(&inside->scope, "send_body", send_body, call, NULL) != OK) {
            inside->is_sending = false;
            return call_fail(call, ERR_DENIED, 503, "connection_limit_reached", "fibers_max");
        }
    }
    kick(h2);
    return OK;
}

static int64_t head_deadline(const struct upstream_call *call, int64_t deadline)
{
    const struct upstream_exchange *inside = call->inside;
    if (inside->is_sending || call->policy.first_byte_timeout == CLOCK_NEVER)
        return deadline;
    int64_t until = inside->sent_at + call->policy.first_byte_timeout;
    return until < deadline ? until : deadline;
}

static void pass_interims(struct upstream_call *call, struct call_h2 *h2)
{
    while (h2->stream.interims != NULL) {
        struct h2_interim *interim = h2->stream.interims;
        h2->stream.interims = interim->next;
        if (interim->status != 100 && call->request.on_interim != NULL)
            call->request.on_interim(call->request.argument, interim->status, &interim->fields);
    }
}

static enum status wait_head(struct upstream_call *call, struct call_h2 *h2, int64_t deadline)
{
    struct h2_stream *stream = &h2->stream;
    for (;;) {
        pass_interims(call, h2);
        if (stream->has_head)
            return OK;
        if (call->client_failed)
            return call_fail(call, call->inside->send_status, 0, "", "the client's body failed");
        if (stream->is_closed || stream->is_reset)
            return closed(call);
        int64_t until = head_deadline(call, deadline);
        enum status status = wait_reader(h2, until);
        if (status == ERR_CANCELLED)
            return call_fail(call, status, 0, "", "cancelled while waiting for the answer");
        /* The clock for the answer starts with the last byte of the request. */
        if (status == ERR_TIMEOUT && head_deadline(call, deadline) <= loop_now())
            return call_fail(call, status, 504, "http_response_timeout",
                             "the server did not answer in time");
    }
}

static enum status read_body(struct body *body, struct slice *chunk, int64_t deadline)
{
    struct call_h2 *h2 = LIST_ENTRY(body, struct call_h2, body);
    struct h2_stream *stream = &h2->stream;
    if (h2->is_failed)
        return ERR_CLOSED;
    for (;;) {
        *chunk = h2_stream_take(stream);
        if (chunk->size > 0) {
            kick(h2); /* the window may have been opened */
            return OK;
        }
        if (stream->is_ended) {
            call_release(h2->call);
            return OK;
        }
        enum status status = OK;
        if (stream->is_reset)
            status = ERR_PROTOCOL;
        else if (stream->is_closed)
            status = ERR_CLOSED;
        else if (h2->is_patient)
            status = wait_reader(h2, deadline);
        else
            status =
                wait_reader(h2, stream_stall_deadline(h2->call->policy.idle_timeout, deadline));
        h2->is_failed = status != OK;
        TRY(status);
    }
}

static bool is_ready(struct body *body)
{
    const struct h2_stream *stream = &LIST_ENTRY(body, struct call_h2, body)->stream;
    return stream->is_ended || h2_stream_has_data(stream);
}

static void open_body(struct upstream_call *call, struct call_h2 *h2)
{
    const struct response_head *head = &call->head;
    h2->body = (struct body){.read = read_body, .is_ready = is_ready};
    h2->body.length = head->framing == FRAMING_LENGTH ? (int64_t)head->length
                      : head->framing == FRAMING_NONE ? 0
                                                      : -1;
    h2->body.trailers = head->framing == FRAMING_CHUNKED ? &h2->stream.trailers : NULL;
    h2->is_patient = call_is_patient(call);
    call->inside->was_early = call->inside->is_sending;
    call->body = &h2->body;
}

/* Why there is no connection to open a stream on. */
static enum status link_failed(struct upstream_call *call, enum status status,
                               enum h2_link_failure failure, const struct tls_trouble *trouble,
                               int64_t deadline)
{
    if (failure == H2_LINK_NOT_ALLOWED)
        return call_too_many_connects(call);
    if (failure == H2_LINK_NOT_CONNECTED || status == ERR_CANCELLED)
        return call_connect_failed(call, status, deadline);
    if (failure == H2_LINK_NOT_SECURED)
        return call_handshake_failed(call, status, trouble, deadline);
    server_failed(call->inside->server, loop_now());
    if (failure == H2_LINK_NOT_KEPT)
        return call_fail(call, status, 502, "connection_terminated",
                         "h2: the server closed before the request");
    return call_fail(call, status, 502, "tls_protocol_error",
                     "h2: the server does not agree on HTTP/2");
}

__attribute__((noinline)) enum status call_h2(struct upstream_call *call, bool offers_h1,
                                              bool *is_h1, int64_t deadline)
{
    struct upstream_exchange *inside = call->inside;
    struct call_h2 *h2 = arena_zero(call->arena, sizeof *h2);
    h2->call = call;
    h2->stream.arena = call->arena;
    h2->stream.response = &call->head;
    h2->stream.method = call->request.method;
    enum h2_link_failure failure;
    struct tls_trouble trouble;
    enum status status = h2_link_take(inside->server, offers_h1, call->policy.connect_timeout,
                                      deadline, &h2->link, &failure, &trouble);
    *is_h1 = status == ERR_TLS && offers_h1 && failure == H2_LINK_NOT_H2;
    if (status != OK)
        return *is_h1 ? status : link_failed(call, status, failure, &trouble, deadline);
    inside->h2 = h2;
    if (!h2->link->is_used)
        call->connect_time = h2->link->connect_time;
    int64_t began = loop_now();
    status = send_request(call, h2);
    if (status == ERR_LIMIT) {
        inside->was_refused = true;
        return call_fail(call, ERR_CLOSED, 502, "connection_terminated",
                         "h2: the connection takes no more streams");
    }
    TRY(status);
    TRY(wait_head(call, h2, deadline));
    inside->has_answered = true;
    call->first_byte_time = loop_now() - began;
    open_body(call, h2);
    return OK;
}
