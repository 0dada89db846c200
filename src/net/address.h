/* SPDX-License-Identifier: Apache-2.0 */
/* Where something listens or answers: IPv4, IPv6 or a unix socket. */
#pragma once

#include "base/slice.h"
#include "base/status.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

struct address {
    socklen_t size; /* of the part in use; 0: none */
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un un;
    };
};

enum {
    ADDRESS_TEXT_MAX = 128, /* of address_format, unix path included */
};

/* host:port, [v6]:port, :port (any address, see is_any), unix:/path. Names are not resolved:
 * false for them. A missing port is `default_port` unless that is 0. */
bool address_parse(struct slice text, uint16_t default_port, struct address *address);
/* An IP address alone, brackets allowed round IPv6; the port is 0. */
bool address_parse_ip(struct slice text, struct address *address);
/* "1.2.3.4:80", "[::1]:80", "unix:/path"; at most ADDRESS_TEXT_MAX bytes, not terminated. */
struct slice address_format(const struct address *address, char *into);
/* Without the port and the brackets; IPv4 mapped into IPv6 is written as IPv4. "unix" for a unix
 * socket. */
struct slice address_format_ip(const struct address *address, char *into);
uint16_t address_port(const struct address *address);
void address_set_port(struct address *address, uint16_t port);
bool address_equal(const struct address *a, const struct address *b);
/* What counts as one client, as two numbers: an IPv4 address, also one mapped into IPv6, and of
 * IPv6 the /64; unix sockets are all alike. */
void address_client_network(const struct address *address, uint64_t network[2]);
bool address_is_loopback(const struct address *address); /* unix sockets are */
