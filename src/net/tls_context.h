/* SPDX-License-Identifier: Apache-2.0 */
/* What weir shows to TLS clients: contexts (certificates and a policy, of one site each) and the
 * table of a listening address that finds one by the name that a client asks for. */
#pragma once

#include "base/arena.h"
#include "base/slice.h"
#include "base/status.h"

#include <stdint.h>

struct certificate;
struct tls_cache;
struct tls_context;
struct tls_server;
struct tls_tickets;

enum {
    TLS_PROTOCOLS_MAX = 4,
    TLS_CERTIFICATES_MAX = 4, /* of one site: one per kind of key is of use */
};

enum tls_clients {
    TLS_CLIENTS_ANY,     /* no certificate is asked for */
    TLS_CLIENTS_REQUEST, /* one that is shown must be good */
    TLS_CLIENTS_REQUIRE,
};

struct tls_context_config {
    bool only_1_3;
    bool has_tickets; /* never with client certificates */
    enum tls_clients clients;
    struct slice client_ca;        /* PEM */
    struct slice client_crl;       /* PEM; empty: nobody is revoked */
    const struct slice *protocols; /* of ALPN, the preferred first */
    size_t protocols_count;
    uint64_t
        identity; /* of the certificates' files: what sessions are bound to beside the policy */
    struct tls_tickets *tickets;
    struct tls_cache *cache; /* of sessions by id, never with client certificates; NULL: none */
};

/* Copies what it needs; the certificates may be freed. ERR_CONFIG: *why is static text. */
MUST_CHECK enum status tls_context_new(const struct tls_context_config *config,
                                       struct certificate *const *certificates, size_t count,
                                       struct tls_context **context, const char **why);
/* One owner more: tls_context_free() of each must follow. From any thread. */
struct tls_context *tls_context_share(struct tls_context *context);
/* Handshakes must have ended; connections may go on. */
void tls_context_free(struct tls_context *context);
/* Puts other certificates in the place of those that are shown. Handshakes under way end with the
 * old ones; connections and tickets are not touched. From any thread. */
MUST_CHECK enum status tls_context_replace(struct tls_context *context,
                                           struct certificate *const *certificates, size_t count,
                                           const char **why);
/* Puts other authorities and lists in the place of those that clients' certificates are verified
 * with. Nothing else changes, also not the policy. ERR_CONFIG: the old ones stay. From any thread.
 */
MUST_CHECK enum status tls_context_set_clients(struct tls_context *context, struct slice ca,
                                               struct slice crl, const char **why);
/* Shows clients that ask for it what the authority says of a certificate, until that second; for
 * certificates with the same leaf only. Copied. From any thread. */
void tls_context_staple(struct tls_context *context, const struct certificate *certificate,
                        struct slice answer, int64_t until);
/* What two sites must have in common for a connection of the one to serve the other. Never 0. */
uint64_t tls_context_policy(const struct tls_context *context);

struct tls_name {
    struct slice host; /* "example.com"; "*.example.com"; "*" */
    struct tls_context *context;
};

/* Hosts are distinct and in lower case, and live as long as the table, as do the contexts. Without
 * a "*" a client that names no host gets the context if it is the only one. */
struct tls_server *tls_server_new(const struct tls_name *names, size_t count);
void tls_server_free(struct tls_server *server);

/* Who is asked for names that no site has, while the client's handshake pauses. */
struct tls_finder {
    /* NULL: refused. What it gives lives until the handshakes under way have ended. */
    MAY_WAIT struct tls_context *(*find)(void *argument, struct slice name, int64_t deadline);
    void *argument;
};
/* Before the first handshake; copied. */
void tls_server_set_finder(struct tls_server *server, const struct tls_finder *finder);

/* Which library it is, as "OpenSSL 3.0.17". */
struct slice tls_library(void);
