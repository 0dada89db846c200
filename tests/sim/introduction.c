/* SPDX-License-Identifier: Apache-2.0 */
#include "introduction.h"

#include "world.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char SIGNATURE[12] = "\r\n\r\n\0\r\nQUIT\n";

enum {
    FIXED = 16,
    IPV4 = 12, /* bytes of its addresses and ports */
    VERSION_1_MAX = 107,
    TLV_NOOP = 4,
};

static unsigned port_of(const struct address *address)
{
    return ntohs(((const struct sockaddr_in *)&address->any)->sin_port);
}

static void ip_of(const struct address *address, char text[INET_ADDRSTRLEN])
{
    inet_ntop(AF_INET, &((const struct sockaddr_in *)&address->any)->sin_addr, text,
              INET_ADDRSTRLEN);
}

char *introduction_text(int version, const struct address *from, const struct address *to,
                        size_t extra, size_t *size)
{
    char *text = world_alloc(INTRODUCTION_MAX + extra);
    if (version == 1) {
        char source[INET_ADDRSTRLEN], destination[INET_ADDRSTRLEN];
        ip_of(from, source);
        ip_of(to, destination);
        *size = (size_t)snprintf(text, INTRODUCTION_MAX, "PROXY TCP4 %s %s %u %u\r\n", source,
                                 destination, port_of(from), port_of(to));
        return text;
    }
    const struct sockaddr_in *source = (const struct sockaddr_in *)&from->any;
    const struct sockaddr_in *destination = (const struct sockaddr_in *)&to->any;
    size_t tlv = extra > 0 ? 3 + extra : 0;
    memcpy(text, SIGNATURE, sizeof SIGNATURE);
    text[12] = 0x21;
    text[13] = 0x11;
    text[14] = (char)((IPV4 + tlv) >> 8);
    text[15] = (char)(IPV4 + tlv);
    memcpy(text + FIXED, &source->sin_addr, 4);
    memcpy(text + FIXED + 4, &destination->sin_addr, 4);
    memcpy(text + FIXED + 8, &source->sin_port, 2);
    memcpy(text + FIXED + 10, &destination->sin_port, 2);
    if (extra > 0) {
        text[FIXED + IPV4] = TLV_NOOP;
        text[FIXED + IPV4 + 1] = (char)(extra >> 8);
        text[FIXED + IPV4 + 2] = (char)extra;
    }
    *size = FIXED + IPV4 + tlv;
    return text;
}

static bool name(const char *ip, unsigned port, struct address *address)
{
    if (port > UINT16_MAX || !address_parse(slice_from_cstring(ip), 1, address))
        return false;
    address_set_port(address, (uint16_t)port); /* 0: weir knows the client by a field alone */
    return true;
}

static const char *hear_1(struct introduction_heard *heard)
{
    char source[64], destination[64], end[3] = "";
    unsigned from, to;
    if (memcmp(heard->data, "PROXY UNKNOWN\r\n", 15) == 0) {
        heard->is_local = true;
        return NULL;
    }
    if (memcmp(heard->data, "PROXY TCP6 ", 11) == 0)
        return NULL;
    if (sscanf(heard->data, "PROXY TCP4 %63[0-9.] %63[0-9.] %u %u%2[\r\n]", source, destination,
               &from, &to, end) != 5 ||
        strcmp(end, "\r\n") != 0)
        return "a malformed header of version 1";
    heard->has_names = name(source, from, &heard->from) && name(destination, to, &heard->to);
    return heard->has_names ? NULL : "an address in a header that is none";
}

static const char *hear_2(struct introduction_heard *heard)
{
    const unsigned char *data = (const unsigned char *)heard->data;
    if (memcmp(data, SIGNATURE, sizeof SIGNATURE) != 0)
        return "no signature of version 2";
    heard->is_local = data[12] == 0x20;
    if (heard->is_local || data[13] != 0x11)
        return heard->is_local || data[12] == 0x21 ? NULL : "another version than 2";
    if (heard->size < FIXED + IPV4)
        return "a header of version 2 that is too short";
    char source[INET_ADDRSTRLEN], destination[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, data + FIXED, source, sizeof source);
    inet_ntop(AF_INET, data + FIXED + 4, destination, sizeof destination);
    heard->has_names = name(source, (unsigned)data[24] << 8 | data[25], &heard->from) &&
                       name(destination, (unsigned)data[26] << 8 | data[27], &heard->to);
    return NULL;
}

static bool is_complete(const struct introduction_heard *heard)
{
    const unsigned char *data = (const unsigned char *)heard->data;
    if (heard->version == 1)
        return heard->size > 0 && data[heard->size - 1] == '\n';
    return heard->size >= FIXED &&
           heard->size == FIXED + ((size_t)data[14] << 8 | (size_t)data[15]);
}

const char *introduction_hear(struct introduction_heard *heard, const char *data, size_t size,
                              size_t *taken)
{
    *taken = 0;
    while (heard->version > 0 && !heard->is_done && *taken < size) {
        if (heard->size + 1 >= (heard->version == 1 ? VERSION_1_MAX + 1 : INTRODUCTION_MAX))
            return "a header of the PROXY protocol without an end";
        heard->data[heard->size++] = data[(*taken)++];
        if (!is_complete(heard))
            continue;
        heard->is_done = true;
        return heard->version == 1 ? hear_1(heard) : hear_2(heard);
    }
    return NULL;
}
