/* SPDX-License-Identifier: Apache-2.0 */
/* Contexts for clients. Each is one library context that is replaced as a whole when certificates
 * change: connections hold a reference to the one they began with. */
#include "net/tls_context.h"

#include "base/check.h"
#include "net/tls_inside.h"
#include "net/tls_tickets.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

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

/* Whoever lists what was revoked need not have lists of the authorities above as well; those that
 * are there count. */
static int on_revocation(int is_good, X509_STORE_CTX *chain)
{
    if (is_good || X509_STORE_CTX_get_error(chain) != X509_V_ERR_UNABLE_TO_GET_CRL ||
        X509_STORE_CTX_get_error_depth(chain) == 0)
        return is_good;
    X509_STORE_CTX_set_error(chain, X509_V_OK);
    return 1;
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
    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    X509_STORE_set_verify_cb(store, on_revocation);
    return count > 0 && is_end ? OK : ERR_CONFIG;
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

/* Authorities and lists are of the connection, not of the library's context: they are replaced
 * apart from the certificates. */
static void apply_clients(struct tls_context *context, SSL *ssl)
{
    pthread_mutex_lock(&context->mutex);
    check(SSL_set1_verify_cert_store(ssl, context->clients) == 1);
    STACK_OF(X509_NAME) *names = SSL_dup_CA_list(context->clients_names);
    pthread_mutex_unlock(&context->mutex);
    check(names != NULL);
    SSL_set_client_CA_list(ssl, names);
}

void tls_context_apply(struct tls_context *context, SSL *ssl)
{
    const struct tls_context_config *config = &context->config;
    uint64_t policy = tls_context_policy(context);
    int verify = config->clients == TLS_CLIENTS_ANY ? SSL_VERIFY_NONE : SSL_VERIFY_PEER;
    if (config->clients == TLS_CLIENTS_REQUIRE)
        verify |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_set_verify(ssl, verify, NULL);
    if (verify != SSL_VERIFY_NONE)
        apply_clients(context, ssl);
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

static enum status read_clients(struct slice ca, struct slice crl, X509_STORE *store,
                                STACK_OF(X509_NAME) * names, const char **why)
{
    *why = "the certificates of the clients' authority cannot be read";
    TRY(tls_trust(store, ca));
    *why = "the revocation list of clients cannot be read";
    if (crl.size > 0)
        TRY(tls_revoke(store, crl));
    /* Clients choose among their certificates by the names of these. */
    STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(store);
    for (int i = 0; i < sk_X509_OBJECT_num(objects); i++) {
        const X509 *authority = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(objects, i));
        if (authority != NULL)
            check(sk_X509_NAME_push(names, X509_NAME_dup(X509_get_subject_name(authority))) > 0);
    }
    return OK;
}

static void free_clients(X509_STORE *store, STACK_OF(X509_NAME) * names)
{
    X509_STORE_free(store);
    sk_X509_NAME_pop_free(names, X509_NAME_free);
}

enum status tls_context_set_clients(struct tls_context *context, struct slice ca, struct slice crl,
                                    const char **why)
{
    X509_STORE *store = X509_STORE_new();
    STACK_OF(X509_NAME) *names = sk_X509_NAME_new_null();
    check(store != NULL && names != NULL);
    enum status status = read_clients(ca, crl, store, names, why);
    if (status != OK) {
        free_clients(store, names);
        return status;
    }
    pthread_mutex_lock(&context->mutex);
    X509_STORE *old = context->clients;
    STACK_OF(X509_NAME) *old_names = context->clients_names;
    context->clients = store;
    context->clients_names = names;
    pthread_mutex_unlock(&context->mutex);
    free_clients(old, old_names);
    return OK;
}

static enum status build(const struct tls_context_config *config,
                         struct certificate *const *certificates, size_t count, SSL_CTX **result,
                         const char **why)
{
    SSL_CTX *made = tls_context_make(TLS_server_method());
    enum status status = OK;
    tls_resume_allow(made, config->cache);
    SSL_CTX_set_client_hello_cb(made, on_client_hello, NULL);
    SSL_CTX_set_tlsext_servername_callback(made, on_server_name);
    SSL_CTX_set_alpn_select_cb(made, on_protocols, NULL);
    SSL_CTX_set_tlsext_status_cb(made, tls_context_on_status);
    *why = "has a key of the same kind as another certificate of the site";
    for (size_t i = 0; i < count && status == OK; i++)
        for (size_t j = 0; j < i && status == OK; j++)
            if (certificate_is_alike(certificates[i], certificates[j]))
                status = ERR_CONFIG;
    if (status == OK)
        *why = "cannot be used by the library";
    for (size_t i = 0; i < count && status == OK; i++)
        status = tls_use(made, certificates[i]);
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

/* Everything that a session promises to its client, and to us about it. Texts of authorities and
 * lists are not: they change at any time, and their paths are in the identity. */
static uint64_t policy_of(const struct tls_context_config *config)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    hash = mix(hash, &config->only_1_3, sizeof config->only_1_3);
    hash = mix(hash, &config->clients, sizeof config->clients);
    hash = mix(hash, &config->identity, sizeof config->identity);
    return hash == 0 ? 1 : hash;
}

/* It may outlive the configuration that it was made of. */
static void keep_protocols(struct tls_context *made, const struct tls_context_config *config)
{
    size_t size = 1;
    for (size_t i = 0; i < config->protocols_count; i++)
        size += config->protocols[i].size;
    char *at = made->protocols_text = memory_alloc(size);
    for (size_t i = 0; i < config->protocols_count; i++) {
        struct slice protocol = config->protocols[i];
        memcpy(at, protocol.data, protocol.size);
        made->protocols[i] = slice_of(at, protocol.size);
        at += protocol.size;
    }
}

enum status tls_context_new(const struct tls_context_config *config,
                            struct certificate *const *certificates, size_t count,
                            struct tls_context **context, const char **why)
{
    check(count > 0 && config->protocols_count <= TLS_PROTOCOLS_MAX && config->tickets != NULL);
    check(!config->has_tickets || config->clients == TLS_CLIENTS_ANY);
    tls_resume_prepare();
    struct tls_context *made = memory_zero(sizeof *made);
    pthread_mutex_init(&made->mutex, NULL);
    made->config = *config;
    made->owners = 1;
    keep_protocols(made, config);
    made->config.protocols = made->protocols;
    made->policy = policy_of(&made->config);
    enum status status = build(config, certificates, count, &made->current, why);
    if (status == OK && config->clients != TLS_CLIENTS_ANY)
        status = tls_context_set_clients(made, config->client_ca, config->client_crl, why);
    made->config.client_ca = made->config.client_crl = SLICE(""); /* the caller's */
    if (status == OK)
        *context = made;
    else
        tls_context_free(made);
    return status;
}

struct tls_context *tls_context_share(struct tls_context *context)
{
    __atomic_add_fetch(&context->owners, 1, __ATOMIC_RELAXED);
    return context;
}

void tls_context_free(struct tls_context *context)
{
    if (__atomic_sub_fetch(&context->owners, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    free(context->protocols_text);
    SSL_CTX_free(context->current);
    tls_context_forget_staples(context);
    pthread_mutex_destroy(&context->mutex);
    free_clients(context->clients, context->clients_names);
    free(context);
}

enum status tls_context_replace(struct tls_context *context,
                                struct certificate *const *certificates, size_t count,
                                const char **why)
{
    SSL_CTX *made;
    TRY(build(&context->config, certificates, count, &made, why));
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

struct slice tls_library(void)
{
    struct slice text = slice_from_cstring(OpenSSL_version(OPENSSL_VERSION));
    size_t end = slice_find(text, ' ');
    if (end < text.size) /* without the date */
        end += 1 + slice_find(slice_from(text, end + 1), ' ');
    return slice_first(text, end);
}
