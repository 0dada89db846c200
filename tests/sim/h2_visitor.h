/* SPDX-License-Identifier: Apache-2.0 */
/* Clients that speak HTTP/2 by hand: each comes by itself, does its deed, and is held against what
 * has to become of it, while somebody else is served. */
#pragma once

#include "actor.h"
#include "h2_peer.h"

enum {
    VISITOR_REPLY = 100,
    VISITOR_ZEROS_SIZE = 20000,
};
extern const char VISITOR_ZEROS[VISITOR_ZEROS_SIZE];

/* What has to become of it. */
enum ending {
    SERVED,
    NOT_SERVED, /* the stream, or the connection with it */
    SENT_AWAY,  /* the connection, with an error */
    BOUNDED,    /* it may be served, sent away: weir and the others are well */
};

struct h2_deed {
    const char *name;
    void (*does)(struct h2_peer *peer);
    enum ending ending;
};

struct h2_visitor {
    struct h2_peer peer;
    unsigned number;
    const struct h2_deed *deed;
    struct plan *plan;
    struct plan *second; /* a deed may have one */
    unsigned said;       /* of a flood */
    bool was_over;       /* before it left by itself */
};

struct h2_visitor *visitor_of(struct h2_peer *peer);
/* The lines of the head of a plan's request. */
const char *visitor_head(const struct plan *plan);
void visitor_hello(struct h2_peer *peer);
void visitor_asks(struct h2_peer *peer, uint32_t id, struct plan *plan);
void visitor_asks_first(struct h2_peer *peer);
void visitor_gets(struct h2_peer *peer); /* hello, and that */

/* For a scenario: the deeds, up to one without a name; and its check. */
struct server_actor *visitors_do(const struct h2_deed *deeds); /* the server of all of them */
void visitors_check(void);
