/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy_protocol.h"

#include "base/buffer.h"
#include "base/check.h"

#include <arpa/inet.h>
#include <assert.h>

enum {
    FIRST = 12,        /* bytes that every header of either version has */
    TLV_HEAD = 3,      /* type, length */
    SSL_HEAD = 5,      /* flags, result of the verification */
    SSL_IS_TLS = 0x01, /* of the flags */
    UNIX_SIZE = 108,   /* of a path */
    UNIQUE_ID_MAX = 128,
    COMMAND_LOCAL = 0x20,
    COMMAND_PROXY = 0x21,
};

static const struct slice SIGNATURE = {"\r\n\r\n\0\r\nQUIT\n", FIRST};
static const struct slice V1 = {"PROXY ", 6};

static unsigned u16_at(const char *data)
{
    return (unsigned)(unsigned char)data[0] << 8 | (unsigned char)data[1];
}

static bool may_become(const char *data, size_t size, struct slice start)
{
    return memcmp(data, start.data, size < start.size ? size : start.size) == 0;
}

static bool is_v2(const char *data, size_t size)
{
    return size >= FIRST && may_become(data, size, SIGNATURE);
}

/* The line ends with CRLF and has at least three bytes more than the first twelve: so its end is
 * never read past by two bytes at a time, or by one after a CR. */
static size_t v1_wants(const char *data, size_t size)
{
    const char *cr = memchr(data, '\r', size);
    if (memchr(data, '\n', size) != NULL || size >= PROXY_V1_MAX)
        return 0;
    if (cr != NULL)
        return cr == data + size - 1 ? 1 : 0;
    return size + 2 <= PROXY_V1_MAX ? 2 : 1;
}

size_t proxy_header_wants(const char *data, size_t size)
{
    if (!may_become(data, size, SIGNATURE) && !may_become(data, size, V1))
        return 0;
    if (size < FIRST)
        return FIRST - size;
    if (!is_v2(data, size))
        return v1_wants(data, size);
    if (size < PROXY_V2_FIXED)
        return PROXY_V2_FIXED - size;
    size_t whole = PROXY_V2_FIXED + u16_at(data + 14);
    return whole > PROXY_HEADER_MAX || size >= whole ? 0 : whole - size;
}

/* Takes what stands before the next blank. */
static struct slice take_word(struct slice *rest)
{
    size_t end = slice_find(*rest, ' ');
    struct slice word = slice_first(*rest, end);
    *rest = slice_from(*rest, end + 1);
    return word;
}

static bool parse_port(struct slice text, struct address *address)
{
    uint64_t port;
    if (!slice_to_u64(text, UINT16_MAX, &port) || (text.size > 1 && text.data[0] == '0'))
        return false;
    address_set_port(address, (uint16_t)port);
    return true;
}

static bool parse_ip(struct slice text, int family, struct address *address)
{
    return text.size > 0 && text.data[0] != '[' && address_parse_ip(text, address) &&
           address->any.sa_family == family;
}

static const char *parse_v1(struct slice line, struct proxy_header *header)
{
    struct slice rest = slice_from(slice_first(line, line.size - 2), V1.size);
    size_t blanks = 0;
    for (size_t i = 0; i < rest.size; i++)
        blanks += rest.data[i] == ' ';
    struct slice protocol = take_word(&rest);
    header->version = 1;
    if (slice_equal(protocol, SLICE("UNKNOWN"))) {
        header->is_local = true;
        return NULL;
    }
    bool is_v4 = slice_equal(protocol, SLICE("TCP4"));
    if (!is_v4 && !slice_equal(protocol, SLICE("TCP6")))
        return "version 1: neither TCP4, TCP6 nor UNKNOWN";
    int family = is_v4 ? AF_INET : AF_INET6;
    if (blanks != 4)
        return "version 1: not five words with one blank between them";
    if (!parse_ip(take_word(&rest), family, &header->source) ||
        !parse_ip(take_word(&rest), family, &header->destination))
        return "version 1: no address of that family";
    if (!parse_port(take_word(&rest), &header->source) || !parse_port(rest, &header->destination))
        return "version 1: no port";
    return NULL;
}

static void set_v4(struct address *address, const char *ip, const char *port)
{
    *address = (struct address){.size = sizeof address->v4};
    address->v4.sin_family = AF_INET;
    memcpy(&address->v4.sin_addr, ip, 4);
    memcpy(&address->v4.sin_port, port, 2);
}

static void set_v6(struct address *address, const char *ip, const char *port)
{
    *address = (struct address){.size = sizeof address->v6};
    address->v6.sin6_family = AF_INET6;
    memcpy(&address->v6.sin6_addr, ip, 16);
    memcpy(&address->v6.sin6_port, port, 2);
}

/* A path that fills its place is cut by a byte: ours end with a zero. */
static void set_unix(struct address *address, const char *path)
{
    static_assert(sizeof address->un.sun_path == UNIX_SIZE, "as the protocol has it");
    *address = (struct address){.size = sizeof address->un};
    address->un.sun_family = AF_UNIX;
    memcpy(address->un.sun_path, path, UNIX_SIZE - 1);
}

static bool take_addresses(unsigned family, struct slice rest, struct proxy_header *header,
                           size_t *taken)
{
    static const uint8_t SIZES[] = {0, 12, 36, 2 * UNIX_SIZE};
    const char *data = rest.data;
    *taken = SIZES[family];
    if (rest.size < *taken)
        return false;
    if (family == 1) {
        set_v4(&header->source, data, data + 8);
        set_v4(&header->destination, data + 4, data + 10);
    } else if (family == 2) {
        set_v6(&header->source, data, data + 32);
        set_v6(&header->destination, data + 16, data + 34);
    } else if (family == 3) {
        set_unix(&header->source, data);
        set_unix(&header->destination, data + UNIX_SIZE);
    }
    return true;
}

/* Takes the next TLV off the rest; false at its end, and when what is left is none. */
static bool next_tlv(struct slice *rest, unsigned *type, struct slice *value)
{
    if (rest->size < TLV_HEAD || rest->size - TLV_HEAD < u16_at(rest->data + 1))
        return false;
    *type = (unsigned char)rest->data[0];
    *value = slice_of(rest->data + TLV_HEAD, u16_at(rest->data + 1));
    *rest = slice_from(*rest, TLV_HEAD + value->size);
    return true;
}

/* CRC-32C (RFC 3720 §B.4) of the header, its own four bytes taken as zero. */
static uint32_t crc32c(struct slice header, size_t zeroed)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < header.size; i++) {
        crc ^= i >= zeroed && i < zeroed + 4 ? 0 : (unsigned char)header.data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ UINT32_C(0x82f63b78) : crc >> 1;
    }
    return ~crc;
}

static bool is_whole(struct slice tlvs)
{
    unsigned type;
    struct slice value;
    while (next_tlv(&tlvs, &type, &value)) {
    }
    return tlvs.size == 0;
}

static const char *check_tlvs(struct slice data, struct slice rest)
{
    unsigned type;
    struct slice value;
    while (next_tlv(&rest, &type, &value)) {
        if (type == PROXY_TLV_CRC32C) {
            if (value.size != 4)
                return "version 2: a checksum of another size";
            uint32_t said;
            memcpy(&said, value.data, sizeof said);
            if (ntohl(said) != crc32c(data, (size_t)(value.data - data.data)))
                return "version 2: the checksum is wrong";
        }
        if (type == PROXY_TLV_UNIQUE_ID && value.size > UNIQUE_ID_MAX)
            return "version 2: an id of more than 128 bytes";
        if (type == PROXY_TLV_SSL &&
            (value.size < SSL_HEAD || !is_whole(slice_from(value, SSL_HEAD))))
            return "version 2: what is said of TLS is cut short";
    }
    return rest.size > 0 ? "version 2: a TLV is cut short" : NULL;
}

static const char *parse_v2(struct slice data, struct proxy_header *header)
{
    unsigned command = (unsigned char)data.data[12];
    unsigned family = (unsigned char)data.data[13] >> 4;
    unsigned protocol = (unsigned char)data.data[13] & 0x0f;
    struct slice rest = slice_from(data, PROXY_V2_FIXED);
    header->version = 2;
    if (command >> 4 != 2)
        return "version 2: another version";
    if (command != COMMAND_LOCAL && command != COMMAND_PROXY)
        return "version 2: neither LOCAL nor PROXY";
    header->is_local = command == COMMAND_LOCAL || family == 0;
    if (command == COMMAND_LOCAL) /* whatever follows has no meaning */
        return NULL;
    if (family > 3 || protocol > 2 || (family == 0) != (protocol == 0))
        return "version 2: an unknown family of addresses";
    size_t taken;
    if (!take_addresses(family, rest, header, &taken))
        return "version 2: the addresses are cut short";
    header->tlvs = slice_from(rest, taken);
    return check_tlvs(data, header->tlvs);
}

enum status proxy_header_parse(const char *data, size_t size, struct proxy_header *header,
                               const char **why)
{
    struct proxy_header read = {0};
    if (is_v2(data, size) && size >= PROXY_V2_FIXED) {
        size_t whole = PROXY_V2_FIXED + u16_at(data + 14);
        if (whole > PROXY_HEADER_MAX) {
            *why = "longer than 4 KiB";
            return ERR_LIMIT;
        }
        *why = size == whole ? parse_v2(slice_of(data, size), &read) : "version 2: cut short";
    } else if (size > FIRST && size <= PROXY_V1_MAX && may_become(data, size, V1) &&
               memcmp(data + size - 2, "\r\n", 2) == 0 &&
               memchr(data, '\r', size) == data + size - 2) {
        *why = parse_v1(slice_of(data, size), &read);
    } else {
        *why = size >= PROXY_V1_MAX && may_become(data, size, V1)
                   ? "version 1: longer than 107 bytes"
                   : "no header of the PROXY protocol";
    }
    if (*why != NULL)
        return ERR_PROTOCOL;
    *header = read;
    return OK;
}

static bool find(struct slice tlvs, unsigned wanted, struct slice *value)
{
    unsigned type;
    while (next_tlv(&tlvs, &type, value))
        if (type == wanted)
            return true;
    return false;
}

bool proxy_header_find(const struct proxy_header *header, unsigned type, struct slice *value)
{
    return find(header->tlvs, type, value);
}

bool proxy_header_is_tls(const struct proxy_header *header)
{
    struct slice ssl;
    return find(header->tlvs, PROXY_TLV_SSL, &ssl) && (ssl.data[0] & SSL_IS_TLS) != 0;
}

bool proxy_header_find_tls(const struct proxy_header *header, unsigned type, struct slice *value)
{
    struct slice ssl;
    return find(header->tlvs, PROXY_TLV_SSL, &ssl) && (ssl.data[0] & SSL_IS_TLS) != 0 &&
           find(slice_from(ssl, SSL_HEAD), type, value);
}

struct slice proxy_tlvs_to_pass(const struct proxy_header *header, struct arena *arena)
{
    if (header->tlvs.size == 0)
        return SLICE("");
    struct buffer out = buffer_in(arena, header->tlvs.size);
    struct slice rest = header->tlvs;
    struct slice before = rest;
    struct slice value;
    unsigned type;
    for (; next_tlv(&rest, &type, &value); before = rest)
        if (type != PROXY_TLV_CRC32C && type != PROXY_TLV_NOOP)
            buffer_append(&out, slice_first(before, before.size - rest.size));
    return buffer_slice(&out);
}

struct slice proxy_tlv_text(struct slice value, char *into)
{
    bool is_visible = true;
    for (size_t i = 0; i < value.size; i++)
        is_visible = is_visible && value.data[i] > ' ' && value.data[i] < 0x7f &&
                     value.data[i] != '"' && value.data[i] != '\\' && value.data[i] != ',';
    struct buffer out = buffer_fixed(into, PROXY_TLV_TEXT_MAX);
    if (is_visible) {
        buffer_append(&out, slice_first(value, PROXY_TLV_TEXT_MAX));
        return buffer_slice(&out);
    }
    static const char DIGITS[] = "0123456789abcdef";
    for (size_t i = 0; i < value.size && i < PROXY_TLV_TEXT_MAX / 2; i++) {
        buffer_append_byte(&out, DIGITS[(unsigned char)value.data[i] >> 4]);
        buffer_append_byte(&out, DIGITS[(unsigned char)value.data[i] & 0x0f]);
    }
    return buffer_slice(&out);
}

/* IPv4 as IPv6, mapped. */
static void widen(struct address *address)
{
    if (address->any.sa_family != AF_INET)
        return;
    char ip[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '\xff', '\xff'};
    in_port_t port = address->v4.sin_port;
    memcpy(ip + 12, &address->v4.sin_addr, 4);
    set_v6(address, ip, (const char *)&port);
}

/* IPv6 that is IPv4 mapped as that. */
static void narrow(struct address *address)
{
    if (address->any.sa_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&address->v6.sin6_addr))
        return;
    char ip[4];
    in_port_t port = address->v6.sin6_port;
    memcpy(ip, address->v6.sin6_addr.s6_addr + 12, sizeof ip);
    set_v4(address, ip, (const char *)&port);
}

static size_t write_v1(const struct address *source, const struct address *destination, char *into)
{
    struct buffer out = buffer_fixed(into, PROXY_V1_MAX);
    if (source == NULL || source->any.sa_family == AF_UNIX) {
        buffer_append(&out, SLICE("PROXY UNKNOWN\r\n"));
        return out.size;
    }
    bool is_v4 = source->any.sa_family == AF_INET;
    char text[INET6_ADDRSTRLEN];
    buffer_append(&out, is_v4 ? SLICE("PROXY TCP4") : SLICE("PROXY TCP6"));
    for (int i = 0; i < 2; i++) {
        const struct address *address = i == 0 ? source : destination;
        const void *ip = is_v4 ? (const void *)&address->v4.sin_addr : &address->v6.sin6_addr;
        check(inet_ntop(address->any.sa_family, ip, text, sizeof text) != NULL);
        buffer_append_byte(&out, ' ');
        buffer_append(&out, slice_from_cstring(text));
    }
    buffer_append_byte(&out, ' ');
    buffer_append_u64(&out, address_port(source));
    buffer_append_byte(&out, ' ');
    buffer_append_u64(&out, address_port(destination));
    buffer_append(&out, SLICE("\r\n"));
    return out.size;
}

static void append_ip(struct buffer *out, const struct address *address)
{
    if (address->any.sa_family == AF_INET)
        buffer_append(out, slice_of((const char *)&address->v4.sin_addr, 4));
    else if (address->any.sa_family == AF_INET6)
        buffer_append(out, slice_of((const char *)&address->v6.sin6_addr, 16));
    else
        buffer_append(out, slice_of(address->un.sun_path, UNIX_SIZE));
}

static size_t write_v2(const struct address *source, const struct address *destination,
                       size_t tlvs_size, char *into)
{
    struct buffer out = buffer_fixed(into, PROXY_WRITTEN_MAX);
    buffer_append(&out, SIGNATURE);
    if (source == NULL) {
        buffer_append(&out, SLICE("\x20\0\0\0"));
        return out.size;
    }
    int family = source->any.sa_family;
    buffer_append(&out, family == AF_INET    ? SLICE("\x21\x11\0\x0c")
                        : family == AF_INET6 ? SLICE("\x21\x21\0\x24")
                                             : SLICE("\x21\x31\0\xd8"));
    append_ip(&out, source);
    append_ip(&out, destination);
    if (family != AF_UNIX) {
        in_port_t ports[2] = {htons(address_port(source)), htons(address_port(destination))};
        buffer_append(&out, slice_of((const char *)ports, sizeof ports));
    }
    size_t length = out.size - PROXY_V2_FIXED + tlvs_size;
    into[PROXY_V2_FIXED - 2] = (char)(length >> 8);
    into[PROXY_V2_FIXED - 1] = (char)length;
    return out.size;
}

size_t proxy_header_write(const struct proxy_header *header, char *into)
{
    struct address source = header->source;
    struct address destination = header->destination;
    bool is_known = !header->is_local && source.size > 0 && destination.size > 0 &&
                    (source.any.sa_family == AF_UNIX) == (destination.any.sa_family == AF_UNIX);
    if (is_known) {
        narrow(&source);
        narrow(&destination);
        if (source.any.sa_family != destination.any.sa_family) {
            widen(&source);
            widen(&destination);
        }
    }
    const struct address *from = is_known ? &source : NULL;
    return header->version == 1 ? write_v1(from, &destination, into)
                                : write_v2(from, &destination, header->tlvs.size, into);
}
