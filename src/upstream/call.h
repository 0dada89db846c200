/* SPDX-License-Identifier: Apache-2.0 */
/* Asking a server: upstream_call() owns the choice of the server, queue, connection, retries and
 * budget. The only header of this room that steps include. */
#pragma once

#include "fiber/fiber.h"
#include "http/body.h"
#include "http/cgi.h"
#include "http/message.h"
#include "net/address.h"
#include "net/stream.h"
#include "upstream/affinity.h"

struct upstream;
struct server;

enum {
    UPSTREAM_HEDGE_P95 = -1, /* as `hedge`: after the time that 95 % of the answers took */
};

/* How servers are spoken to. */
enum upstream_http {
    UPSTREAM_HTTP_1,         /* always where the PROXY protocol is spoken */
    UPSTREAM_HTTP_2,         /* in clear: both sides know it beforehand (RFC 9113 §3.3) */
    UPSTREAM_HTTP_AUTO,      /* as TLS agrees; HTTP/1 in clear */
    UPSTREAM_HTTP_INHERITED, /* of a call: as the upstream says */
    /* No HTTP at all: the request is a list of parameters. Of a call only. */
    UPSTREAM_FASTCGI,
    UPSTREAM_SCGI,
    UPSTREAM_UWSGI,
};
static inline bool upstream_is_cgi(enum upstream_http http)
{
    return http >= UPSTREAM_FASTCGI;
}

/* After what another server may be asked, as long as no byte of an answer came. Idempotent methods
 * only, but for `connect`: there nothing was sent. */
struct upstream_retry {
    bool connect;          /* it could not be reached */
    bool reset;            /* it closed without an answer */
    bool timeout;          /* it did not answer in time */
    bool non_idempotent;   /* the operator allows sending anything twice */
    uint64_t statuses[10]; /* a bit for each that is no final answer, from 0 on */
};

/* Adds "connect", "reset", "timeout", "non_idempotent", a status, "502-504" or "5xx"; false for
 * anything else. */
bool upstream_retry_add(struct upstream_retry *retry, struct slice word);

struct upstream_policy {
    enum upstream_http http;
    int64_t connect_timeout;            /* ns, names and handshakes included */
    int64_t first_byte_timeout;         /* from the last byte of the request */
    int64_t idle_timeout;               /* between two reads or writes */
    int64_t try_timeout;                /* of one try up to the head of its answer; 0: none */
    int tries;                          /* in all; 1: no retry */
    const struct upstream_retry *retry; /* NULL: nothing is tried again */
    int64_t kept_body;                  /* bytes; a body up to this is read first and kept */
    int64_t hedge; /* ns after which a safe request is sent to a second server too; 0: never */
};

struct upstream_request {
    struct slice method_text;
    enum method method;
    struct slice target;
    struct slice host;           /* value of Host; empty: the server's own name */
    const struct fields *fields; /* end-to-end ones are sent */
    struct slice upgrade;        /* protocol asked for; empty: none */
    /* For servers that are told by the PROXY protocol; NULL: not known. */
    const struct address *client;
    const struct address *client_to; /* where it has connected to */
    struct slice client_tlvs;        /* what was said of it: proxy_tlvs_to_pass() */
    struct body *body;               /* pulled; body->length says how it is framed */
    /* What upstream_affinity() asks for, as far as the request has it. */
    bool has_hash;
    uint64_t hash;      /* upstream_hash() of the key */
    uint64_t sticky_id; /* upstream_sticky_id() of the cookie */
    /* Of FastCGI, SCGI and uwsgi: all that is said of the request; else NULL. */
    const struct cgi_parameters *parameters;
    /* What a FastCGI program says beside its answer; may be NULL. Pieces, as they come. */
    void (*on_stderr)(void *argument, struct slice text);
    /* An interim response (1xx but 101) came; may be NULL. Runs on the calling fiber. */
    void (*on_interim)(void *argument, int status, const struct fields *fields);
    void *argument;
};

/* One call, in storage of the caller that stays until upstream_call_end(). */
struct upstream_call {
    struct arena *arena; /* of the exchange */
    struct upstream *upstream;
    struct upstream_request request;
    struct upstream_policy policy;

    /* The answer, after OK. Text lives until upstream_call_end(). */
    struct response_head head;
    struct body *body; /* pulled; read to its end it gives the connection back to the pool */
    /* After a 101 with the protocol asked for: the server's connection and what came with it. */
    struct stream *tunnel;
    struct slice tunnel_early;

    /* Facts for the log, also after a failure. */
    struct slice server_name;  /* "10.0.0.12:3000"; empty: none was chosen */
    struct slice server_state; /* its life when it was chosen: "up", "slow_start", "refusing" … */
    uint64_t server_id;        /* of that one, as in cookies; 0: none was chosen */
    int tries;
    int64_t connect_time; /* ns; 0: pooled */
    int64_t first_byte_time;
    uint32_t exit_status; /* of FastCGI, after the body's end: what the program exited with */

    /* After a failure: what the client is told, and why. */
    int answer;           /* 502, 503 or 504; 0: the client is at fault or gone (see status) */
    const char *error;    /* RFC 9209 token: "connection_refused" */
    const char *why;      /* static text */
    bool client_failed;   /* pulling the request's body failed: its status is the call's */
    enum refusal refusal; /* then, when a rule was broken */

    struct upstream_exchange *inside; /* connection, buffers, child fiber: of this room */
    const struct server *avoided;     /* this room's: a second try beside one on this server */
    bool is_admitted;                 /* this room's: counted in by the breaker */
};

/* Sends the request and reads the head of the final response. Waits; a cancel of this fiber ends
 * the call (ERR_CANCELLED). The caller must call upstream_call_end() in any case. */
MAY_WAIT MUST_CHECK enum status upstream_call(struct upstream_call *call, int64_t deadline);
/* The body of the answer has failed, as that token of RFC 9209 says: it is counted. */
void upstream_call_broke_off(const struct upstream_call *call, const char *error);
/* Releases everything; the connection is closed unless the body was read to its end and all rules
 * for keeping it hold. */
void upstream_call_end(struct upstream_call *call);
/* After the tunnel took the stream over: nothing of it is closed by upstream_call_end(), and this
 * is called when the tunnel has ended (from any exchange-less context on the same thread), so that
 * the server's load is right. */
void *upstream_call_detach(struct upstream_call *call);
void upstream_tunnel_end(void *detached);

/* Runs `entry` on a fiber of its own, for calls to that upstream that no client waits for; they are
 * cancelled when the worker ends. ERR_LIMIT, ERR_SYSTEM: too many are under way, nothing runs. */
MUST_CHECK enum status upstream_call_apart(struct upstream *upstream, const char *name,
                                           void (*entry)(void *argument), void *argument);

/* What the upstream wants to know of a request. */
const struct upstream_affinity *upstream_affinity(const struct upstream *upstream);
/* A key as a number, the same in every weir. */
uint64_t upstream_hash(struct slice value);
/* The server that a cookie names; 0: that is none of our cookies. */
uint64_t upstream_sticky_id(struct slice cookie);

/* What became of a client's tie to its server. */
enum sticky {
    STICKY_NONE, /* there are no cookies here */
    STICKY_KEPT,
    STICKY_AWAY,  /* another one answered this time; the tie stays */
    STICKY_NEW,   /* it had none: a cookie is to be set */
    STICKY_MOVED, /* its server is gone: a cookie is to be set */
};
/* After a call; writes STICKY_ID_SIZE bytes when a cookie is to be set. */
enum sticky upstream_sticky(const struct upstream_call *call, char *id);

/* The version of the PROXY protocol by which its servers are told of clients; 0: they are not. */
int upstream_proxy_protocol(const struct upstream *upstream);
/* And whether they are told what a proxy before has said beside the addresses. */
bool upstream_passes_tlvs(const struct upstream *upstream);
/* What its servers are spoken to in. */
enum upstream_http upstream_http_of(const struct upstream *upstream);
struct slice upstream_name(const struct upstream *upstream);
