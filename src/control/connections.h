/* SPDX-License-Identifier: Apache-2.0 */
/* The clients' connections of all workers, as each of them sees its own: for whoever looks. */
#pragma once

#include "exchange/exchange.h"

enum {
    CONNECTIONS_SHOWN_MAX = 1000, /* at a time */
    CONNECTION_TEXT_MAX = 128,    /* bytes of a path, a host, a name */
    CONNECTION_ID_MAX = 64,
};

/* Which connection: never two at a time, and none that comes later. */
struct connection_id {
    int64_t opened; /* monotonic */
    unsigned worker;
    int fd;
};

struct connection_row {
    struct connection_id id;
    bool is_h2, is_secure;
    const char *state;  /* static text: "idle", "head", "active", "lingering", "tunnel" */
    uint64_t requests;  /* so far */
    uint32_t in_flight; /* exchanges */
    char client[64], listener[64];
    /* Of the exchange that has been in work longest; took 0: none is. */
    int64_t took;
    char method[16], host[CONNECTION_TEXT_MAX], path[CONNECTION_TEXT_MAX];
    char site[CONNECTION_TEXT_MAX], server[CONNECTION_TEXT_MAX];
    uint64_t bytes_in, bytes_out; /* of a tunnel, so far */
};

struct connections_wanted {
    struct slice site, client;  /* empty: any; `client` is an address without its port */
    int64_t slow;               /* an exchange that has been in work so long; 0: any */
    struct connection_id after; /* later than this one, in the order of their ids */
    size_t limit;               /* at most CONNECTIONS_SHOWN_MAX */
};

/* The oldest of those that are wanted, oldest first, malloc'ed; *matching is how many there are in
 * all behind `after`. ERR_CLOSED: weir is ending. */
MAY_WAIT MUST_CHECK enum status connections_look(const struct connections_wanted *wanted,
                                                 struct connection_row **rows, size_t *count,
                                                 size_t *matching);
/* Ends one, with what is in work on it. False: it is there no more. ERR_CLOSED as above. */
MAY_WAIT MUST_CHECK enum status connections_end(const struct connection_id *id, bool *was_there);

/* "12345678-0-17". */
struct slice connection_id_write(const struct connection_id *id, char text[CONNECTION_ID_MAX]);
bool connection_id_read(struct slice text, struct connection_id *id);
