/* SPDX-License-Identifier: Apache-2.0 */
#include "net/tls_client.h"

#include "base/check.h"
#include "base/hash.h"
#include "net/address.h"
#include "net/tls_inside.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

struct tls_client {
    SSL_CTX *context;
    char *sni; /* NULL: none */
    uint64_t identity;
};

struct tls_sessions {
    pthread_mutex_t mutex;
    SSL_SESSION *last;
};

struct tls_sessions *tls_sessions_new(void)
{
    struct tls_sessions *sessions = memory_zero(sizeof *sessions);
    pthread_mutex_init(&sessions->mutex, NULL);
    return sessions;
}

void tls_sessions_free(struct tls_sessions *sessions)
{
    if (sessions == NULL)
        return;
    SSL_SESSION_free(sessions->last);
    pthread_mutex_destroy(&sessions->mutex);
    free(sessions);
}

void tls_sessions_put(struct tls_sessions *sessions, SSL_SESSION *session)
{
    pthread_mutex_lock(&sessions->mutex);
    SSL_SESSION *old = sessions->last;
    sessions->last = session;
    pthread_mutex_unlock(&sessions->mutex);
    SSL_SESSION_free(old);
}

SSL_SESSION *tls_sessions_get(struct tls_sessions *sessions)
{
    pthread_mutex_lock(&sessions->mutex);
    SSL_SESSION *session = sessions->last;
    if (session != NULL)
        SSL_SESSION_up_ref(session);
    pthread_mutex_unlock(&sessions->mutex);
    return session;
}

static int on_session(SSL *ssl, SSL_SESSION *session)
{
    struct tls *tls = tls_of(ssl);
    if (tls->sessions == NULL || SSL_SESSION_is_resumable(session) != 1)
        return 0;
    tls_sessions_put(tls->sessions, session);
    return 1; /* the reference is ours now */
}

static enum status set_name(SSL_CTX *made, struct slice name)
{
    struct arena arena;
    struct address address;
    arena_init(&arena, NULL, 0);
    const char *text = arena_cstring(&arena, name);
    X509_VERIFY_PARAM *parameters = SSL_CTX_get0_param(made);
    X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    bool is_set = address_parse_ip(name, &address)
                      ? X509_VERIFY_PARAM_set1_ip_asc(parameters, text) == 1
                      : X509_VERIFY_PARAM_set1_host(parameters, text, 0) == 1;
    arena_done(&arena);
    return is_set ? OK : ERR_CONFIG;
}

static enum status set_protocols(SSL_CTX *made, const struct tls_client_config *config)
{
    unsigned char wire[TLS_PROTOCOLS_MAX * 32];
    unsigned size = 0;
    for (size_t i = 0; i < config->protocols_count; i++) {
        struct slice protocol = config->protocols[i];
        check(protocol.size < 32 && size + protocol.size + 1 <= sizeof wire);
        wire[size++] = (unsigned char)protocol.size;
        memcpy(wire + size, protocol.data, protocol.size);
        size += (unsigned)protocol.size;
    }
    return SSL_CTX_set_alpn_protos(made, wire, size) == 0 ? OK : ERR_CONFIG;
}

static enum status build(SSL_CTX *made, const struct tls_client_config *config, const char **why)
{
    SSL_CTX_set_session_cache_mode(made, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(made, on_session);
    SSL_CTX_set_verify(made, config->is_verified ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    *why = "the authorities' certificates cannot be read";
    if (config->is_verified && config->ca.size > 0)
        TRY(tls_trust(SSL_CTX_get_cert_store(made), config->ca));
    *why = "the authorities of the system cannot be read";
    if (config->is_verified && config->ca.size == 0 && SSL_CTX_set_default_verify_paths(made) != 1)
        return ERR_CONFIG;
    *why = "the name to expect is none";
    if (config->is_verified)
        TRY(set_name(made, config->name));
    *why = "the certificate cannot be used";
    if (config->certificate != NULL)
        TRY(tls_use(made, config->certificate));
    return set_protocols(made, config);
}

static uint64_t mix(uint64_t hash, struct slice text)
{
    struct hash_key key = {hash, text.size};
    return hash_text(key, text);
}

static uint64_t identity_of(const struct tls_client_config *config)
{
    uint64_t hash = config->is_verified ? 2 : 1;
    hash = mix(hash, config->ca);
    hash = mix(hash, config->sni);
    hash = mix(hash, config->name);
    for (size_t i = 0; i < config->protocols_count; i++)
        hash = mix(hash, config->protocols[i]);
    if (config->certificate != NULL) {
        char fingerprint[CERTIFICATE_FINGERPRINT_SIZE];
        certificate_fingerprint(config->certificate, fingerprint);
        hash = mix(hash, slice_of(fingerprint, sizeof fingerprint));
    }
    return hash == 0 ? 1 : hash;
}

enum status tls_client_new(const struct tls_client_config *config, struct tls_client **client,
                           const char **why)
{
    SSL_CTX *made = tls_context_make(TLS_client_method());
    enum status status = build(made, config, why);
    ERR_clear_error();
    if (status != OK) {
        SSL_CTX_free(made);
        return status;
    }
    *client = memory_zero(sizeof **client);
    (*client)->context = made;
    (*client)->identity = identity_of(config);
    if (config->sni.size > 0) {
        (*client)->sni = memory_alloc(config->sni.size + 1);
        memcpy((*client)->sni, config->sni.data, config->sni.size);
        (*client)->sni[config->sni.size] = '\0';
    }
    return OK;
}

uint64_t tls_client_identity(const struct tls_client *client)
{
    return client->identity;
}

void tls_client_free(struct tls_client *client)
{
    if (client == NULL)
        return;
    SSL_CTX_free(client->context);
    free(client->sni);
    free(client);
}

SSL *tls_client_start(struct tls_client *client, struct tls_sessions *sessions)
{
    SSL *ssl = SSL_new(client->context);
    check(ssl != NULL);
    SSL_set_connect_state(ssl);
    if (client->sni != NULL)
        check(SSL_set_tlsext_host_name(ssl, client->sni) == 1);
    SSL_SESSION *session = sessions == NULL ? NULL : tls_sessions_get(sessions);
    if (session != NULL) {
        SSL_set_session(ssl, session);
        SSL_SESSION_free(session);
    }
    return ssl;
}
