/* SPDX-License-Identifier: Apache-2.0 */
#include "http/h2_head.h"

#include "base/check.h"
#include "http/chars.h"
#include "http/h1_fields.h"
#include "http/uri.h"

enum {
    METHOD_SIZE_MAX = 32,
    LENGTH_DIGITS_MAX = 19, /* 2^63 − 1 */
    PSEUDO_SIZE = 24,       /* what stands around method and target in a request line, generously */
    COOKIE_FIRST_SIZE = 256,
};

void h2_head_begin(struct h2_head *head, enum h2_block_kind kind, const struct h2_limits *limits,
                   struct arena *arena, struct fields *fields)
{
    memset(head, 0, offsetof(struct h2_head, last));
    head->kind = kind;
    head->limits = limits;
    head->arena = arena;
    head->fields = fields;
}

static void malformed(struct h2_head *head)
{
    head->is_malformed = true;
}

static void refuse(struct h2_head *head, enum refusal refusal)
{
    if (head->refusal == REFUSAL_NONE)
        head->refusal = refusal;
}

/* What nearly all requests say is not copied. */
static struct slice usual_or_copy(struct h2_head *head, struct slice value)
{
    static const struct slice USUAL[] = {{"GET", 3}, {"https", 5}, {"POST", 4}, {"http", 4}};
    for (size_t i = 0; i < sizeof USUAL / sizeof *USUAL; i++)
        if (slice_equal(value, USUAL[i]))
            return USUAL[i];
    return arena_copy(head->arena, value);
}

/* A pseudo-field goes to its place, once. */
static void set_pseudo(struct h2_head *head, struct slice *place, struct slice value)
{
    if (place->data != NULL)
        malformed(head);
    else if (place == &head->method || place == &head->scheme)
        *place = usual_or_copy(head, value);
    else
        *place = arena_copy(head->arena, value);
}

/* Where its value goes; NULL: it has no place in such a head. No two that are of one size begin
 * with the same letter. */
static struct slice *place_of_pseudo(struct h2_head *head, struct slice name)
{
    static const struct slice STATUS = {":status", 7}, METHOD = {":method", 7}, PATH = {":path", 5},
                              SCHEME = {":scheme", 7}, AUTHORITY = {":authority", 10},
                              PROTOCOL = {":protocol", 9};
    if (head->kind == H2_BLOCK_RESPONSE)
        return slice_equal(name, STATUS) ? &head->status : NULL;
    switch (name.size) {
    case 5:
        return slice_equal(name, PATH) ? &head->path : NULL;
    case 7:
        if (name.data[1] == 'm')
            return slice_equal(name, METHOD) ? &head->method : NULL;
        return slice_equal(name, SCHEME) ? &head->scheme : NULL;
    case 9:
        return slice_equal(name, PROTOCOL) ? &head->protocol : NULL;
    case 10:
        return slice_equal(name, AUTHORITY) ? &head->authority : NULL;
    default:
        return NULL;
    }
}

static void add_pseudo(struct h2_head *head, struct slice name, struct slice value)
{
    bool is_request = head->kind == H2_BLOCK_REQUEST;
    size_t max = (size_t)head->limits->head.line_size;
    if (head->has_regular || head->kind == H2_BLOCK_TRAILERS) {
        malformed(head);
        return;
    }
    if (value.size > max) {
        /* Too long to be kept; that it is there is known. */
        if (!is_request || !slice_equal(name, SLICE(":path")))
            malformed(head);
        refuse(head, REFUSAL_LINE_SIZE);
        return;
    }
    struct slice *place = place_of_pseudo(head, name);
    if (place == NULL)
        malformed(head);
    else
        set_pseudo(head, place, value);
    head->has_protocol = head->has_protocol || place == &head->protocol;
}

/* Names are tokens in lower case (RFC 9113 §8.2.1). */
static bool is_lower_token(struct slice name)
{
    for (size_t i = 0; i < name.size; i++)
        if (!chars_is(name.data[i], CHAR_TOKEN) || ascii_lower(name.data[i]) != name.data[i])
            return false;
    return name.size > 0;
}

static bool is_good_value(struct slice value)
{
    if (chars_span_value(value.data, value.size) != value.size)
        return false;
    if (value.size == 0)
        return true;
    char first = value.data[0];
    char last = value.data[value.size - 1];
    return first != ' ' && first != '\t' && last != ' ' && last != '\t';
}

/* What has no place in HTTP/2 (RFC 9113 §8.2.2). */
static bool is_of_connection(enum field_id id, struct slice value)
{
    switch (id) {
    case FIELD_CONNECTION:
    case FIELD_KEEP_ALIVE:
    case FIELD_PROXY_CONNECTION:
    case FIELD_TRANSFER_ENCODING:
    case FIELD_UPGRADE:
    case FIELD_HTTP2_SETTINGS:
        return true;
    case FIELD_TE:
        return !slice_equal_nocase(value, SLICE("trailers"));
    default:
        return false;
    }
}

static void read_length(struct h2_head *head, struct slice value)
{
    bool is_padded = value.size > 1 && value.data[0] == '0';
    if (head->has_length || is_padded || value.size > LENGTH_DIGITS_MAX ||
        !slice_to_u64(value, INT64_MAX, &head->length))
        malformed(head);
    head->has_length = true;
}

/* Crumbs of a cookie become one field again (RFC 9113 §8.2.3). True: this was a later one. */
static bool join_crumb(struct h2_head *head, struct slice value)
{
    head->crumbs++;
    if (head->crumbs == 1) {
        head->cookie_at = head->fields->count;
        return false;
    }
    if (head->crumbs > H2_CRUMBS_MAX) {
        refuse(head, REFUSAL_FIELDS_COUNT);
        return true;
    }
    struct slice *joined = &head->fields->items[head->cookie_at].value;
    if (head->crumbs == 2) {
        head->cookie = buffer_in(head->arena, joined->size + value.size + COOKIE_FIRST_SIZE);
        buffer_append(&head->cookie, *joined);
    }
    buffer_append(&head->cookie, SLICE("; "));
    buffer_append(&head->cookie, value);
    *joined = buffer_slice(&head->cookie);
    return true;
}

static void keep(struct h2_head *head, enum field_id id, struct slice name, struct slice value)
{
    /* A known name is written as usual: servers of HTTP/1 see what they are used to. */
    struct slice kept_name = id == FIELD_OTHER ? arena_copy(head->arena, name) : field_name_of(id);
    struct slice kept = value.size == 0 ? SLICE("") : arena_copy(head->arena, value);
    if (!fields_append_checked(head->fields, id, kept_name, kept))
        refuse(head, REFUSAL_FIELDS_COUNT);
}

void h2_head_add(struct h2_head *head, struct slice name, struct slice value)
{
    if (head->is_malformed || head->refusal != REFUSAL_NONE) {
        head->ignored++; /* decoded for the sake of the table, and not kept */
        return;
    }
    if (name.size > 0 && name.data[0] == ':') {
        add_pseudo(head, name, value);
        return;
    }
    head->has_regular = true;
    enum field_id id = field_id_of(name);
    if (!is_lower_token(name) || !is_good_value(value) || is_of_connection(id, value)) {
        malformed(head);
        return;
    }
    bool is_crumb = id == FIELD_COOKIE && head->kind == H2_BLOCK_REQUEST;
    bool is_later_crumb = is_crumb && head->crumbs > 0;
    size_t size = is_later_crumb ? value.size + 2 : name.size + value.size;
    if (size > head->limits->head.fields_size - head->size) {
        refuse(head, REFUSAL_FIELDS_SIZE);
        return;
    }
    head->size += size;
    if (is_crumb && join_crumb(head, value))
        return;
    if (head->count >= head->limits->head.fields_count) {
        refuse(head, REFUSAL_FIELDS_COUNT);
        return;
    }
    head->count++;
    if (id == FIELD_CONTENT_LENGTH)
        read_length(head, value);
    if (head->kind != H2_BLOCK_RESPONSE && id == FIELD_OTHER &&
        chars_span(name, CHAR_NAME) != name.size) {
        if (head->limits->head.field_names == FIELD_NAMES_REJECT)
            refuse(head, REFUSAL_FIELD_NAME_POLICY);
        if (head->limits->head.field_names != FIELD_NAMES_ALLOW)
            return;
    }
    keep(head, id, name, value);
}

static void read_path(struct h2_head *head, struct request_head *request)
{
    struct slice path = head->path;
    if (path.size == 0 || chars_span(path, CHAR_TARGET) != path.size) {
        malformed(head);
        return;
    }
    request->target = path;
    if (path.data[0] == '*' && path.size == 1 && request->method == METHOD_OPTIONS) {
        request->path = path;
        return;
    }
    if (path.data[0] != '/') {
        malformed(head);
        return;
    }
    size_t mark = slice_find(path, '?');
    request->path = slice_first(path, mark);
    request->has_query = mark < path.size;
    request->query = slice_from(path, mark + 1);
}

static void read_method(struct h2_head *head, struct request_head *request)
{
    struct slice method = head->method;
    if (method.size == 0 || method.size > METHOD_SIZE_MAX ||
        chars_span(method, CHAR_TOKEN) != method.size) {
        malformed(head);
        return;
    }
    request->method_text = method;
    request->method = method_of(method);
    if (request->method == METHOD_TRACE)
        refuse(head, REFUSAL_TRACE);
    if (request->method == METHOD_CONNECT && !head->has_protocol)
        refuse(head, REFUSAL_CONNECT);
    if (request->method != METHOD_CONNECT && head->has_protocol)
        malformed(head);
}

static uint16_t port_or_default(uint16_t port, const struct h2_head *head)
{
    return port != 0 ? port : head->limits->is_secure ? 443 : 80;
}

static bool read_authority(struct h2_head *head, struct slice text, struct slice *host,
                           uint16_t *port)
{
    struct h2_authority *last = &head->last;
    if (text.size > 0 && slice_equal(text, slice_of(last->text, last->size))) {
        *host = slice_first(text, last->host_size);
        *port = last->port;
        return true;
    }
    if (!uri_parse_authority((char *)(uintptr_t)text.data, text.size, host, port))
        return false;
    if (text.size > sizeof last->text)
        return true;
    check(host->data == text.data);
    last->size = (uint8_t)text.size;
    last->host_size = (uint8_t)host->size;
    last->port = *port;
    memcpy(last->text, text.data, text.size);
    return true;
}

/* `:authority` and Host say the same, or one of them is there (RFC 9113 §8.3.1). */
static void read_host(struct h2_head *head, struct request_head *request)
{
    const struct field *found = NULL;
    for (uint32_t i = 0; i < head->fields->count; i++) {
        if (head->fields->items[i].id != FIELD_HOST)
            continue;
        if (found != NULL) {
            refuse(head, REFUSAL_HOST_REPEATED);
            return;
        }
        found = &head->fields->items[i];
    }
    if (found == NULL && head->authority.size == 0) {
        refuse(head, REFUSAL_HOST_MISSING);
        return;
    }
    struct slice authority = head->authority.size > 0 ? head->authority : found->value;
    if (!read_authority(head, authority, &request->host, &request->port)) {
        refuse(head, REFUSAL_HOST);
        return;
    }
    if (found == NULL) {
        fields_append_checked(head->fields, FIELD_HOST, field_name_of(FIELD_HOST), authority);
        return;
    }
    struct slice host;
    uint16_t port;
    if (!read_authority(head, found->value, &host, &port) || !slice_equal(host, request->host) ||
        port_or_default(port, head) != port_or_default(request->port, head))
        refuse(head, REFUSAL_HOST);
}

static void read_body_of_request(struct h2_head *head, bool ends, struct request_head *request)
{
    request->framing = head->has_length ? FRAMING_LENGTH : ends ? FRAMING_NONE : FRAMING_CHUNKED;
    request->length = head->length;
    if (ends && head->has_length && head->length > 0)
        malformed(head);
    const struct field *expect = fields_find(head->fields, FIELD_EXPECT);
    if (expect == NULL)
        return;
    if (!slice_equal_nocase(expect->value, SLICE("100-continue")))
        refuse(head, REFUSAL_EXPECT);
    request->expects_continue = !ends;
}

/* An extended CONNECT (RFC 8441) is what an upgrade is to HTTP/1: the exchange sees a GET that asks
 * for the protocol. WebSocket alone: with another one, such as HTTP/2 in clear, a client would have
 * a tunnel to the server past everything that judges requests. */
static void read_protocol(struct h2_head *head, bool ends, struct request_head *request)
{
    bool is_token =
        head->protocol.size > 0 && chars_span(head->protocol, CHAR_TOKEN) == head->protocol.size;
    if (!is_token || ends || head->has_length) {
        malformed(head);
        return;
    }
    if (!slice_equal_nocase(head->protocol, SLICE("websocket"))) {
        refuse(head, REFUSAL_PROTOCOL);
        return;
    }
    request->method = METHOD_GET;
    request->method_text = method_name(METHOD_GET);
    request->upgrade = head->protocol;
    request->framing = FRAMING_NONE;
}

void h2_head_end_request(struct h2_head *head, bool ends, struct request_head *request)
{
    request->major = 2;
    request->minor = 1; /* all that 1.1 knows is known */
    request->keep_alive = true;
    if (head->refusal != REFUSAL_NONE || head->is_malformed) {
        if (head->method.size > 0 && head->method.size <= METHOD_SIZE_MAX)
            request->method = method_of(request->method_text = head->method);
        return;
    }
    bool is_connect = slice_equal(head->method, method_name(METHOD_CONNECT)) && !head->has_protocol;
    bool has_scheme = head->scheme.size > 0, has_path = head->path.data != NULL;
    /* RFC 9113, 8.3.1 and 8.5: a plain CONNECT has none of these, all else both. */
    if (has_scheme == is_connect || has_path == is_connect) {
        malformed(head);
        return;
    }
    if (is_connect) {
        read_method(head, request);
        return;
    }
    read_method(head, request);
    read_path(head, request);
    if (head->path.size + head->method.size + PSEUDO_SIZE > head->limits->head.line_size)
        refuse(head, REFUSAL_LINE_SIZE);
    struct slice scheme = head->limits->is_secure ? SLICE("https") : SLICE("http");
    if (!slice_equal(head->scheme, scheme) && !slice_equal_nocase(head->scheme, scheme))
        refuse(head, REFUSAL_SCHEME);
    if (head->is_malformed)
        return;
    read_host(head, request);
    read_body_of_request(head, ends, request);
    if (head->has_protocol && !head->is_malformed)
        read_protocol(head, ends, request);
}

void h2_head_end_response(struct h2_head *head, bool ends, enum method method,
                          struct response_head *response)
{
    response->minor = 1;
    response->keep_alive = true;
    if (head->is_malformed || head->refusal != REFUSAL_NONE)
        return;
    if (head->status.size != 3) {
        malformed(head);
        return;
    }
    for (size_t i = 0; i < head->status.size; i++) {
        unsigned digit = (unsigned)(head->status.data[i] - '0');
        if (digit > 9)
            malformed(head);
        response->status = response->status * 10 + (int)digit;
    }
    /* 101 is not of HTTP/2 (RFC 9113 §8.6), and an interim response ends nothing. */
    if (response->status < 100 || response->status > 599 || response->status == 101 ||
        (response->status < 200 && (ends || head->has_length)))
        malformed(head);
    bool is_bodiless = response->status == 204 || response->status == 304 || method == METHOD_HEAD;
    response->length = head->length;
    response->framing = response->status < 200 || is_bodiless ? FRAMING_NONE
                        : head->has_length                    ? FRAMING_LENGTH
                        : ends                                ? FRAMING_LENGTH
                                                              : FRAMING_CHUNKED;
    if (ends && head->has_length && head->length > 0 && !is_bodiless)
        malformed(head);
}

void h2_head_end_trailers(struct h2_head *head)
{
    if (head->has_length)
        malformed(head);
}
