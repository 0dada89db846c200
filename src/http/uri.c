/* SPDX-License-Identifier: Apache-2.0 */
#include "http/uri.h"

#include "base/buffer.h"
#include "http/chars.h"
#include "net/address.h"

enum {
    HOST_SIZE_MAX = 255,
    LABEL_SIZE_MAX = 63,
    PORT_MAX = 65535,
};

/* Whether the path is canonical as it stands: the usual case, found in one pass. */
static bool is_canonical(struct slice raw, const struct uri_path_rules *rules)
{
    for (size_t i = 0; i < raw.size; i++) {
        char c = raw.data[i];
        if (c == '%' || c == '\\')
            return false;
        if (c != '/' || i + 1 == raw.size)
            continue;
        char next = raw.data[i + 1];
        if ((next == '/' && !rules->keep_slashes) || next == '.')
            return false;
    }
    return true;
}

/* Decodes one escape at raw[i]. False: broken or forbidden. */
static bool take_escape(struct slice raw, size_t i, const struct uri_path_rules *rules,
                        struct buffer *out)
{
    static const char HEX[] = "0123456789ABCDEF";
    if (i + 2 >= raw.size || !chars_is(raw.data[i + 1], CHAR_HEX) ||
        !chars_is(raw.data[i + 2], CHAR_HEX))
        return false;
    int byte = chars_hex(raw.data[i + 1]) << 4 | chars_hex(raw.data[i + 2]);
    if (byte == 0 || byte == '\\' || (byte == '/' && !rules->keep_escaped_slash))
        return false;
    if (chars_is((char)byte, CHAR_UNRESERVED)) {
        buffer_append_byte(out, (char)byte);
        return true;
    }
    buffer_append_byte(out, '%');
    buffer_append_byte(out, HEX[byte >> 4]);
    buffer_append_byte(out, HEX[byte & 15]);
    return true;
}

/* Unreserved escapes decoded, the rest in upper case. */
static bool decode(struct slice raw, const struct uri_path_rules *rules, struct buffer *out)
{
    for (size_t i = 0; i < raw.size; i++) {
        if (raw.data[i] == '\\')
            return false;
        if (raw.data[i] != '%') {
            buffer_append_byte(out, raw.data[i]);
            continue;
        }
        if (!take_escape(raw, i, rules, out))
            return false;
        i += 2;
    }
    return true;
}

/* Removes dot segments and, unless told otherwise, empty ones; in place. False: above the root. */
static bool remove_segments(struct slice *path, char *data, const struct uri_path_rules *rules)
{
    size_t out = 0;
    for (size_t i = 0; i < path->size;) {
        size_t end = i + 1; /* data[i] is a slash */
        while (end < path->size && data[end] != '/')
            end++;
        size_t size = end - i - 1;
        bool is_last = end == path->size;
        bool is_dot = size == 1 && data[i + 1] == '.';
        bool is_up = size == 2 && data[i + 1] == '.' && data[i + 2] == '.';
        if (is_up) {
            if (out == 0)
                return false;
            do
                out--;
            while (data[out] != '/');
        }
        if (is_dot || is_up) {
            if (is_last)
                data[out++] = '/';
        } else if (size > 0 || is_last || rules->keep_slashes) {
            memmove(data + out, data + i, end - i);
            out += end - i;
        }
        i = end;
    }
    path->size = out;
    return true;
}

bool uri_canonical_path(struct slice raw, const struct uri_path_rules *rules, struct arena *arena,
                        struct slice *path)
{
    if (raw.size == 0 || raw.data[0] != '/')
        return false;
    if (is_canonical(raw, rules)) {
        *path = raw;
        return true;
    }
    struct buffer out = buffer_in(arena, raw.size);
    if (!decode(raw, rules, &out))
        return false;
    *path = buffer_slice(&out);
    return remove_segments(path, out.data, rules);
}

static bool parse_port(struct slice text, uint16_t *port)
{
    uint64_t number;
    if (!slice_to_u64(text, PORT_MAX, &number) || number == 0)
        return false;
    *port = (uint16_t)number;
    return true;
}

/* Labels of 1 to 63 bytes; one trailing dot is the root and goes. Letters become small ones, in
 * place. */
static bool read_name(char *text, struct slice *host)
{
    if (host->size > 0 && host->data[host->size - 1] == '.')
        host->size--;
    if (host->size == 0 || host->size > HOST_SIZE_MAX)
        return false;
    size_t start = 0; /* of the label */
    for (size_t i = 0; i < host->size; i++) {
        char c = text[i];
        if (!chars_is(c, CHAR_HOST))
            return false;
        if (c >= 'A' && c <= 'Z')
            text[i] = (char)(c | 0x20);
        if (c != '.')
            continue;
        if (i == start || i - start > LABEL_SIZE_MAX)
            return false;
        start = i + 1;
    }
    return start < host->size && host->size - start <= LABEL_SIZE_MAX;
}

bool uri_parse_authority(char *text, size_t size, struct slice *host, uint16_t *port)
{
    *port = 0;
    struct slice all = slice_of(text, size);
    struct slice rest;
    bool is_v6 = size > 0 && text[0] == '[';
    if (is_v6) {
        size_t bracket = slice_find(all, ']');
        struct address address;
        if (bracket == size || !address_parse_ip(slice_first(all, bracket + 1), &address))
            return false;
        *host = slice_first(all, bracket + 1);
        rest = slice_from(all, bracket + 1);
    } else {
        size_t colon = slice_find(all, ':');
        *host = slice_first(all, colon);
        rest = slice_from(all, colon);
    }
    if (rest.size > 0 && (rest.data[0] != ':' || !parse_port(slice_from(rest, 1), port)))
        return false;
    if (!is_v6)
        return read_name(text, host);
    for (size_t i = 0; i < host->size; i++)
        text[i] = ascii_lower(text[i]);
    return true;
}

bool uri_parse(struct slice text, struct uri *uri)
{
    *uri = (struct uri){0};
    size_t colon = slice_find_slice(text, SLICE("://"));
    uri->scheme = slice_first(text, colon);
    if (colon == text.size || (!slice_equal_nocase(uri->scheme, SLICE("http")) &&
                               !slice_equal_nocase(uri->scheme, SLICE("https"))))
        return false;
    if (chars_span(text, CHAR_TARGET) != text.size)
        return false;
    struct slice rest = slice_from(text, colon + 3);
    size_t authority = 0;
    while (authority < rest.size && rest.data[authority] != '/' && rest.data[authority] != '?')
        authority++;
    char copy[HOST_SIZE_MAX + 8];
    if (authority == 0 || authority > sizeof copy)
        return false;
    memcpy(copy, rest.data, authority);
    struct slice host;
    if (!uri_parse_authority(copy, authority, &host, &uri->port))
        return false;
    uri->host = slice_of(rest.data, host.size);
    rest = slice_from(rest, authority);
    size_t mark = slice_find(rest, '?');
    uri->path = slice_first(rest, mark);
    uri->has_query = mark < rest.size;
    uri->query = slice_from(rest, mark + 1);
    return true;
}

struct slice uri_encode(struct slice text, struct arena *arena)
{
    static const char HEX[] = "0123456789ABCDEF";
    if (chars_span(text, CHAR_PATH) == text.size)
        return text;
    struct buffer out = buffer_in(arena, text.size + 32);
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (chars_is((char)c, CHAR_PATH)) {
            buffer_append_byte(&out, (char)c);
            continue;
        }
        buffer_append_byte(&out, '%');
        buffer_append_byte(&out, HEX[c >> 4]);
        buffer_append_byte(&out, HEX[c & 15]);
    }
    return buffer_slice(&out);
}
