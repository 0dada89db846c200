/* SPDX-License-Identifier: Apache-2.0 */
/* What of a request decides about its server. The upstream says what it wants to know; whoever
 * calls finds it in the request and passes it on as a value. */
#pragma once

#include "base/slice.h"

#include <stdbool.h>

enum upstream_key {
    UPSTREAM_KEY_NONE,
    UPSTREAM_KEY_CLIENT, /* the client's address: of IPv6 its network */
    UPSTREAM_KEY_URI,    /* path and query */
    UPSTREAM_KEY_HEADER,
    UPSTREAM_KEY_COOKIE,
};

enum sticky_secure { STICKY_SECURE_AUTO, STICKY_SECURE_ON, STICKY_SECURE_OFF };

struct upstream_affinity {
    enum upstream_key key;
    struct slice name;       /* of the header or the cookie */
    struct slice cookie;     /* that names a client's server; empty: there is none */
    struct slice attributes; /* what follows its value: "; Path=/; HttpOnly" */
    enum sticky_secure secure;
};

enum {
    STICKY_ID_SIZE = 16, /* hexadecimal digits that name a server */
};
