/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange/cidr.h"

/* The bytes of an address that a prefix counts in. */
static const unsigned char *bytes_of(const struct address *address, unsigned *bits)
{
    if (address->size == 0 || address->any.sa_family == AF_UNIX)
        return NULL;
    if (address->any.sa_family == AF_INET) {
        *bits = 32;
        return (const unsigned char *)&address->v4.sin_addr;
    }
    if (IN6_IS_ADDR_V4MAPPED(&address->v6.sin6_addr)) {
        *bits = 32;
        return address->v6.sin6_addr.s6_addr + 12;
    }
    *bits = 128;
    return address->v6.sin6_addr.s6_addr;
}

bool cidr_parse(struct slice text, struct cidr *cidr)
{
    size_t slash = slice_find(text, '/');
    unsigned bits = 0;
    uint64_t prefix;
    if (!address_parse_ip(slice_first(text, slash), &cidr->address))
        return false;
    bytes_of(&cidr->address, &bits);
    prefix = bits;
    if (slash < text.size && !slice_to_u64(slice_from(text, slash + 1), bits, &prefix))
        return false;
    cidr->prefix = (unsigned)prefix;
    return true;
}

bool cidr_has(const struct cidr *cidr, const struct address *address)
{
    unsigned bits = 0;
    unsigned other_bits = 0;
    const unsigned char *network = bytes_of(&cidr->address, &bits);
    const unsigned char *host = bytes_of(address, &other_bits);
    if (network == NULL || host == NULL || bits != other_bits)
        return false;
    unsigned whole = cidr->prefix / 8;
    unsigned rest = cidr->prefix % 8;
    if (memcmp(network, host, whole) != 0)
        return false;
    return rest == 0 || ((network[whole] ^ host[whole]) >> (8 - rest)) == 0;
}

bool cidr_list_has(const struct cidr *cidrs, size_t count, const struct address *address)
{
    for (size_t i = 0; i < count; i++)
        if (cidr_has(&cidrs[i], address))
            return true;
    return false;
}
