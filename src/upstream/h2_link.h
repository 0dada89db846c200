/* SPDX-License-Identifier: Apache-2.0 */
/* Connections to a server that speaks HTTP/2: few per worker, each shared by as many calls as the
 * server takes. They belong to one worker and never move. */
#pragma once

#include "http/h2_session.h"
#include "net/duplex.h"
#include "upstream/server.h"

enum h2_link_state {
    H2_LINK_DIALING,
    H2_LINK_OPEN,
    H2_LINK_GONE, /* no session any more; freed when the last call has left */
};

/* Why there is no connection. */
enum h2_link_failure {
    H2_LINK_NOT_CONNECTED,
    H2_LINK_NOT_ALLOWED, /* the breaker: too many are being opened */
    H2_LINK_NOT_SECURED, /* the handshake failed */
    H2_LINK_NOT_KEPT,    /* the server has closed it, or said that it will, before it was used */
    H2_LINK_NOT_H2,      /* it speaks HTTP/1: noted in the server, and the connection is pooled */
};

struct h2_link {
    struct duplex duplex;
    struct list link;    /* of the pool */
    struct list waiters; /* of struct h2_link_waiter: until it is dialled */
    struct server *server;
    struct pool *pool;
    struct h2_session *session;
    enum h2_link_state state;
    enum status dialled;
    enum h2_link_failure failure;
    struct tls_trouble trouble; /* of H2_LINK_NOT_SECURED */
    const char *alert;          /* that ended it; NULL: none */
    bool offers_h1;             /* over TLS the server may choose */
    uint32_t users;             /* calls that hold it */
    bool is_used;               /* it has carried a call before */
    bool is_pinged;
    uint64_t pongs; /* when that was sent */
    int64_t heard;  /* when bytes came last */
    int64_t idle_since;
    int64_t connect_time;
    int64_t connect_timeout;
    struct timer timer;
};

/* Whether over TLS the server is worth being asked for HTTP/2: it has not preferred HTTP/1 of
 * late. */
bool h2_link_may_be(const struct server *server);
/* A connection with room for one more stream, held until h2_link_leave(): one that is there, else
 * it is dialled. Waits. The failures of stream_connect(), ERR_UNREACHABLE also when the server's
 * name is not resolved, those of a handshake, and ERR_CLOSED when the server does not keep it:
 * `failure` and `trouble` say more. */
MAY_WAIT MUST_CHECK enum status h2_link_take(struct server *server, bool offers_h1,
                                             int64_t connect_timeout, int64_t deadline,
                                             struct h2_link **link, enum h2_link_failure *failure,
                                             struct tls_trouble *trouble);
void h2_link_leave(struct h2_link *link);
/* Its session has something to send. */
void h2_link_kick(struct h2_link *link);
/* Ends all of this worker, when the worker ends. */
void h2_link_stop(struct pool *pool);
