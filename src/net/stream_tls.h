/* SPDX-License-Identifier: Apache-2.0 */
/* TLS on a stream: a connected stream becomes a stream over TLS in its place. Its bytes go straight
 * to and from the socket; while nothing travels no buffer is held. */
#pragma once

#include "base/slice.h"
#include "net/stream.h"

struct tls_server;
struct tls_client;
struct tls_sessions;

/* What is known of a connection after the handshake; lives as long as the stream. Of one that has
 * failed, the name that was asked for, if the client came that far. */
struct tls_facts {
    struct slice version;     /* "1.2", "1.3" */
    struct slice cipher;      /* "TLS_AES_128_GCM_SHA256", static */
    struct slice protocol;    /* that ALPN has agreed on; empty: none */
    struct slice server_name; /* that the client asked for, lower case; empty: none */
    uint64_t policy;          /* of the context that was chosen: tls_context_policy() */
    int64_t handshake_time;   /* ns */
    bool is_resumed;
    bool is_client_verified;         /* the client showed a certificate that its authority signed */
    struct slice client_name;        /* subject (RFC 4514); empty: none */
    struct slice client_fingerprint; /* SHA-256, hexadecimal */
};

/* Why a handshake failed. */
struct tls_trouble {
    const char *error; /* token of RFC 9209: "tls_certificate_error" */
    const char *why;   /* static text: "tls: the server's certificate has expired" */
};

/* Shakes hands with a client. On any failure the stream is of no use but to be closed. ERR_TLS: the
 * trouble says why; ERR_TIMEOUT, ERR_CLOSED, ERR_SYSTEM, ERR_CANCELLED. */
MAY_WAIT MUST_CHECK enum status stream_tls_accept(struct stream *stream,
                                                  const struct tls_server *server, int64_t deadline,
                                                  struct tls_trouble *trouble);
/* After a handshake with a client has failed: whether it was none but HTTP without TLS. Then the
 * stream is plain again; what it began with is lost, and nothing was sent. */
bool stream_tls_was_clear(struct stream *stream);
/* Shakes hands with a server, whose certificate is verified as `client` says. A session of
 * `sessions` is resumed, new ones are kept there. */
MAY_WAIT MUST_CHECK enum status stream_tls_connect(struct stream *stream, struct tls_client *client,
                                                   struct tls_sessions *sessions, int64_t deadline,
                                                   struct tls_trouble *trouble);
/* The same, with another offer of protocols than the client's own: each after a byte with its size
 * (RFC 7301 §3.1). */
MAY_WAIT MUST_CHECK enum status stream_tls_connect_as(struct stream *stream,
                                                      struct tls_client *client,
                                                      struct tls_sessions *sessions,
                                                      struct slice protocols, int64_t deadline,
                                                      struct tls_trouble *trouble);
/* Of bytes that stream_send() has just refused to take: how many of the first part's it has a copy
 * of, encrypted. They have to be offered again, but nobody will look at them. */
size_t stream_tls_copied(const struct stream *stream, size_t size);
/* NULL: the stream is plain. */
const struct tls_facts *stream_tls_facts(const struct stream *stream);
/* What the other side has ended the connection with, after the handshake: a server of TLS 1.3 says
 * only then that it wanted a certificate. Static text; NULL: no alert. */
const char *stream_tls_alert(const struct stream *stream);
/* The protocol that ALPN has agreed on; empty: none, or a plain stream. */
struct slice stream_tls_protocol(const struct stream *stream);
/* For one that is idle on another thread: takes what TLS knows along to a new stream over the same
 * descriptor. */
void stream_tls_adopt(struct stream *to, struct stream *from);
/* Lets it go, when there is no such stream in the end. */
void stream_tls_drop(struct stream *from);
