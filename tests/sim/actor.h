/* SPDX-License-Identifier: Apache-2.0 */
/* The people of the world: clients that dial weir, servers that weir dials. Both are small machines
 * on the queue of events; both check what they read against the ledger. */
#pragma once

#include "net.h"
#include "plan.h"
#include "reader.h"

enum {
    CLIENT_PLANS_MAX = 64,
};

/* How a client goes about its requests; the zero is one that is quick and patient. */
struct client_manner {
    unsigned pipelined;   /* requests under way at once; 0: one */
    size_t piece;         /* bytes sent at once; 0: all that fit */
    int64_t pause;        /* between two pieces */
    size_t sip;           /* bytes read at once; 0: all */
    int64_t sip_pause;    /* between two reads */
    int64_t leaves_after; /* ns; 0: it stays */
    size_t leaves_at;     /* bytes of answers read; 0: it stays */
    bool leaves_rudely;   /* with a reset */
    bool ends_early;      /* sends no more after its last request, and reads on */
    int64_t lingers;      /* keeps the idle connection that long */
    int64_t pauses_at; /* reads nothing for `pauses_for` once so many bytes have come; 0: never */
    int64_t pauses_for;
    bool ends_after_pause; /* and has said all by then */
    int64_t idles;         /* between two requests */
    size_t stops_at;       /* sends no more after so many bytes of a request; 0: never … */
    unsigned stops_in;     /* … of that one and later ones */
    bool keeps_cookies;
    bool keeps_tunnel; /* never ends its side */
    /* A header of the PROXY protocol before the first request of a connection … */
    const char *introduction;
    size_t introduction_size;
    size_t introduction_split; /* … in two parts, so many bytes first; 0: at once … */
    bool is_mute;              /* … behind which it says nothing … */
    bool is_stranger;          /* … for which weir has to refuse all that follows */
};

struct client {
    struct address from, to;
    const struct network *network;
    struct client_manner manner;
    struct plan *plans[CLIENT_PLANS_MAX];
    unsigned count;
    /* Of the running connection. */
    struct end *end;
    struct reader reader;
    unsigned sending, reading; /* which plan */
    char *out;                 /* what is being sent */
    size_t introduced;         /* bytes of its introduction that have left */
    size_t out_size, out_head, out_at;
    bool waits_for_continue, may_go_on;
    bool is_paused, has_paused, is_sipping, is_sending_later, is_idling;
    bool is_lingering, was_told_to_go;
    bool is_of_server; /* the answer that is being read … */
    bool is_own;       /* … or weir's own, as planned … */
    bool is_wish;      /* … or what more was asked for */
    size_t got;        /* bytes of answers */
    uint64_t tunnel_sent;
    char *cookie;         /* the last that it was given */
    unsigned connections; /* that were dialled */
    unsigned connections_made;
    bool is_done;
    int64_t done_at, active_at;
    int64_t ended_first; /* when its first connection was over */
    struct client *next;
};

/* Begins `delay` from now; weir's answer to each request is checked. */
void client_start(struct client *client, int64_t delay);
/* All clients have come to their end. */
bool clients_are_done(void);
struct client *clients_first(void);

/* A server: a service whose connections answer as the ledger says. */
struct server_actor {
    struct service service;
    unsigned connections, requests;
    bool reads_nothing, keeps_tunnels, fails;
    int introduced;       /* each connection begins with a header of that version; 0: with none */
    void (*on_end)(void); /* a connection was closed by weir */
    struct server_conversation *conversations;
};
void server_start(struct server_actor *server, const struct address *address,
                  const struct network *network);
/* The machine stops: refuses or is silent; `rudely`: running connections are reset (or vanish). */
void server_stop(struct server_actor *server, enum service_state state, bool rudely);
void server_return(struct server_actor *server);
/* Bytes that its open connections have handed to the network. */
uint64_t server_written(const struct server_actor *server);
unsigned server_open_connections(const struct server_actor *server);

/* A server that no client asks for anything: it is looked at (health checks), or gets copies of
 * requests (mirror). */
struct aside {
    struct service service;
    bool gets_copies;
    bool is_asked; /* whether requests may pass (forward_auth) */
    int introduced;
    bool is_unwell; /* answers 503 */
    bool is_mute;   /* does not answer */
    unsigned requests;
};
void aside_start(struct aside *aside, const char *address, const struct network *network);

/* Whether something may go wrong in this world without weir being at fault: then clients accept
 * 502, 503, 504 and cut answers as legal endings. */
void actors_expect_trouble(void);
bool actors_trouble(void);
