/* SPDX-License-Identifier: Apache-2.0 */
/* What a ClientHello says about the server that is wanted: the bodies of two of its extensions.
 * Pure; every byte comes from a stranger. */
#pragma once

#include "base/slice.h"

enum {
    SERVER_NAME_MAX = 253, /* RFC 1035 §2.3.4, without the last dot */
};

/* The host name in a server_name extension (RFC 6066 §3) in lower case, in `name` of
 * SERVER_NAME_MAX bytes; its size. 0: malformed, not a host name, or none. */
size_t client_hello_server_name(struct slice extension, char *name);
/* Whether an application_layer_protocol_negotiation extension (RFC 7301 §3.1) offers a protocol. A
 * malformed one offers nothing. */
bool client_hello_offers(struct slice extension, struct slice protocol);
