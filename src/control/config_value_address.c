/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses, servers, address ranges, host names and URLs: their spelling, nothing is resolved. */
#include "control/config_value.h"
#include "net/address.h"

enum {
    HOST_MAX = 253, /* RFC 1035 §2.3.4 */
    LABEL_MAX = 63,
};

static bool is_alnum(char c)
{
    char lower = ascii_lower(c);
    return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9');
}

/* Why a text is no host name; NULL: it is one. Underscores occur in names of containers. */
static const char *host_problem(struct slice host)
{
    size_t label = 0;
    if (host.size == 0)
        return "it is empty";
    if (host.size > HOST_MAX)
        return "it is longer than 253 characters";
    for (size_t i = 0; i < host.size; i++) {
        char c = host.data[i];
        if ((unsigned char)c >= 0x80)
            return "letters outside ASCII are written in their xn-- form";
        if (c == '.' && label == 0)
            return "a part between two dots is empty";
        if (c != '.' && !is_alnum(c) && c != '-' && c != '_')
            return "it may hold letters, digits, hyphens and dots";
        label = c == '.' ? 0 : label + 1;
        if (label > LABEL_MAX)
            return "a part between two dots is longer than 63 characters";
    }
    return label == 0 ? "it ends with a dot" : NULL;
}

static bool is_port(struct slice text)
{
    uint64_t port = 0;
    return slice_to_u64(text, 65535, &port) && port > 0;
}

/* Where ":port" begins, behind brackets; the size when there is none. */
static size_t port_at(struct slice text)
{
    size_t start = text.size > 0 && text.data[0] == '[' ? slice_find(text, ']') : 0;
    struct slice rest = slice_from(text, start);
    return start + slice_find(rest, ':');
}

static const char *unix_problem(struct slice path)
{
    if (path.size == 0 || path.data[0] != '/')
        return "unix: is followed by an absolute path";
    return path.size >= sizeof(((struct sockaddr_un *)NULL)->sun_path) ? "the path is too long"
                                                                       : NULL;
}

/* Why host[:port] is wrong, or NULL. */
static const char *authority_problem(struct slice text, bool needs_host, bool needs_port)
{
    struct address address;
    size_t colon = port_at(text);
    struct slice host = slice_first(text, colon);
    if (text.size == 0)
        return "it is empty";
    if (text.data[0] != '[' && address_parse_ip(text, &address) && colon < text.size)
        return "an IPv6 address with a port is written [address]:port";
    if (colon == text.size && needs_port)
        return "it has no port";
    if (colon < text.size && !is_port(slice_from(text, colon + 1)))
        return "the port is a number from 1 to 65535";
    if (host.size == 0)
        return needs_host ? "it has no host" : NULL;
    if (host.data[0] == '[')
        return address_parse_ip(host, &address) ? NULL : "in brackets stands an IPv6 address";
    bool looks_numeric = true;
    for (size_t i = 0; i < host.size; i++)
        looks_numeric =
            looks_numeric && (host.data[i] == '.' || (host.data[i] >= '0' && host.data[i] <= '9'));
    if (looks_numeric)
        return address_parse_ip(host, &address) ? NULL : "that is no IPv4 address";
    return host_problem(host);
}

static bool read_address(const struct config_value *value, bool needs_host)
{
    struct slice text = value->word->text;
    bool is_unix = slice_starts(text, SLICE("unix:"));
    const char *why =
        is_unix ? unix_problem(slice_from(text, 5)) : authority_problem(text, needs_host, true);
    if (why == NULL)
        return config_value_store(value, text);
    bool lacks_port = !is_unix && authority_problem(text, needs_host, false) == NULL;
    if (lacks_port)
        return config_value_fail(value, CONFIG_ADDRESS, why, "write %.*s:%s", SLICE_ARG(text),
                                 needs_host ? "80" : "8080");
    uint64_t port = 0;
    if (!needs_host && slice_to_u64(text, 65535, &port))
        return config_value_fail(value, CONFIG_ADDRESS, why, "write :%.*s", SLICE_ARG(text));
    return config_value_fail(value, CONFIG_ADDRESS, why, "%s", "");
}

static bool read_server(const struct config_value *value)
{
    struct slice text = value->word->text;
    bool is_tls = slice_starts(text, SLICE("https://"));
    if (!is_tls && !slice_starts(text, SLICE("http://")))
        return read_address(value, true);
    struct slice authority = slice_from(text, is_tls ? 8 : 7);
    size_t slash = slice_find(authority, '/');
    if (slash < authority.size)
        return config_value_fail(value, CONFIG_ADDRESS, "a server has no path",
                                 "write %s://%.*s; steps such as rewrite change the path",
                                 is_tls ? "https" : "http",
                                 SLICE_ARG(slice_first(authority, slash)));
    const char *why = authority_problem(authority, true, false);
    return why == NULL ? config_value_store(value, text)
                       : config_value_fail(value, CONFIG_ADDRESS, why, "%s", "");
}

/* A word without colon and slash is the name of an upstream. */
static bool read_upstream(const struct config_value *value)
{
    struct slice text = value->word->text;
    if (slice_find(text, ':') < text.size || slice_find(text, '/') < text.size)
        return read_server(value);
    struct config_decoder *decoder = value->decoder;
    struct config_reference *reference = arena_alloc(decoder->arena, sizeof(*reference));
    *reference = (struct config_reference){
        .kind = "upstream", .word = value->word, .next = decoder->references};
    decoder->references = reference;
    return config_value_store(value, text);
}

/* The first byte or bits that the length leaves free must be zero: else it is not clear what was
 * meant. */
static bool has_host_bits(const struct address *address, uint64_t bits)
{
    const uint8_t *bytes = address->any.sa_family == AF_INET
                               ? (const uint8_t *)&address->v4.sin_addr
                               : (const uint8_t *)&address->v6.sin6_addr;
    size_t size = address->any.sa_family == AF_INET ? 4 : 16;
    for (size_t i = 0; i < size; i++) {
        uint64_t kept = bits >= (i + 1) * 8 ? 8 : bits <= i * 8 ? 0 : bits - i * 8;
        if (bytes[i] & (0xffu >> kept))
            return true;
    }
    return false;
}

static bool read_cidr(const struct config_value *value)
{
    struct slice text = value->word->text;
    size_t slash = slice_find(text, '/');
    struct address address;
    if (!address_parse_ip(slice_first(text, slash), &address))
        return config_value_fail(value, CONFIG_CIDR, "it does not begin with an IP address", "%s",
                                 "");
    uint64_t bits = 0;
    uint64_t bits_max = address.any.sa_family == AF_INET ? 32 : 128;
    if (slash == text.size)
        return config_value_store(value, text);
    if (!slice_to_u64(slice_from(text, slash + 1), bits_max, &bits))
        return config_value_fail(value, CONFIG_CIDR, "the length behind / is wrong",
                                 "allowed: 0 to %u", (unsigned)bits_max);
    if (has_host_bits(&address, bits))
        return config_value_fail(value, CONFIG_CIDR, "bits are set behind the length of the range",
                                 "write %.*s for the address alone",
                                 SLICE_ARG(slice_first(text, slash)));
    return config_value_store(value, text);
}

static bool read_host(const struct config_value *value)
{
    struct slice text = value->word->text;
    struct address address;
    if (slice_equal(text, SLICE("*")) || address_parse_ip(text, &address))
        return config_value_store(value, text);
    struct slice name = slice_starts(text, SLICE("*.")) ? slice_from(text, 2) : text;
    size_t colon = slice_find(name, ':');
    if (slice_starts(text, SLICE("http://")) || slice_starts(text, SLICE("https://")))
        return config_value_fail(value, CONFIG_HOST, "a site is named without http://", "%s", "");
    if (colon < name.size && is_port(slice_from(name, colon + 1)))
        return config_value_fail(value, CONFIG_HOST, "a site is named without a port",
                                 "write a line in its block: listen :%.*s",
                                 SLICE_ARG(slice_from(name, colon + 1)));
    const char *why = slice_find(name, '*') < name.size
                          ? "a * stands in place of the first part only"
                          : host_problem(name);
    if (why != NULL)
        return config_value_fail(value, CONFIG_HOST, why, "%s", "");
    char *lower = arena_alloc(value->decoder->arena, text.size + 1);
    for (size_t i = 0; i < text.size; i++)
        lower[i] = ascii_lower(text.data[i]);
    return config_value_store(value, slice_of(lower, text.size));
}

static bool read_url(const struct config_value *value)
{
    struct slice text = value->word->text;
    size_t scheme = slice_starts(text, SLICE("http://"))    ? 7
                    : slice_starts(text, SLICE("https://")) ? 8
                                                            : 0;
    if (scheme == 0)
        return config_value_fail(value, CONFIG_URL, "it begins with http:// or https://", "%s", "");
    struct slice rest = slice_from(text, scheme);
    struct slice authority = slice_first(rest, slice_find(rest, '/'));
    const char *why = authority_problem(authority, true, false);
    return why == NULL ? config_value_store(value, text)
                       : config_value_fail(value, CONFIG_URL, why, "%s", "");
}

bool config_address_read(const struct config_value *value)
{
    switch (value->option->type) {
    case OPTION_ADDRESS:
        return read_address(value, false);
    case OPTION_SERVER:
        return read_server(value);
    case OPTION_UPSTREAM:
        return read_upstream(value);
    case OPTION_CIDR:
        return read_cidr(value);
    case OPTION_HOST:
        return read_host(value);
    default:
        return read_url(value);
    }
}
