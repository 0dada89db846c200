/* SPDX-License-Identifier: Apache-2.0 */
#include "net/interfaces.h"

#include <ifaddrs.h>
#include <string.h>

static bool is_same(const struct address *address, const struct sockaddr *other)
{
    if (other == NULL || other->sa_family != address->any.sa_family)
        return false;
    if (other->sa_family == AF_INET)
        return memcmp(&address->v4.sin_addr,
                      &((const struct sockaddr_in *)(const void *)other)->sin_addr,
                      sizeof address->v4.sin_addr) == 0;
    return other->sa_family == AF_INET6 &&
           memcmp(&address->v6.sin6_addr,
                  &((const struct sockaddr_in6 *)(const void *)other)->sin6_addr,
                  sizeof address->v6.sin6_addr) == 0;
}

bool interfaces_have(const struct address *address)
{
    struct ifaddrs *all = NULL;
    bool has = address_is_loopback(address);
    if (getifaddrs(&all) != 0)
        return has;
    for (const struct ifaddrs *one = all; one != NULL && !has; one = one->ifa_next)
        has = is_same(address, one->ifa_addr);
    freeifaddrs(all);
    return has;
}
