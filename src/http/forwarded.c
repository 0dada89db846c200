/* SPDX-License-Identifier: Apache-2.0 */
#include "http/forwarded.h"

#include "http/chars.h"

/* Whether the quote there is a plain character of a quoted string (RFC 9110 §5.6.4). */
static bool is_escaped(struct slice text, size_t at)
{
    size_t backslashes = 0;
    while (backslashes < at && text.data[at - backslashes - 1] == '\\')
        backslashes++;
    return backslashes % 2 == 1;
}

bool forwarded_take_last(struct slice *list, struct slice *element)
{
    while (list->size > 0) {
        size_t start = list->size;
        bool is_quoted = false;
        while (start > 0 && (is_quoted || list->data[start - 1] != ',')) {
            start--;
            if (list->data[start] == '"' && !(is_quoted && is_escaped(*list, start)))
                is_quoted = !is_quoted;
        }
        *element = slice_trim(slice_from(*list, start));
        *list = slice_first(*list, start == 0 ? 0 : start - 1);
        if (element->size > 0) /* empty elements are passed over (RFC 9110 §5.6.1.2) */
            return true;
    }
    return false;
}

static struct slice take_token(struct slice *rest)
{
    size_t size = 0;
    while (size < rest->size && chars_is(rest->data[size], CHAR_TOKEN))
        size++;
    struct slice token = slice_first(*rest, size);
    *rest = slice_from(*rest, size);
    return token;
}

/* A quoted string without its quotes and backslashes. */
static bool take_quoted(struct slice *rest, struct arena *arena, struct slice *value)
{
    char *text = arena_alloc(arena, rest->size);
    size_t size = 0;
    for (size_t i = 1; i < rest->size; i++) {
        char c = rest->data[i];
        if (c == '"') {
            *value = slice_of(text, size);
            *rest = slice_from(*rest, i + 1);
            return true;
        }
        if (c == '\\' && ++i < rest->size)
            c = rest->data[i];
        if ((c < ' ' && c != '\t') || c == 0x7f)
            return false;
        text[size++] = c;
    }
    return false;
}

static bool take_value(struct slice *rest, struct arena *arena, struct slice *value)
{
    if (rest->size > 0 && rest->data[0] == '"')
        return take_quoted(rest, arena, value) && value->size > 0;
    *value = take_token(rest);
    return value->size > 0;
}

/* Obfuscated: "_" and letters, digits, ".", "_", "-" (§6.3). */
static bool is_obfuscated(struct slice text)
{
    for (size_t i = 1; i < text.size; i++) {
        char c = ascii_lower(text.data[i]);
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '.' && c != '_' && c != '-')
            return false;
    }
    return text.size > 1 && text.data[0] == '_';
}

/* node = nodename [ ":" node-port ] (§6). */
static bool split_node(struct slice node, struct slice *name, struct slice *port)
{
    bool is_v6 = node.size > 0 && node.data[0] == '[';
    size_t end = is_v6 ? slice_find(node, ']') + 1 : slice_find(node, ':');
    if (end > node.size || (end < node.size && node.data[end] != ':'))
        return false;
    *name = slice_first(node, end);
    *port = slice_from(node, end + 1);
    return end == node.size || port->size > 0;
}

static bool is_port(struct slice text, uint64_t *port)
{
    return text.size <= 5 && slice_to_u64(text, UINT16_MAX, port);
}

static bool is_node(struct slice node)
{
    struct slice name;
    struct slice port_text;
    struct address address;
    uint64_t port;
    if (!split_node(node, &name, &port_text))
        return false;
    if (port_text.size > 0 && !is_port(port_text, &port) && !is_obfuscated(port_text))
        return false;
    return slice_equal_nocase(name, SLICE("unknown")) || is_obfuscated(name) ||
           address_parse_ip(name, &address);
}

bool forwarded_node(struct slice node, struct address *address)
{
    struct slice name;
    struct slice port_text;
    uint64_t port = 0;
    if (!split_node(node, &name, &port_text) || !address_parse_ip(name, address))
        return false;
    if (port_text.size > 0 && !is_port(port_text, &port))
        port = 0; /* obfuscated */
    address_set_port(address, (uint16_t)port);
    return port_text.size == 0 || port > 0 || is_node(node);
}

static bool is_host(struct slice text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] <= ' ' || text.data[i] >= 0x7f || strchr("\"\\,;/?#@", text.data[i]))
            return false;
    return true;
}

/* Scheme names (RFC 3986 §3.1). */
static bool is_scheme(struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        char c = ascii_lower(text.data[i]);
        bool is_letter = c >= 'a' && c <= 'z';
        if (!is_letter && (i == 0 || (!(c >= '0' && c <= '9') && !strchr("+-.", c))))
            return false;
    }
    return true;
}

bool forwarded_parse(struct slice element, struct arena *arena, struct forwarded *read)
{
    const struct {
        struct slice name;
        struct slice *value;
        bool (*is_good)(struct slice text);
    } KNOWN[] = {
        {SLICE("for"), &read->client, is_node},
        {SLICE("by"), &read->by, is_node},
        {SLICE("host"), &read->host, is_host},
        {SLICE("proto"), &read->proto, is_scheme},
    };
    *read = (struct forwarded){0};
    struct slice rest = element;
    for (;;) {
        struct slice value = SLICE("");
        struct slice name = take_token(&rest);
        if (name.size > 0) {
            if (rest.size == 0 || rest.data[0] != '=')
                return false;
            rest = slice_from(rest, 1);
            if (!take_value(&rest, arena, &value))
                return false;
        }
        for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; i++) {
            if (!slice_equal_nocase(name, KNOWN[i].name))
                continue;
            if (KNOWN[i].value->size > 0 || !KNOWN[i].is_good(value))
                return false;
            *KNOWN[i].value = value;
        }
        if (rest.size == 0)
            return true;
        if (rest.data[0] != ';')
            return false;
        rest = slice_from(rest, 1);
    }
}

bool forwarded_is_good(struct slice list, struct arena *arena)
{
    struct slice element;
    struct forwarded read;
    while (forwarded_take_last(&list, &element))
        if (!forwarded_parse(element, arena, &read))
            return false;
    return true;
}

static void append_quoted(struct buffer *out, struct slice text)
{
    buffer_append_byte(out, '"');
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '"' || text.data[i] == '\\')
            buffer_append_byte(out, '\\');
        buffer_append_byte(out, text.data[i]);
    }
    buffer_append_byte(out, '"');
}

static void append_value(struct buffer *out, struct slice text)
{
    bool is_token = text.size > 0;
    for (size_t i = 0; i < text.size; i++)
        is_token = is_token && chars_is(text.data[i], CHAR_TOKEN);
    if (is_token)
        buffer_append(out, text);
    else
        append_quoted(out, text);
}

void forwarded_append(struct buffer *out, const struct address *client, struct slice host,
                      struct slice proto)
{
    char ip[ADDRESS_TEXT_MAX];
    char bracketed[ADDRESS_TEXT_MAX];
    struct slice node = SLICE("unknown");
    if (client->size > 0 && client->any.sa_family != AF_UNIX) {
        struct buffer text = buffer_fixed(bracketed, sizeof bracketed);
        node = address_format_ip(client, ip);
        bool is_v6 = slice_find(node, ':') < node.size;
        buffer_append(&text, is_v6 ? SLICE("[") : SLICE(""));
        buffer_append(&text, node);
        buffer_append(&text, is_v6 ? SLICE("]") : SLICE(""));
        node = buffer_slice(&text);
    }
    buffer_append(out, SLICE("for="));
    append_value(out, node);
    if (host.size > 0) {
        buffer_append(out, SLICE(";host="));
        append_value(out, host);
    }
    if (proto.size > 0) {
        buffer_append(out, SLICE(";proto="));
        append_value(out, proto);
    }
}
