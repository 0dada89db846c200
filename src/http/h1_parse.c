/* SPDX-License-Identifier: Apache-2.0 */
/* Request heads (RFC 9112 §3, §5, §6). Reads from left to right and judges each thing as soon as it
 * is seen whole, so that an error found in a part of a head is the error of the whole head. */
#include "http/h1_parse.h"

#include "http/chars.h"
#include "http/h1_fields.h"
#include "http/uri.h"

enum {
    EMPTY_LINES_MAX = 2,
    METHOD_SIZE_MAX = 32,
};

static const struct slice VERSION_START = {"HTTP/1.", 7};

/* Empty lines that some clients send after a body (RFC 9112 §2.2). */
static enum parse skip_empty_lines(struct h1_reader *reader)
{
    for (int i = 0; i < EMPTY_LINES_MAX; i++) {
        if (reader->at == reader->end)
            return PARSE_MORE;
        if (reader->at[0] != '\r')
            return PARSE_DONE;
        if (reader->at + 1 == reader->end)
            return PARSE_MORE;
        if (reader->at[1] != '\n')
            return PARSE_DONE; /* the request line will say what is wrong */
        reader->at += 2;
    }
    return PARSE_DONE;
}

static enum refusal read_version(struct slice text, uint8_t *minor)
{
    if (text.size != VERSION_START.size + 1 || !slice_starts(text, VERSION_START))
        return REFUSAL_REQUEST_LINE;
    char digit = text.data[VERSION_START.size];
    if (digit < '0' || digit > '9')
        return REFUSAL_REQUEST_LINE;
    *minor = (uint8_t)(digit - '0');
    return *minor > 1 ? REFUSAL_VERSION : REFUSAL_NONE;
}

/* What can be said of a request line whose end has not come. */
static enum refusal judge_start(struct slice line)
{
    size_t method = chars_span(slice_first(line, METHOD_SIZE_MAX + 1), CHAR_TOKEN);
    if (method == line.size)
        return method > METHOD_SIZE_MAX ? REFUSAL_METHOD : REFUSAL_NONE;
    if (method > METHOD_SIZE_MAX || method == 0 || line.data[method] != ' ')
        return REFUSAL_METHOD;
    struct slice target = slice_from(line, method + 1);
    size_t size = chars_span(target, CHAR_TARGET);
    if (size < target.size && target.data[size] != ' ')
        return REFUSAL_TARGET;
    return REFUSAL_NONE;
}

static enum refusal read_line(struct slice line, struct request_head *head)
{
    enum refusal refusal = judge_start(line);
    if (refusal != REFUSAL_NONE)
        return refusal;
    size_t method = slice_find(line, ' ');
    struct slice rest = slice_from(line, method + 1);
    size_t target = slice_find(rest, ' ');
    if (method == line.size || target == 0 || target == rest.size)
        return REFUSAL_REQUEST_LINE;
    head->method_text = slice_first(line, method);
    head->method = method_of(head->method_text);
    head->target = slice_first(rest, target);
    return read_version(slice_from(rest, target + 1), &head->minor);
}

static enum parse take_request_line(struct h1_reader *reader, struct request_head *head)
{
    struct slice line;
    struct slice seen = slice_of(reader->at, (size_t)(reader->end - reader->at));
    enum parse parse = h1_take_line(reader, reader->limits->line_size, REFUSAL_LINE_SIZE, &line);
    if (parse == PARSE_DONE) {
        reader->refusal = read_line(line, head);
        return reader->refusal == REFUSAL_NONE ? PARSE_DONE : PARSE_ERROR;
    }
    /* The byte that is wrong may stand before what is wrong with the line's end. */
    seen = slice_first(seen, slice_find(seen, '\n'));
    seen = slice_first(seen, slice_find(seen, '\r'));
    seen = slice_first(seen, (size_t)reader->limits->line_size + 1);
    enum refusal refusal = judge_start(seen);
    if (refusal != REFUSAL_NONE) {
        reader->refusal = refusal;
        return PARSE_ERROR;
    }
    return parse;
}

static void split_query(struct slice target, struct request_head *head)
{
    size_t mark = slice_find(target, '?');
    head->path = slice_first(target, mark);
    head->has_query = mark < target.size;
    head->query = slice_from(target, mark + 1);
}

/* origin-form, absolute-form and "*" (RFC 9112 §3.2). */
static enum refusal read_target(struct request_head *head)
{
    struct slice target = head->target;
    if (head->method == METHOD_CONNECT)
        return REFUSAL_CONNECT;
    if (head->method == METHOD_TRACE)
        return REFUSAL_TRACE;
    if (target.data[0] == '/') {
        split_query(target, head);
        return REFUSAL_NONE;
    }
    if (target.data[0] == '*') {
        head->path = target;
        return target.size == 1 && head->method == METHOD_OPTIONS ? REFUSAL_NONE : REFUSAL_TARGET;
    }
    size_t colon = slice_find_slice(target, SLICE("://"));
    head->scheme = slice_first(target, colon);
    if (!slice_equal_nocase(head->scheme, SLICE("http")) &&
        !slice_equal_nocase(head->scheme, SLICE("https")))
        return REFUSAL_TARGET;
    struct slice rest = slice_from(target, colon + 3);
    size_t authority = 0;
    while (authority < rest.size && rest.data[authority] != '/' && rest.data[authority] != '?')
        authority++;
    if (authority == 0 ||
        !uri_parse_authority((char *)(uintptr_t)rest.data, authority, &head->host, &head->port))
        return REFUSAL_TARGET;
    split_query(slice_from(rest, authority), head);
    if (head->path.size == 0)
        head->path = head->method == METHOD_OPTIONS && !head->has_query ? SLICE("*") : SLICE("/");
    return REFUSAL_NONE;
}

static uint16_t port_or_default(uint16_t port, struct slice scheme)
{
    if (port != 0)
        return port;
    return slice_equal_nocase(scheme, SLICE("https")) ? 443 : 80;
}

static enum refusal read_host(struct request_head *head)
{
    const struct field *found = NULL;
    for (uint32_t i = 0; i < head->fields.count; i++) {
        if (head->fields.items[i].id != FIELD_HOST)
            continue;
        if (found != NULL)
            return REFUSAL_HOST_REPEATED;
        found = &head->fields.items[i];
    }
    if (found == NULL)
        return head->minor >= 1 ? REFUSAL_HOST_MISSING : REFUSAL_NONE;
    struct slice host;
    uint16_t port;
    if (!uri_parse_authority((char *)(uintptr_t)found->value.data, found->value.size, &host, &port))
        return REFUSAL_HOST;
    if (head->host.size == 0) {
        head->host = host;
        head->port = port;
        return REFUSAL_NONE;
    }
    bool is_same = slice_equal(host, head->host) &&
                   port_or_default(port, head->scheme) == port_or_default(head->port, head->scheme);
    return is_same ? REFUSAL_NONE : REFUSAL_HOST;
}

static enum refusal read_upgrade(struct request_head *head,
                                 const struct h1_connection_options *options)
{
    const struct field *upgrade = fields_find(&head->fields, FIELD_UPGRADE);
    if (upgrade == NULL || !options->upgrade || head->minor == 0)
        return REFUSAL_NONE;
    /* Of a list the first protocol counts; HTTP/2 is not spoken that way any more (RFC 9113 §3.1).
     */
    struct slice rest = upgrade->value;
    struct slice protocol;
    if (!slice_next_element(&rest, &protocol) ||
        slice_equal_nocase(slice_first(protocol, 2), SLICE("h2")))
        return REFUSAL_NONE;
    head->upgrade = protocol;
    bool has_body =
        head->framing == FRAMING_CHUNKED || (head->framing == FRAMING_LENGTH && head->length > 0);
    return has_body ? REFUSAL_UPGRADE_BODY : REFUSAL_NONE;
}

static enum refusal read_expect(struct request_head *head)
{
    const struct field *expect = fields_find(&head->fields, FIELD_EXPECT);
    if (expect == NULL || head->minor == 0)
        return REFUSAL_NONE;
    if (!slice_equal_nocase(expect->value, SLICE("100-continue")))
        return REFUSAL_EXPECT;
    head->expects_continue =
        head->framing == FRAMING_CHUNKED || (head->framing == FRAMING_LENGTH && head->length > 0);
    return REFUSAL_NONE;
}

/* What the fields together mean. */
static enum refusal read_meaning(struct request_head *head)
{
    struct h1_framing framing;
    struct h1_connection_options options;
    enum refusal refusal = h1_read_framing(&head->fields, head->minor, &framing);
    if (refusal != REFUSAL_NONE)
        return refusal;
    head->framing = framing.has_coding   ? FRAMING_CHUNKED
                    : framing.has_length ? FRAMING_LENGTH
                                         : FRAMING_NONE;
    head->length = framing.length;
    if ((refusal = read_host(head)) != REFUSAL_NONE)
        return refusal;
    if (!h1_read_connection(&head->fields, &options))
        return REFUSAL_CONNECTION_LISTS;
    head->keep_alive = !options.close && (head->minor >= 1 || options.keep_alive);
    if ((refusal = read_upgrade(head, &options)) != REFUSAL_NONE)
        return refusal;
    return read_expect(head);
}

enum parse h1_parse_request(char *text, size_t size, const struct h1_limits *limits,
                            struct request_head *head, size_t *consumed, enum refusal *refusal)
{
    struct h1_reader reader = {.at = text, .end = text + size, .limits = limits};
    enum parse parse = skip_empty_lines(&reader);
    if (parse == PARSE_DONE)
        parse = take_request_line(&reader, head);
    if (parse == PARSE_DONE) {
        reader.refusal = read_target(head);
        parse = reader.refusal == REFUSAL_NONE ? PARSE_DONE : PARSE_ERROR;
    }
    if (parse == PARSE_DONE)
        parse = h1_take_fields(&reader, &head->fields);
    if (parse == PARSE_DONE) {
        reader.refusal = read_meaning(head);
        parse = reader.refusal == REFUSAL_NONE ? PARSE_DONE : PARSE_ERROR;
    }
    *refusal = reader.refusal;
    *consumed = (size_t)(reader.at - text);
    return parse;
}
