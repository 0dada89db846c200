/* SPDX-License-Identifier: Apache-2.0 */
/* Contexts for clients. Each is one library context that is replaced as a whole when certificates
 * change: connections hold a reference to the one they began with. */
#include "net/tls_context.h"

#include "base/check.h"
#include "base/random.h"
#include "net/tls_inside.h"
#include "net/tls_tickets.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

enum {
    TICKET_IV_SIZE = 16,
};

/* Forward secrecy and authenticated encryption only. */
static const char CIPHERS_1_2[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
                                  "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
                                  "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
static const char CIPHERS_1_3[] =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
static const char GROUPS[] = "X25519:P-256:P-384";

SSL_CTX *tls_context_make(const SSL_METHOD *method)
{
    SSL_CTX *made = SSL_CTX_new(method);
    check(made != NULL);
    SSL_CTX_set_min_proto_version(made, TLS1_2_VERSION);
    SSL_CTX_set_mode(made, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                               SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_options(made, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                  SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_read_ahead(made, 1); /* one read of the socket for a record */
    check(SSL_CTX_set_cipher_list(made, CIPHERS_1_2) == 1);
    check(SSL_CTX_set_ciphersuites(made, CIPHERS_1_3) == 1);
    check(SSL_CTX_set1_groups_list(made, GROUPS) == 1);
    return made;
}

enum status tls_use(SSL_CTX *ssl_context, const struct certificate *certificate)
{
    bool is_good = SSL_CTX_use_cert_and_key(ssl_context, certificate->leaf, certificate->key,
                                            certificate->above, 1) == 1;
    ERR_clear_error();
    return is_good ? OK : ERR_CONFIG;
}

enum status tls_trust(X509_STORE *store, struct slice pem)
{
    BIO *bio = BIO_new_mem_buf(pem.size == 0 ? "" : pem.data, (int)pem.size);
    int count = 0;
    X509 *authority;
    ERR_clear_error();
    while ((authority = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL)) != NULL) {
        check(X509_STORE_add_cert(store, authority) == 1);
        X509_free(authority);
        count++;
    }
    BIO_free(bio);
    bool is_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    return count > 0 && is_end ? OK : ERR_CONFIG;
}

enum status tls_revoke(X509_STORE *store, struct slice pem)
{
    BIO *bio = BIO_new_mem_buf(pem.size == 0 ? "" : pem.data, (int)pem.size);
    int count = 0;
    X509_CRL *list;
    ERR_clear_error();
    while ((list = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL)) != NULL) {
        X509_STORE_add_crl(store, list);
        X509_CRL_free(list);
        count++;
    }
    BIO_free(bio);
    bool is_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
    return count > 0 && is_end ? OK : ERR_CONFIG;
}

/* Fetched once: the library looks them up in a table under a lock each time they are named. */
static EVP_CIPHER *ticket_cipher;
static pthread_once_t fetched = PTHREAD_ONCE_INIT;

static void fetch(void)
{
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

static int on_protocols(SSL *ssl, const unsigned char **chosen, unsigned char *chosen_size,
                        const unsigned char *offered, unsigned offered_size, void *unused)
{
    (void)unused;
    const struct tls_context_config *config = &tls_of(ssl)->context->config;
    for (size_t i = 0; i < config->protocols_count; i++) {
        struct slice ours = config->protocols[i];
        for (unsigned at = 0; at < offered_size; at += 1u + offered[at]) {
            struct slice theirs = slice_of((const char *)offered + at + 1, offered[at]);
            if (!slice_equal(ours, theirs))
                continue;
            *chosen = offered + at + 1;
            *chosen_size = offered[at];
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL; /* no_application_protocol (RFC 7301 §3.2) */
}

static struct slice extension_of(SSL *ssl, unsigned type)
{
    const unsigned char *data;
    size_t size;
    if (SSL_client_hello_get0_ext(ssl, type, &data, &size) != 1)
        return SLICE("");
    return slice_of((const char *)data, size);
}

/* The first thing that happens in a handshake: everything else depends on the name. */
static int on_client_hello(SSL *ssl, int *alert, void *unused)
{
    (void)unused;
    struct tls *tls = tls_of(ssl);
    struct slice extension = extension_of(ssl, TLSEXT_TYPE_server_name);
    tls->server_name_size = (uint8_t)client_hello_server_name(extension, tls->server_name);
    if (extension.size > 0 && tls->server_name_size == 0) {
        *alert = SSL_AD_DECODE_ERROR;
        return SSL_CLIENT_HELLO_ERROR;
    }
    struct slice name = slice_of(tls->server_name, tls->server_name_size);
    if (!tls->was_asked_for)
        tls->context = tls_server_choose(tls->server, name);
    if (tls->context == NULL && !tls->was_asked_for && name.size > 0 &&
        tls_server_finder(tls->server) != NULL)
        return SSL_CLIENT_HELLO_RETRY; /* stream_tls asks, where it may wait, and comes back */
    if (tls->context == NULL) {
        tls->was_refused_name = true;
        *alert = SSL_AD_UNRECOGNIZED_NAME;
        return SSL_CLIENT_HELLO_ERROR;
    }
    SSL_CTX *current = tls_context_current(tls->context);
    bool is_set = SSL_get_SSL_CTX(ssl) == current || SSL_set_SSL_CTX(ssl, current) != NULL;
    SSL_CTX_free(current);
    if (!is_set) {
        *alert = SSL_AD_INTERNAL_ERROR;
        return SSL_CLIENT_HELLO_ERROR;
    }
    tls_context_apply(tls->context, ssl);
    return SSL_CLIENT_HELLO_SUCCESS;
}

/* Says that the name was looked at, so that the library tells the client so. */
static int on_server_name(SSL *ssl, int *alert, void *unused)
{
    (void)alert, (void)unused;
    return tls_of(ssl)->server_name_size > 0 ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

void tls_context_apply(const struct tls_context *context, SSL *ssl)
{
    const struct tls_context_config *config = &context->config;
    uint64_t policy = tls_context_policy(context);
    int verify = config->clients == TLS_CLIENTS_ANY ? SSL_VERIFY_NONE : SSL_VERIFY_PEER;
    if (config->clients == TLS_CLIENTS_REQUIRE)
        verify |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_set_verify(ssl, verify, NULL);
    SSL_set_min_proto_version(ssl, config->only_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION);
    check(SSL_set_session_id_context(ssl, (const unsigned char *)&policy, sizeof policy) == 1);
    if (config->has_tickets) {
        SSL_clear_options(ssl, SSL_OP_NO_TICKET);
        SSL_set_num_tickets(ssl, 1);
    } else {
        SSL_set_options(ssl, SSL_OP_NO_TICKET);
        SSL_set_num_tickets(ssl, 0);
    }
}

static enum status add_clients(SSL_CTX *made, const struct tls_context_config *config,
                               const char **why)
{
    X509_STORE *store = SSL_CTX_get_cert_store(made);
    *why = "the certificates of the clients' authority cannot be read";
    TRY(tls_trust(store, config->client_ca));
    *why = "the revocation list of clients cannot be read";
    if (config->client_crl.size > 0)
        TRY(tls_revoke(store, config->client_crl));
    /* Clients choose among their certificates by the names of these. */
    STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(store);
    for (int i = 0; i < sk_X509_OBJECT_num(objects); i++) {
        X509 *authority = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(objects, i));
        if (authority != NULL)
            SSL_CTX_add_client_CA(made, authority);
    }
    return OK;
}

static enum status build(const struct tls_context *context, struct certificate *const *certificates,
                         size_t count, SSL_CTX **result, const char **why)
{
    const struct tls_context_config *config = &context->config;
    SSL_CTX *made = tls_context_make(TLS_server_method());
    enum status status = OK;
    SSL_CTX_set_session_cache_mode(made, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_timeout(made, TLS_TICKETS_ROTATE_S);
    SSL_CTX_set_client_hello_cb(made, on_client_hello, NULL);
    SSL_CTX_set_tlsext_servername_callback(made, on_server_name);
    SSL_CTX_set_alpn_select_cb(made, on_protocols, NULL);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(made, on_ticket);
    SSL_CTX_set_tlsext_status_cb(made, tls_context_on_status);
    *why = "it does not go together with the others of the site";
    for (size_t i = 0; i < count && status == OK; i++)
        status = tls_use(made, certificates[i]);
    if (status == OK && config->clients != TLS_CLIENTS_ANY)
        status = add_clients(made, config, why);
    if (status == OK)
        *result = made;
    else
        SSL_CTX_free(made);
    return status;
}

/* FNV-1a: all of it is the operator's own, nobody else can make two policies collide. */
static uint64_t mix(uint64_t hash, const void *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ ((const unsigned char *)data)[i]) * UINT64_C(0x100000001b3);
    return hash;
}

/* Everything that a session promises to its client, and to us about it. */
static uint64_t policy_of(const struct tls_context_config *config)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    hash = mix(hash, &config->only_1_3, sizeof config->only_1_3);
    hash = mix(hash, &config->clients, sizeof config->clients);
    hash = mix(hash, &config->identity, sizeof config->identity);
    hash = mix(hash, &config->client_ca.size, sizeof config->client_ca.size);
    hash = mix(hash, config->client_ca.data, config->client_ca.size);
    hash = mix(hash, config->client_crl.data, config->client_crl.size);
    return hash == 0 ? 1 : hash;
}

static char *keep(struct slice *text)
{
    char *copy = memory_alloc(text->size + 1);
    if (text->size > 0)
        memcpy(copy, text->data, text->size);
    text->data = copy;
    return copy;
}

enum status tls_context_new(const struct tls_context_config *config,
                            struct certificate *const *certificates, size_t count,
                            struct tls_context **context, const char **why)
{
    check(count > 0 && config->protocols_count <= TLS_PROTOCOLS_MAX && config->tickets != NULL);
    check(!config->has_tickets || config->clients == TLS_CLIENTS_ANY);
    pthread_once(&fetched, fetch);
    struct tls_context *made = memory_zero(sizeof *made);
    pthread_mutex_init(&made->mutex, NULL);
    made->config = *config;
    for (size_t i = 0; i < config->protocols_count; i++)
        made->protocols[i] = config->protocols[i];
    made->config.protocols = made->protocols;
    made->client_ca = keep(&made->config.client_ca);
    made->client_crl = keep(&made->config.client_crl);
    made->policy = policy_of(&made->config);
    enum status status = build(made, certificates, count, &made->current, why);
    if (status == OK)
        *context = made;
    else
        tls_context_free(made);
    return status;
}

void tls_context_free(struct tls_context *context)
{
    SSL_CTX_free(context->current);
    tls_context_forget_staples(context);
    pthread_mutex_destroy(&context->mutex);
    free(context->client_ca);
    free(context->client_crl);
    free(context);
}

enum status tls_context_replace(struct tls_context *context,
                                struct certificate *const *certificates, size_t count,
                                const char **why)
{
    SSL_CTX *made;
    TRY(build(context, certificates, count, &made, why));
    pthread_mutex_lock(&context->mutex);
    SSL_CTX *old = context->current;
    context->current = made;
    pthread_mutex_unlock(&context->mutex);
    SSL_CTX_free(old);
    return OK;
}

SSL_CTX *tls_context_current(struct tls_context *context)
{
    pthread_mutex_lock(&context->mutex);
    SSL_CTX *current = context->current;
    SSL_CTX_up_ref(current);
    pthread_mutex_unlock(&context->mutex);
    return current;
}

uint64_t tls_context_policy(const struct tls_context *context)
{
    return context->policy;
}
