/* SPDX-License-Identifier: Apache-2.0 */
/* SRV records out of an answer's bytes (RFC 1035, RFC 2782): the library tells no TTL of them. */
#pragma once

#include "net/resolver.h"

enum {
    RESOLVER_CLASS_IN = 1,
    RESOLVER_TYPE_SRV = 33,
};

/* At most RESOLVER_SERVICES_MAX, each once, and the smallest TTL in seconds; 0: there are none, or
 * the answer is malformed. A service that is decidedly not available (host ".") is none. */
size_t resolver_parse_services(const unsigned char *text, size_t size,
                               struct resolver_service *services, int *ttl);
