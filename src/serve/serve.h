/* SPDX-License-Identifier: Apache-2.0 */
/* The clients' side of one worker: its listening sockets and its connections. */
#pragma once

#include "base/list.h"
#include "base/metric.h"
#include "exchange/exchange.h"
#include "fiber/thread.h"
#include "http/date.h"
#include "net/stream_tls.h"

/* Addresses whose word about the client is taken. */
struct trust {
    const struct cidr *cidrs;
    size_t count;
    enum client_header header; /* where they say it */
};

/* What the configuration says of one listening address; of the snapshot. */
struct listener_config {
    struct address address;
    struct slice name;   /* as written, for logs */
    bool half_close;     /* a client that stops sending may still read */
    bool proxy_protocol; /* connections begin with its header, those of trusted proxies alone */
    struct site_table sites;
    struct timeouts timeouts;
    struct limits limits;
    enum field_names field_names; /* the most lenient of its sites: each site checks again */
    const struct tls_server *tls; /* NULL: clients speak in clear */
};

/* A snapshot as one worker goes by it; only that worker counts. */
struct serve_view {
    const struct snapshot *snapshot;
    uint64_t version; /* of the configuration */
    const struct listener_config *const
        *listeners; /* by the slots of the worker's; NULL: not there */
    size_t listeners_count;
    struct trust trust;
    struct slice id_name; /* of the field that carries a request's id; empty: X-Request-ID */
    uint64_t uses;        /* exchanges, handshakes and listeners that are leaving */
    /* The last of those has ended, and the worker goes by another one. */
    void (*on_unused)(struct serve_view *view);
};

/* How much memory there is still, as control has last measured it. */
struct serve_pressure {
    int level;       /* enum pressure; atomic */
    uint64_t sample; /* which measurement; 0: nobody measures; atomic */
    int64_t room;    /* bytes that a worker may take before the next one; atomic */
    /* What has been given out, whether it was touched or not, and how much of that there may be: a
     * look at what is resident comes too late for what was promised. Atomic. */
    int64_t committed;
    int64_t committed_max;  /* … before requests are refused */
    int64_t committed_full; /* … at all */
    /* On a worker that has taken half of that: measures again soon. */
    void (*ask)(void);
};

/* What all workers look at. */
struct serve_shared {
    struct serve_worker **workers;
    unsigned workers_count;
    int64_t connections;     /* of clients, all workers, and between two of them; atomic */
    bool is_draining;        /* connections stay with whoever accepts them; atomic */
    int64_t connections_max; /* limits.connections, or what the descriptors allow; atomic */
    struct tally *clients;   /* connections per address */
    struct serve_pressure pressure;
};

struct serve_worker {
    struct thread thread;
    struct serve_shared *shared;
    struct serve_view *view;     /* the present one */
    struct list connections;     /* of struct h1_connection */
    struct list h2_connections;  /* of struct h2_connection */
    struct list handshakes;      /* of struct handshake */
    struct list handshakes_next; /* of those, whose first bytes are there: their turn comes */
    struct timer handshakes_due;
    int64_t handshakes_turn;     /* of the loop, in which … */
    unsigned handshakes_begun;   /* … so many have begun */
    int64_t connections_count;   /* atomic: others read it to find the least loaded */
    struct listener **listeners; /* by slot; NULL: a free one */
    size_t listeners_count;
    bool is_draining;                              /* no keep-alive any more */
    void (*on_empty)(struct serve_worker *worker); /* draining, and the last connection has gone */
    int64_t date_second;                           /* that `date` was written for */
    char date[DATE_HTTP_SIZE];
    uint64_t pressure_sample; /* in which the worker held … */
    int64_t pressure_base;    /* … so many bytes */
    int64_t accepted_since;   /* connections since then */
    bool has_asked;           /* since then, for another one */
    /* Counters, of which others may read: */
    uint64_t accepted;              /* connections */
    uint64_t refused[REFUSALS];     /* by their reason */
    uint64_t exchanges;             /* begun */
    uint64_t ended;                 /* of those of clients */
    uint64_t failed;                /* of those, answered with 5xx */
    uint64_t h2_opened;             /* connections of HTTP/2 */
    uint64_t h2_refused;            /* of those, ended for what they did */
    struct histogram turns;         /* of the loop, how long each took */
    struct histogram shaken;        /* handshakes of TLS: how long each took that succeeded */
    uint64_t handshakes_full;       /* of TLS */
    uint64_t handshakes_resumed;    /* likewise */
    uint64_t handshakes_failed;     /* likewise */
    uint64_t introductions_failed;  /* connections without a header of the PROXY protocol, or with a
                                     * bad one, or of somebody who may not send any */
    uint64_t handshakes_in_clear;   /* of those, HTTP without TLS */
    struct listener_counts *counts; /* of its addresses, the newest first; atomic */
    void *log;                      /* of the access log: what control keeps per worker */
};

struct listener;

static inline struct serve_worker *serve_self(void)
{
    return thread_self()->worker;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" of this second. */
struct slice serve_date(struct serve_worker *worker);
/* A UUIDv7 (RFC 9562) of that time as 36 characters in the arena. */
struct slice serve_request_id(struct arena *arena, int64_t wall);

/* Fills in what an exchange knows of its connection, whichever protocol carries it. x->sink,
 * connection and the request's head are set. On the exchange's fiber. */
void serve_begin(struct exchange *x, struct listener *listener, const struct address *peer,
                 struct slice ip, bool is_secure);
/* After its last line in the log: lets its snapshot go. One that has not begun is fine. */
void serve_end(struct exchange *x, struct serve_worker *worker);

/* What the listener's connections go by now; it stays until serve_view_leave(). */
struct serve_view *serve_view_enter(struct listener *listener);
void serve_view_leave(struct serve_worker *worker, struct serve_view *view);
/* Has exchanges that no client waits for hold on to theirs. */
void serve_prepare_aparts(void);
/* Goes by another snapshot from the next exchange on. What the one before needs it keeps, and its
 * on_unused is called, perhaps at once. Listeners that it has not are to be left or gone. */
void serve_view_set(struct serve_worker *worker, struct serve_view *view);

/* A client's connection has come, and has gone: it is not counted any more. */
void serve_enter(struct listener *listener);
void serve_leave(struct listener *listener, const struct address *peer, bool is_counted);
/* Calls on_empty if the worker is draining and nothing is left of its clients. */
void serve_look_if_empty(struct serve_worker *worker);

/* On the worker's thread: no new connections, no keep-alive; on_empty is called (at once if so)
 * when nothing is left. Then: ends what still is. */
void serve_drain(struct serve_worker *worker, void (*on_empty)(struct serve_worker *worker));
void serve_close_all(struct serve_worker *worker);

/* The same for the connections of one listener (NULL: of all): those of HTTP/2 are told to go
 * elsewhere with what is new; or all are ended. Tunnels belong to none. */
void serve_ask_to_leave(struct serve_worker *worker, const struct listener *listener);
void serve_close_connections(struct serve_worker *worker, const struct listener *listener);
