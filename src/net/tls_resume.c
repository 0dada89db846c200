/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions that clients take up again: sealed tickets that they keep themselves, and for those of
 * TLS 1.2 that know no tickets ids of what is kept here. Either way the library compares what a
 * session is bound to with the policy of the site that it is shown to. */
#include "base/check.h"
#include "base/clock.h"
#include "base/random.h"
#include "net/tls_cache.h"
#include "net/tls_inside.h"
#include "net/tls_tickets.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <string.h>

enum {
    TICKET_IV_SIZE = 16,
};

/* Fetched once: the library looks them up in a table under a lock each time they are named. */
static EVP_CIPHER *ticket_cipher;
static int cache_index; /* where a context keeps its share of the table */
static pthread_once_t fetched = PTHREAD_ONCE_INIT;

static void on_context_gone(void *context, void *cache, CRYPTO_EX_DATA *data, int index,
                            long number, void *argument)
{
    (void)context, (void)data, (void)index, (void)number, (void)argument;
    tls_cache_free(cache);
}

static void fetch(void)
{
    cache_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, on_context_gone);
    check(cache_index >= 0);
    ticket_cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    check(ticket_cipher != NULL);
}

/* Seals a ticket with the current key, or finds the key that one was sealed with (RFC 5077 §4).
 * 0: it is not known, so a full handshake follows; 2: taken, and renewed: in TLS 1.3 always, where
 * clients use each but once (RFC 8446 §C.4). */
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int is_sealing)
{
    struct tls_tickets *tickets = tls_of(ssl)->context->config.tickets;
    struct tls_ticket_key key;
    bool is_old = false;
    if (is_sealing) {
        tls_tickets_current(tickets, &key);
        memcpy(name, key.name, sizeof key.name);
        random_bytes(iv, TICKET_IV_SIZE);
    } else if (!tls_tickets_find(tickets, name, &key, &is_old)) {
        return 0;
    }
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key.mac, sizeof key.mac),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)(uintptr_t) "SHA256", 0),
        OSSL_PARAM_construct_end(),
    };
    bool is_good = EVP_MAC_CTX_set_params(mac, parameters) == 1 &&
                   EVP_CipherInit_ex2(cipher, ticket_cipher, key.cipher, iv, is_sealing, NULL) == 1;
    explicit_bzero(&key, sizeof key);
    bool is_renewed = !is_sealing && (is_old || SSL_version(ssl) == TLS1_3_VERSION);
    return !is_good ? -1 : is_renewed ? 2 : 1;
}

/* NULL: sessions of this connection are not kept. In TLS 1.3 all of them are tickets. */
static struct tls_cache *cache_of(const SSL *ssl)
{
    const struct tls_context_config *config = &tls_of(ssl)->context->config;
    bool is_kept = config->clients == TLS_CLIENTS_ANY && SSL_version(ssl) == TLS1_2_VERSION;
    return is_kept ? config->cache : NULL;
}

static struct slice id_of(const SSL_SESSION *session)
{
    unsigned size;
    const unsigned char *id = SSL_SESSION_get_id(session, &size);
    return slice_of((const char *)id, size);
}

/* 0: the reference stays with the library. */
static int on_new(SSL *ssl, SSL_SESSION *session)
{
    struct tls_cache *cache = cache_of(ssl);
    unsigned char text[TLS_CACHE_SESSION_MAX];
    unsigned char *end = text;
    if (cache == NULL || SSL_SESSION_has_ticket(session))
        return 0;
    SSL_SESSION_set_timeout(session, TLS_CACHE_KEPT_S);
    int size = i2d_SSL_SESSION(session, NULL);
    if (size <= 0 || (size_t)size > sizeof text)
        return 0;
    i2d_SSL_SESSION(session, &end);
    tls_cache_put(cache, id_of(session), slice_of((const char *)text, (size_t)size),
                  clock_monotonic());
    explicit_bzero(text, sizeof text);
    return 0;
}

static SSL_SESSION *on_id(SSL *ssl, const unsigned char *id, int id_size, int *is_shared)
{
    struct tls_cache *cache = cache_of(ssl);
    unsigned char text[TLS_CACHE_SESSION_MAX];
    const unsigned char *at = text;
    *is_shared = 0; /* the library's alone */
    if (cache == NULL)
        return NULL;
    size_t size =
        tls_cache_get(cache, slice_of((const char *)id, (size_t)id_size), clock_monotonic(), text);
    SSL_SESSION *session = size == 0 ? NULL : d2i_SSL_SESSION(NULL, &at, (long)size);
    explicit_bzero(text, size);
    return session;
}

void tls_resume_forget(const SSL *ssl)
{
    struct tls_cache *cache = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), cache_index);
    const SSL_SESSION *session = SSL_get_session(ssl);
    if (cache != NULL && session != NULL)
        tls_cache_remove(cache, id_of(session));
}

void tls_resume_prepare(void)
{
    pthread_once(&fetched, fetch);
}

void tls_resume_allow(SSL_CTX *made, struct tls_cache *cache)
{
    /* The library's own table is one per context, and would forget with each new certificate. */
    SSL_CTX_set_session_cache_mode(made, SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_INTERNAL |
                                             SSL_SESS_CACHE_NO_AUTO_CLEAR);
    SSL_CTX_sess_set_new_cb(made, on_new);
    SSL_CTX_sess_set_get_cb(made, on_id);
    check(SSL_CTX_set_ex_data(made, cache_index, tls_cache_share(cache)) == 1);
    SSL_CTX_set_timeout(made, TLS_TICKETS_ROTATE_S);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(made, on_ticket);
}
