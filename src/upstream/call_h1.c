/* SPDX-License-Identifier: Apache-2.0 */
/* One try over one HTTP/1 connection: request out, head of the response in. */
#include "base/check.h"
#include "fiber/block.h"
#include "http/h1_write.h"
#include "net/stream_tls.h"
#include "upstream/call_inside.h"

#include <stdlib.h>

enum {
    HEAD_SIZE_MAX = CALL_LINE_MAX + CALL_FIELDS_SIZE_MAX + 4 * CALL_FIELDS_MAX + 64,
    INTERIM_MAX = 8,
};

static const struct h1_limits LIMITS = {
    .line_size = CALL_LINE_MAX,
    .fields_size = CALL_FIELDS_SIZE_MAX,
    .fields_count = CALL_FIELDS_MAX,
    .field_names = FIELD_NAMES_ALLOW,
};

static enum status closed(struct upstream_call *call, enum status status)
{
    const struct upstream_exchange *inside = call->inside;
    const char *alert = stream_tls_alert(&inside->connection->stream);
    if (alert != NULL)
        return call_fail(call, status, 502, "tls_alert_received", alert);
    return call_fail(call, status, 502, "connection_terminated",
                     inside->has_answered ? "the server closed inside the head"
                                          : "the server closed without an answer");
}

enum status call_head_sent(struct upstream_call *call, uint64_t before, enum status status)
{
    struct upstream_exchange *inside = call->inside;
    inside->has_written = inside->connection->stream.bytes_out > before;
    inside->sent_at = loop_now();
    if (status == ERR_TIMEOUT)
        return call_fail(call, status, 504, "connection_timeout", "the server does not read");
    if (status == ERR_CANCELLED)
        return call_fail(call, status, 0, "", "cancelled while sending");
    if (status != OK) {
        /* It may have answered before it closed: look. */
        inside->send_status = status;
        return OK;
    }
    inside->is_sent = inside->is_kept;
    return inside->is_kept ? OK : call_send_body(call);
}

/* Writes the head, and the body as far as it is at hand. */
static enum status send_request(struct upstream_call *call, int64_t deadline)
{
    struct upstream_exchange *inside = call->inside;
    const struct upstream_request *request = &call->request;
    int64_t length = request->body->length;
    enum framing framing = FRAMING_NONE;
    bool has_meaning = request->method == METHOD_POST || request->method == METHOD_PUT ||
                       request->method == METHOD_PATCH;
    if (length < 0)
        framing = FRAMING_CHUNKED;
    else if (length > 0 || has_meaning)
        framing = FRAMING_LENGTH;
    struct slice host = request->host.size > 0 ? request->host : inside->server->host;
    /* A block that was just in use, and is again at once, is in the processor's cache. */
    char *block = block_take();
    struct buffer out = {.data = block, .capacity = BLOCK_SIZE, .arena = call->arena};
    h1_write_request(&out, request->method_text, request->target, host, request->fields, framing,
                     length < 0 ? 0 : (uint64_t)length, request->upgrade);
    struct iovec parts[2] = {
        {out.data, out.size},
        {(void *)(uintptr_t)inside->kept.data, inside->kept.size},
    };
    struct stream *stream = &inside->connection->stream;
    uint64_t before = stream->bytes_out;
    enum status status = stream_write(stream, parts, inside->kept.size > 0 ? 2 : 1,
                                      call->policy.idle_timeout, deadline);
    block_give(block);
    return call_head_sent(call, before, status);
}

int64_t call_head_deadline(const struct upstream_call *call, int64_t deadline)
{
    const struct upstream_exchange *inside = call->inside;
    if (call->policy.first_byte_timeout == CLOCK_NEVER)
        return deadline;
    int64_t from = inside->is_sending ? loop_now() : inside->sent_at;
    int64_t until = from + call->policy.first_byte_timeout;
    return until < deadline ? until : deadline;
}

static void make_room(struct upstream_exchange *inside)
{
    if (inside->data == NULL) {
        inside->data = block_take();
        inside->capacity = BLOCK_SIZE;
        inside->is_block = true;
        return;
    }
    size_t capacity = inside->capacity * 2 < HEAD_SIZE_MAX ? inside->capacity * 2 : HEAD_SIZE_MAX;
    char *data = memory_alloc(capacity);
    memcpy(data, inside->data, inside->size);
    if (inside->is_block)
        block_give(inside->data);
    else
        free(inside->data);
    inside->data = data;
    inside->capacity = capacity;
    inside->is_block = false;
}

/* The memory is taken when there is something to put into it: a call that waits holds less, and
 * what was given back last is still in the processor's cache. */
static enum status read_some(struct upstream_exchange *inside, size_t *got, int64_t deadline)
{
    struct stream *stream = &inside->connection->stream;
    TRY(stream_wait(stream, deadline));
    if (inside->size == inside->capacity)
        make_room(inside);
    return stream_read(stream, inside->data + inside->size, inside->capacity - inside->size, got,
                       deadline);
}

enum status call_head_failed(struct upstream_call *call, enum status status)
{
    const struct upstream_exchange *inside = call->inside;
    if (call->client_failed)
        return call_fail(call, inside->send_status, 0, "", "the client's body failed");
    if (status == ERR_TIMEOUT)
        return call_fail(call, status, 504, "http_response_timeout",
                         "the server did not answer in time");
    if (status == ERR_CANCELLED)
        return call_fail(call, status, 0, "", "cancelled while waiting for the answer");
    if (inside->send_status == ERR_TIMEOUT)
        return call_fail(call, ERR_TIMEOUT, 504, "connection_timeout", "the server does not read");
    return closed(call, status);
}

static enum status read_more(struct upstream_call *call, int64_t deadline)
{
    struct upstream_exchange *inside = call->inside;
    if (inside->size >= HEAD_SIZE_MAX)
        return call_fail(call, ERR_LIMIT, 502, "http_response_header_section_size",
                         "h1: the head is too large");
    size_t got = 0;
    enum status status;
    do {
        status = read_some(inside, &got, call_head_deadline(call, deadline));
        /* The clock for the answer starts with the last byte of the request. */
    } while (status == ERR_TIMEOUT && call_head_deadline(call, deadline) > loop_now());
    if (status != OK || call->client_failed)
        return call_head_failed(call, status);
    inside->size += got;
    inside->has_answered = true;
    return OK;
}

enum status call_head_malformed(struct upstream_call *call, const char *why)
{
    bool is_size = strstr(why, "too large") != NULL || strstr(why, "too many") != NULL ||
                   strstr(why, "too long") != NULL;
    return call_fail(call, is_size ? ERR_LIMIT : ERR_PROTOCOL, 502,
                     is_size ? "http_response_header_section_size" : "http_protocol_error", why);
}

/* Reads one head, interim or final. *used: its bytes. */
static enum status read_head(struct upstream_call *call, size_t *used, int64_t deadline)
{
    struct upstream_exchange *inside = call->inside;
    size_t seen = 0;
    for (;;) {
        /* The parser starts anew each time, so it is asked only when a line has ended. */
        bool has_line =
            inside->size > seen && (seen == 0 || inside->size >= CALL_LINE_MAX ||
                                    memchr(inside->data + seen, '\n', inside->size - seen) != NULL);
        seen = inside->size;
        if (has_line) {
            const char *why = NULL;
            memset(&call->head, 0, sizeof call->head);
            fields_init(&call->head.fields, call->arena, inside->items, CALL_FIELDS);
            enum parse parse = h1_parse_response(inside->data, inside->size, &LIMITS,
                                                 call->request.method, &call->head, used, &why);
            if (parse == PARSE_DONE)
                return OK;
            if (parse == PARSE_ERROR)
                return call_head_malformed(call, why == NULL ? "h1: malformed head" : why);
        }
        TRY(read_more(call, deadline));
    }
}

/* Of a 101. The call has no body before this, so a connection that switched in vain is not kept. */
static enum status check_upgrade(struct upstream_call *call)
{
    const struct upstream_exchange *inside = call->inside;
    if (call->request.upgrade.size == 0 || call->head.minor == 0 ||
        !slice_equal_nocase(call->head.upgrade, call->request.upgrade))
        return call_fail(call, ERR_PROTOCOL, 502, "http_upgrade_failed",
                         "h1: 101 that was not asked for, or for another protocol");
    if (inside->is_sending)
        return call_fail(call, ERR_PROTOCOL, 502, "http_upgrade_failed",
                         "h1: 101 before the request was sent");
    return OK;
}

/* Schemes that say once on a connection who speaks there: whatever else came over it would be taken
 * for that client's (RFC 4559 §6). */
static bool has_scheme_of_connections(const struct fields *fields, enum field_id id)
{
    if (fields_find(fields, id) == NULL)
        return false;
    for (uint32_t i = 0; i < fields->count; i++) {
        struct slice rest = fields->items[i].id == id ? fields->items[i].value : SLICE("");
        while (rest.size > 0) { /* challenges of several schemes may share a field */
            size_t comma = slice_find(rest, ',');
            struct slice part = slice_trim(slice_first(rest, comma));
            if (slice_starts_nocase(part, SLICE("NTLM")) ||
                slice_starts_nocase(part, SLICE("Negotiate")))
                return true;
            rest = slice_from(rest, comma + 1);
        }
    }
    return false;
}

enum status call_h1(struct upstream_call *call, int64_t deadline)
{
    struct upstream_exchange *inside = call->inside;
    size_t used = 0;
    int64_t began = loop_now();
    TRY(send_request(call, deadline));
    for (int interim = 0;; interim++) {
        TRY(read_head(call, &used, deadline));
        if (call->head.status >= 200 || call->head.status == 101)
            break;
        if (interim >= INTERIM_MAX)
            return call_fail(call, ERR_LIMIT, 502, "http_protocol_error",
                             "h1: too many interim responses");
        if (call->head.status != 100 && call->request.on_interim != NULL)
            call->request.on_interim(call->request.argument, call->head.status, &call->head.fields);
        memmove(inside->data, inside->data + used, inside->size - used);
        inside->size -= used;
    }
    call->first_byte_time = loop_now() - began;
    inside->connection->is_of_one =
        has_scheme_of_connections(call->request.fields, FIELD_AUTHORIZATION) ||
        has_scheme_of_connections(&call->head.fields, FIELD_WWW_AUTHENTICATE);
    if (call->head.status == 101)
        TRY(check_upgrade(call));
    call_open_body(call, slice_of(inside->data + used, inside->size - used));
    if (call->head.status == 101) {
        call->tunnel = &inside->connection->stream;
        call->tunnel_early = inside->body.ahead;
    }
    return OK;
}
