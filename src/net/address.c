/* SPDX-License-Identifier: Apache-2.0 */
#include "net/address.h"

#include "base/buffer.h"

#include <arpa/inet.h>

enum {
    IP_TEXT_MAX = 46,
    PORT_MAX = 65535,
};

static const struct slice UNIX_PREFIX = {"unix:", 5};

static void set_v4(struct address *address, struct in_addr ip, uint16_t port)
{
    *address = (struct address){.size = sizeof address->v4};
    address->v4.sin_family = AF_INET;
    address->v4.sin_addr = ip;
    address->v4.sin_port = htons(port);
}

static void set_v6(struct address *address, struct in6_addr ip, uint16_t port)
{
    *address = (struct address){.size = sizeof address->v6};
    address->v6.sin6_family = AF_INET6;
    address->v6.sin6_addr = ip;
    address->v6.sin6_port = htons(port);
}

static bool parse_unix(struct slice path, struct address *address)
{
    *address = (struct address){.size = 0};
    if (path.size == 0 || path.size >= sizeof address->un.sun_path || path.data[0] != '/' ||
        slice_find(path, '\0') < path.size)
        return false;
    address->un.sun_family = AF_UNIX;
    memcpy(address->un.sun_path, path.data, path.size);
    address->size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.size + 1);
    return true;
}

bool address_parse_ip(struct slice text, struct address *address)
{
    bool is_bracketed = text.size >= 2 && text.data[0] == '[' && text.data[text.size - 1] == ']';
    if (is_bracketed)
        text = slice_of(text.data + 1, text.size - 2);
    char copy[IP_TEXT_MAX];
    if (text.size == 0 || text.size >= sizeof copy || slice_find(text, '\0') < text.size)
        return false;
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    struct in_addr v4;
    struct in6_addr v6;
    if (!is_bracketed && inet_pton(AF_INET, copy, &v4) == 1)
        set_v4(address, v4, 0);
    else if (inet_pton(AF_INET6, copy, &v6) == 1)
        set_v6(address, v6, 0);
    else
        return false;
    return true;
}

bool address_parse(struct slice text, uint16_t default_port, struct address *address)
{
    if (slice_starts(text, UNIX_PREFIX))
        return parse_unix(slice_from(text, UNIX_PREFIX.size), address);
    struct slice host = text;
    uint64_t port = default_port;
    bool is_plain_v6 = text.size > 0 && text.data[0] != '[' &&
                       slice_find(slice_from(text, slice_find(text, ':') + 1), ':') <
                           slice_from(text, slice_find(text, ':') + 1).size;
    size_t colon = text.size;
    while (colon > 0 && text.data[colon - 1] != ':' && text.data[colon - 1] != ']')
        colon--;
    if (!is_plain_v6 && colon > 0 && text.data[colon - 1] == ':') {
        host = slice_first(text, colon - 1);
        if (!slice_to_u64(slice_from(text, colon), PORT_MAX, &port) || port == 0)
            return false;
    }
    if (port == 0 || text.size == 0)
        return false;
    if (host.size == 0) {
        set_v6(address, in6addr_any, (uint16_t)port);
        return true;
    }
    if (!address_parse_ip(host, address))
        return false;
    address_set_port(address, (uint16_t)port);
    return true;
}

struct slice address_format_ip(const struct address *address, char *into)
{
    if (address->size == 0 || address->any.sa_family == AF_UNIX)
        return SLICE("unix");
    if (address->any.sa_family == AF_INET) {
        const unsigned char *ip = (const unsigned char *)&address->v4.sin_addr;
        struct buffer out = buffer_fixed(into, ADDRESS_TEXT_MAX);
        for (int i = 0; i < 4; i++) {
            if (i > 0)
                buffer_append_byte(&out, '.');
            buffer_append_u64(&out, ip[i]);
        }
        return buffer_slice(&out);
    }
    if (IN6_IS_ADDR_V4MAPPED(&address->v6.sin6_addr)) {
        struct address v4;
        struct in_addr ip;
        memcpy(&ip, address->v6.sin6_addr.s6_addr + 12, sizeof ip);
        set_v4(&v4, ip, 0);
        return address_format_ip(&v4, into);
    }
    inet_ntop(AF_INET6, &address->v6.sin6_addr, into, IP_TEXT_MAX);
    return slice_from_cstring(into);
}

struct slice address_format(const struct address *address, char *into)
{
    struct buffer out = buffer_fixed(into, ADDRESS_TEXT_MAX);
    if (address->any.sa_family == AF_UNIX) {
        buffer_append(&out, UNIX_PREFIX);
        buffer_append(&out, slice_from_cstring(address->un.sun_path));
        return buffer_slice(&out);
    }
    char text[ADDRESS_TEXT_MAX];
    struct slice ip = address_format_ip(address, text);
    bool is_v6 = slice_find(ip, ':') < ip.size;
    if (is_v6)
        buffer_append_byte(&out, '[');
    buffer_append(&out, ip);
    if (is_v6)
        buffer_append_byte(&out, ']');
    buffer_append_byte(&out, ':');
    buffer_append_u64(&out, address_port(address));
    return buffer_slice(&out);
}

uint16_t address_port(const struct address *address)
{
    if (address->any.sa_family == AF_INET)
        return ntohs(address->v4.sin_port);
    return address->any.sa_family == AF_INET6 ? ntohs(address->v6.sin6_port) : 0;
}

void address_set_port(struct address *address, uint16_t port)
{
    if (address->any.sa_family == AF_INET)
        address->v4.sin_port = htons(port);
    else if (address->any.sa_family == AF_INET6)
        address->v6.sin6_port = htons(port);
}

bool address_equal(const struct address *a, const struct address *b)
{
    if (a->size != b->size || a->any.sa_family != b->any.sa_family)
        return false;
    if (a->any.sa_family == AF_INET)
        return a->v4.sin_port == b->v4.sin_port && a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
    if (a->any.sa_family == AF_INET6)
        return a->v6.sin6_port == b->v6.sin6_port &&
               memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, sizeof a->v6.sin6_addr) == 0;
    return strcmp(a->un.sun_path, b->un.sun_path) == 0;
}

void address_client_network(const struct address *address, uint64_t network[2])
{
    network[0] = 0;
    network[1] = address->any.sa_family;
    if (address->any.sa_family == AF_INET)
        network[0] = address->v4.sin_addr.s_addr;
    else if (address->any.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&address->v6.sin6_addr)) {
        uint32_t ip;
        memcpy(&ip, address->v6.sin6_addr.s6_addr + 12, sizeof ip);
        network[0] = ip;
        network[1] = AF_INET;
    } else if (address->any.sa_family == AF_INET6) {
        memcpy(&network[0], address->v6.sin6_addr.s6_addr, 8);
    }
}

bool address_is_loopback(const struct address *address)
{
    if (address->any.sa_family == AF_INET)
        return (ntohl(address->v4.sin_addr.s_addr) >> 24) == 127;
    if (address->any.sa_family != AF_INET6)
        return true;
    const struct in6_addr *ip = &address->v6.sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(ip) || (IN6_IS_ADDR_V4MAPPED(ip) && ip->s6_addr[12] == 127);
}
