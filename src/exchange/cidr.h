/* SPDX-License-Identifier: Apache-2.0 */
/* Networks by prefix: 10.0.0.0/8, 2001:db8::/32. */
#pragma once

#include "net/address.h"

struct cidr {
    struct address address; /* */
    unsigned prefix;        /* bits */
};

/* An address alone is one of full length. False: neither. */
bool cidr_parse(struct slice text, struct cidr *cidr);
/* IPv4 mapped into IPv6 is IPv4. Unix sockets are in none. */
bool cidr_has(const struct cidr *cidr, const struct address *address);
bool cidr_list_has(const struct cidr *cidrs, size_t count, const struct address *address);
