/* SPDX-License-Identifier: Apache-2.0 */
/* One request and its response, from the head that was read to the last byte that was sent. */
#pragma once

#include "base/arena.h"
#include "base/log.h"
#include "exchange/route.h"
#include "fiber/fiber.h"
#include "http/body.h"
#include "http/message.h"
#include "net/address.h"
#include "net/stream_tls.h"

struct exchange;
struct json;
struct serve_view;

/* Whose fault a failure is. */
enum side {
    SIDE_US,
    SIDE_CLIENT,
    SIDE_UPSTREAM,
};

/* Why an exchange failed: written once, where it is known. */
struct blame {
    enum status status;
    enum side side;
    int answer;           /* status of the response that the exchange builds; 0: none can be sent */
    const char *error;    /* token of RFC 9209 for Proxy-Status and the log; "" none */
    const char *why;      /* static text for the log: "h1: second content-length differs" */
    enum refusal refusal; /* when a rule for clients was broken */
};

/* Where a response goes: set by serve_h1 (later h2, h3). All may wait. */
struct sink {
    enum status (*interim)(struct exchange *x, int status, const struct fields *fields);
    /* The head; held back until the first chunk when `hold` says that one follows at once. */
    enum status (*head)(struct exchange *x, bool hold);
    /* `more`: another chunk or the end follows without a wait, so small ones may be gathered. */
    enum status (*chunk)(struct exchange *x, struct slice chunk, bool more);
    /* Moves the rest of the body past user space where both ends allow it; ERR_LIMIT: not possible,
     * use chunk. */
    enum status (*move)(struct exchange *x, struct body *body, bool *client_failed);
    enum status (*finish)(struct exchange *x, const struct fields *trailers);
    void (*abort)(struct exchange *x); /* the response cannot be completed: never a clean end */
    /* Hands both connections to a tunnel after the head of a 101 was sent. */
    enum status (*tunnel)(struct exchange *x);
    /* Where the client has connected to; NULL: that is not known. */
    void (*local_address)(struct exchange *x, struct address *address);
};

struct request {
    struct request_head head; /* as it was read; fields are ours to change */
    struct slice path;        /* canonical: what routing, access rules and caches see */
    struct slice target;      /* what is sent on: path and query, changed by rewriting steps */
    struct slice mount;       /* the beginning of the path that strip_prefix took off; empty */
    struct body *body;        /* pulled by whoever needs it; body_none() when there is none */
};

struct response {
    int status; /* 0: none yet */
    struct fields fields;
    struct body *body;
    enum framing framing; /* NONE: no body to this method and status */
    uint64_t length;      /* with LENGTH, or said by a response to HEAD */
    bool has_length;      /* a Content-Length is to be written though there is no body */
    bool is_ours;         /* weir made it: Proxy-Status is for these */
    bool is_page;         /* and its text is the page that the configuration has for errors */
    struct fields_written written; /* what stands first in `fields`, if that is still so */
};

/* A server's connection after a 101, offered by the step that asked the server. */
struct tunnel_offer {
    struct stream *server; /* NULL: no tunnel */
    struct slice early;    /* bytes of the server that came with its head */
    /* Called when the tunnel takes the connection over; its result goes to on_end when the tunnel
     * has ended, on the same thread. */
    void *(*take)(void *argument);
    void (*on_end)(void *taken);
    void *argument;
    int64_t timeout; /* of silence; 0: as the route says */
};

/* Where trusted proxies say who the client is. */
enum client_header {
    CLIENT_HEADER_X_FORWARDED_FOR,
    CLIENT_HEADER_FORWARDED, /* RFC 7239 */
    CLIENT_HEADER_NONE,      /* in no field: by the PROXY protocol */
};

/* What a step keeps for one exchange between its calls. */
struct step_state {
    const void *config; /* whose */
    void *state;
    struct step_state *next;
};

/* A step's say in how servers are asked, in the last moment before and the first after: signatures.
 */
struct asking {
    /* The server's name as the configuration has it; *host is the value of Host, and may be set.
     * NEXT, or what exchange_blame() and its like return. */
    enum verdict (*before)(struct exchange *x, const void *config, struct slice server,
                           struct slice *host);
    /* Whether to ask again, with what it has changed of the request, whose body is gone. */
    bool (*again)(struct exchange *x, const void *config, int status);
    const void *config;
};

/* Something that is counted as long as the exchange, or the tunnel it became, goes on. */
struct exchange_hold {
    void (*outlive)(void *object); /* a tunnel outlives the snapshot: `object` is to stay */
    void (*end)(void *object, uint64_t key, bool has_outlived);
    void *object;
    uint64_t key;
    bool has_outlived; /* on the heap then */
    struct exchange_hold *next;
};

/* What the access log says about the servers' side. */
struct upstream_facts {
    struct slice upstream;
    struct slice server;
    struct slice server_state; /* static text: its life when it was chosen */
    int status;
    int tries;
    int64_t connect;    /* ns; 0: a pooled connection */
    int64_t first_byte; /* ns from the call to the first byte of the response */
};

/* What an exchange was before it went on elsewhere. */
struct exchange_round {
    const struct route *route;
    size_t steps_reached;
    struct request request;
    struct exchange_round *before;
};

/* Fields that the log asks for: a server's are gone when it is written. */
struct exchange_kept {
    size_t count;
    struct exchange_kept_field {
        struct slice name, value;
        bool is_response;
    } items[];
};

enum {
    EXCHANGE_ROUNDS_MAX = 10,
};

struct exchange {
    struct arena arena;
    struct serve_view *view; /* what it goes by, for whoever serves; NULL: it has not begun */
    const struct site_table *sites; /* of the listener */
    const struct site *site;        /* NULL before it is known, or none */
    const struct route *route;
    struct request request;
    struct response response;
    const struct sink *sink;
    void *connection;                        /* the sink's */
    const struct address *client;            /* after trusted proxies */
    const struct address *peer;              /* of the connection */
    struct slice client_ip;                  /* text, without port */
    struct slice scheme;                     /* "http" or "https" */
    struct slice listener;                   /* the address, as it is written */
    const struct tls_facts *tls;             /* of the client's connection; NULL: it is in clear */
    const struct introduction *introduction; /* what a proxy said of it before; NULL */
    struct slice request_id;
    struct slice id_name;           /* of the field that carries it; empty: X-Request-ID */
    struct slice trace_id;          /* of the trace that the client has begun; empty */
    uint64_t config;                /* version of the configuration that it goes by */
    struct slice user;              /* verified identity; empty */
    struct slice claims;            /* of a verified token, as JSON; empty */
    const struct json *claims_read; /* the same, once somebody asked for one of them */
    struct slice challenge;         /* value of WWW-Authenticate for a 401 of ours */
    struct blame blame;
    struct upstream_facts upstream;
    const char *refused_by; /* the step that refused, for the log; NULL */
    struct slice rule;      /* which rule of that step: its name or place; of the configuration */
    const char *detail;     /* static text: what it did not like, for the log; NULL */
    const char *sticky;     /* what became of the tie to its server, for the log; NULL */
    const char *mirrored;   /* what became of its mirror image, for the log; NULL */
    const char *encoded;    /* the coding of its body that is ours, or why none is; NULL */
    const char *limited;    /* what a rate limit did or would have done to it, for the log; NULL */
    const char *cached;     /* what a cache did: hit, miss, stale …, for the log; NULL */
    const char *cached_why; /* and why; NULL or "" when there is nothing to say */
    int64_t started;        /* monotonic */
    int64_t started_wall;
    int64_t answered;   /* when the head of the response was on its way, monotonic; 0: not yet */
    int64_t deadline;   /* of the whole exchange; CLOCK_NEVER */
    uint64_t bytes_in;  /* body bytes from the client */
    uint64_t bytes_out; /* body bytes to the client */
    size_t steps_from;  /* where its path begins: 0 but for one that no client waits for */
    size_t steps_reached;
    bool is_apart;                 /* no client waits for it: see exchange_spawn() */
    bool is_inside;                /* a server has sent it on: routes for clients are not all */
    struct slice inside_target;    /* where to */
    struct exchange_round *rounds; /* those before, the last first; NULL: none */
    const struct fields *asked;    /* of the request, before any step, if it may go on there */
    struct fields taken;           /* of one apart: what steps before it took off the request */
    struct fields carried;         /* what the answer gets from the one that sent it on */
    int64_t retry_after; /* seconds that a refusal tells the client to wait; 0: as it is usual */
    bool head_sent;
    bool is_finished; /* the response is complete on the client's side */
    bool keep_client; /* the connection may be used again */
    bool is_outdated; /* its connection was opened by a policy that its site has no more */
    struct tunnel_offer tunnel;
    const struct asking *asking; /* NULL: servers are asked what the client has asked */
    struct step_state *step_states;
    struct exchange_hold *holds;
    const struct exchange_kept *kept; /* NULL: nothing is asked for */
    int64_t body_limit;               /* bytes of the request's body; −1: none */
    bool is_allowed;                  /* by an allow line */
    bool client_trusted; /* the peer is in trusted_proxies, and its fields are believed */
    enum client_header client_header;   /* those */
    struct slice told_proto, told_host; /* of the client, in Forwarded; empty: not said */
    struct fiber *fiber;                /* that runs it; cancelled when the client hangs up */
    struct fiber_scope scope;           /* of its children */
};

/* Walks the path: site, route, steps down, steps up, body, finish. The request head, client,
 * connection and sink are set; everything else is found here. Waits. The response has been sent or
 * aborted when it returns; then the access log is written. */
void exchange_run(struct exchange *x);

/* Answers a request whose head could not be read: 400, 408, 431 … Goes the same way out. */
COLD void exchange_refuse_head(struct exchange *x, enum refusal refusal);

/* For steps. Blames a refusal of the client's request, or a failure; returns FAILED. */
COLD enum verdict exchange_refuse(struct exchange *x, enum refusal refusal);
/* The same with another status; 0: the connection ends without an answer. */
COLD enum verdict exchange_refuse_as(struct exchange *x, enum refusal refusal, int status);
COLD enum verdict exchange_blame(struct exchange *x, enum status status, enum side side, int answer,
                                 const char *error, const char *why);
/* Sets a response with a text body (not copied); the type may be empty. Fields are kept if `keep`.
 */
void response_text(struct exchange *x, int status, struct slice type, struct slice text);
/* Throws away a response from a server, for one of ours. The old body is ended. */
COLD void response_replace(struct exchange *x, int status, struct slice type, struct slice text);

/* For steps: the exchange goes on at that path of its site (and query, as in a URL), as a GET or
 * HEAD without a body; what stands in x->response goes, x->carried is set on the answer. Returns
 * ELSEWHERE, or FAILED after too many rounds. */
enum verdict exchange_redirect_inside(struct exchange *x, struct slice target);
/* Of this room (redirect_inside.c): keeps the request's fields as no step has changed them, since
 * what they make of them is for the servers of their route alone. */
void exchange_keep_fields(struct exchange *x);
/* Of this room, likewise: what the client has said and steps took off since, such as its
 * credentials, for `apart`. */
void exchange_keep_taken(struct exchange *apart, const struct exchange *x);
/* Of this room (redirect_inside.c): begins the round that was asked for, sets what is carried on
 * its answer, and makes the exchange what it was in the round before, for on_finish and the log. */
void exchange_begin_round(struct exchange *x);
void exchange_carry(struct exchange *x);
void exchange_end_round(struct exchange *x);

/* For an exchange whose peer is a trusted proxy: finds the client in X-Forwarded-For or Forwarded,
 * as x->client_header says, from the right, past all that are trusted; an element that is no
 * address ends the walk. Sets x->client and x->client_ip, and what Forwarded tells beside them. */
struct cidr;
void exchange_find_client(struct exchange *x, const struct cidr *trusted, size_t count);
/* Sets the field that carries the request's id, if it has one, in a head of either side. */
void exchange_set_id(const struct exchange *x, struct fields *fields);
/* Whether a name holds what servers do not agree on: anything but [A-Za-z0-9-]. */
bool exchange_has_odd_name(const struct fields *fields);
/* Removes the fields that only steps may set, however they are spelt. */
void exchange_take_off_guarded(const struct exchange *x, struct fields *fields);
/* The same for trailers of a request once they are there, which some servers add to its head; names
 * that field_names would not let pass there do not pass here either. */
void exchange_clean_trailers(const struct exchange *x, struct fields *trailers);
/* The host that the client asked for, as a Host field says it. */
struct slice exchange_client_host(struct exchange *x);

/* Says 100 Continue to a client that waits for it before it sends the body; once is enough. */
MAY_WAIT MUST_CHECK enum status exchange_proceed(struct exchange *x);

/* Sets what a step keeps for this exchange, and finds it again by the step's config. */
void exchange_keep_state(struct exchange *x, const void *config, void *state);
void *exchange_state(const struct exchange *x, const void *config);

/* Counts it in until exchange_let_go(), which the end of the exchange or of its tunnel calls. */
void exchange_hold(struct exchange *x, const struct exchange_hold *hold);
void exchange_let_go(struct exchange *x);
/* To the copy that the tunnel keeps: it lets go. */
void exchange_hand_over(struct exchange *x, struct exchange *copy);

/* For whoever counts and logs, set by control: called when a route was found, and when the exchange
 * has ended (a tunnel: when that has). */
void exchange_set_log(void (*begun)(const struct exchange *x),
                      void (*log)(const struct exchange *x));
void exchange_log(const struct exchange *x);
/* Before that, while the response's head is still there: keeps what the log wants of it. NULL:
 * nothing. From any thread. */
void exchange_set_keep(void (*keep)(struct exchange *x));
void exchange_keep_for_log(struct exchange *x);
/* What a line in the error log that belongs to the exchange is about. */
struct log_about exchange_about(const struct exchange *x);
/* A copy on the heap with all that the log says of an exchange and nothing else; free() it. */
struct exchange *exchange_copy_for_log(struct exchange *x);
