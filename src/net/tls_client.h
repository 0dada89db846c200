/* SPDX-License-Identifier: Apache-2.0 */
/* How weir talks TLS to servers: whom it trusts, which name it expects, what it shows. */
#pragma once

#include "base/slice.h"
#include "base/status.h"
#include "net/tls_context.h"

struct tls_client;
struct tls_sessions;

struct tls_client_config {
    bool is_verified;  /* the server's certificate is checked */
    struct slice ca;   /* PEM; empty: the system's authorities */
    struct slice sni;  /* name that is asked for; empty: none (an address) */
    struct slice name; /* host name or address that the certificate must be for */
    const struct certificate *certificate; /* shown to servers that ask; NULL: none. Copied */
    const struct slice *protocols;
    size_t protocols_count;
};

/* ERR_CONFIG: *why is static text. */
MUST_CHECK enum status tls_client_new(const struct tls_client_config *config,
                                      struct tls_client **client, const char **why);
void tls_client_free(struct tls_client *client);
/* The same for two that were made of the same; never 0. */
uint64_t tls_client_identity(const struct tls_client *client);

/* The last session with one server, for all workers. Of one client configuration only. */
struct tls_sessions *tls_sessions_new(void);
void tls_sessions_free(struct tls_sessions *sessions);
