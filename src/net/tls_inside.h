/* SPDX-License-Identifier: Apache-2.0 */
/* What the files that use OpenSSL share. No other header shows a type of it. */
#pragma once

#include "net/certificate.h"
#include "net/client_hello.h"
#include "net/stream_tls.h"
#include "net/tls_client.h"
#include "net/tls_context.h"

#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <pthread.h>

struct certificate {
    EVP_PKEY *key;
    X509 *leaf;
    STACK_OF(X509) * above; /* the rest of the chain */
};

/* What an authority says of a certificate. */
struct staple {
    X509 *leaf; /* NULL: none */
    unsigned char *answer;
    size_t size;
    int64_t until; /* seconds since 1970 */
};

struct tls_context {
    uint32_t owners;       /* atomic */
    pthread_mutex_t mutex; /* for `current`, the staples and the clients' authorities */
    SSL_CTX *current;
    struct staple staples[TLS_CERTIFICATES_MAX];
    size_t staples_next;              /* the place of one whose leaf is new */
    struct tls_context_config config; /* without the texts */
    struct slice protocols[TLS_PROTOCOLS_MAX];
    char *protocols_text;
    uint64_t policy;
    X509_STORE *clients; /* authorities and lists; NULL: clients are not asked */
    STACK_OF(X509_NAME) * clients_names;
};

enum {
    TLS_FIRST_SIZE = 5, /* the head of a record */
};

/* The state of TLS on a stream. */
struct tls {
    SSL *ssl;
    struct stream *stream;           /* whose call is running: streams move in memory */
    const struct tls_server *server; /* of a client's connection, while it shakes hands */
    struct tls_context *context;     /* that was chosen */
    struct tls_sessions *sessions;   /* of a server's connection: where new sessions are kept */
    struct tls_facts facts;
    char *text;        /* what facts point into */
    const char *alert; /* with which the other side has ended it; NULL: none */
    /* The record that waits: where it ends, and its size before the socket took a part of it. */
    const char *record_end;
    size_t record_size;
    bool is_starved; /* nothing can be had before the socket has more */
    bool is_failed;  /* nothing more may be asked of the library */
    bool is_open;    /* the handshake is done */
    bool was_refused_name;
    uint8_t first_size;
    char first[TLS_FIRST_SIZE]; /* what the other side began with */
    bool was_asked_for;         /* the name, of the finder: it answers once */
    uint8_t server_name_size;
    char server_name[SERVER_NAME_MAX];
};

/* The context as it is now, with a reference of the caller's. */
SSL_CTX *tls_context_current(struct tls_context *context);
/* Whether the other side began as HTTP does without TLS: with a method, which no record looks like.
 * The library knows the most common ones only. (tls_explain.c) */
bool tls_is_http(const struct tls *tls);
/* What a fatal alert of the other side says, by the library's reason; NULL: that is none. */
const char *tls_alert_text(int reason);
/* The trouble of a handshake with a client, or with a server that broke the protocol: what stands
 * in the library's queue of errors. (tls_explain.c) */
enum status tls_explain(const struct tls *tls, struct tls_trouble *trouble);
/* The callback that staples. */
int tls_context_on_status(SSL *ssl, void *unused);
void tls_context_forget_staples(struct tls_context *context);
/* Settings that do not move with a context to a connection. */
void tls_context_apply(struct tls_context *context, SSL *ssl);
/* Sessions: tickets and ids. First once, then for each context of the library. */
void tls_resume_prepare(void);
/* The connection has ended with a fatal alert, ours or the other side's: its session is not resumed
 * any more (RFC 5246 §7.2.2). In TLS 1.3 none is kept. */
void tls_resume_forget(const SSL *ssl);
void tls_resume_allow(SSL_CTX *made, struct tls_cache *cache);
/* Which context a name asks for; NULL: none. */
struct tls_context *tls_server_choose(const struct tls_server *server, struct slice name);
/* NULL: there is none. */
const struct tls_finder *tls_server_finder(const struct tls_server *server);
/* The first context of a listener, from which connections start. */
struct tls_context *tls_server_first(const struct tls_server *server);
/* Client certificates: for both kinds of contexts. */
MUST_CHECK enum status tls_trust(X509_STORE *store, struct slice pem);
MUST_CHECK enum status tls_revoke(X509_STORE *store, struct slice pem);
MUST_CHECK enum status tls_use(SSL_CTX *ssl_context, const struct certificate *certificate);
/* The pattern for what both sides share. */
SSL_CTX *tls_context_make(const SSL_METHOD *method);
/* Sockets as the library sees them: first once, then for each connection. */
void tls_socket_prepare(void);
void tls_socket_join(struct tls *tls);
/* The state that a library object belongs to. */
struct tls *tls_of(const SSL *ssl);
/* Keeps what OpenSSL offers as the session to resume. */
void tls_sessions_put(struct tls_sessions *sessions, SSL_SESSION *session);
SSL_SESSION *tls_sessions_get(struct tls_sessions *sessions);
SSL *tls_client_start(struct tls_client *client, struct tls_sessions *sessions);
/* What the library is asked for each record and each step of a handshake, on the loop's stack
 * (tls_outside.c). 1: done; else SSL_get_error() knows more. */
int tls_read(SSL *ssl, void *into, size_t size, size_t *got);
int tls_write(SSL *ssl, const void *from, size_t size, size_t *sent);
int tls_shake(SSL *ssl);
