/* SPDX-License-Identifier: Apache-2.0 */
/* What authorities say of certificates, stapled to handshakes (RFC 6066 §8). */
#include "base/arena.h"
#include "base/check.h"
#include "base/clock.h"
#include "net/tls_inside.h"

#include <stdlib.h>
#include <string.h>

static void forget(struct staple *staple)
{
    X509_free(staple->leaf);
    free(staple->answer);
    *staple = (struct staple){0};
}

void tls_context_forget_staples(struct tls_context *context)
{
    for (size_t i = 0; i < TLS_CERTIFICATES_MAX; i++)
        forget(&context->staples[i]);
}

static struct staple *find(struct tls_context *context, const X509 *leaf)
{
    for (size_t i = 0; i < TLS_CERTIFICATES_MAX; i++)
        if (context->staples[i].leaf != NULL && X509_cmp(context->staples[i].leaf, leaf) == 0)
            return &context->staples[i];
    return NULL;
}

void tls_context_staple(struct tls_context *context, const struct certificate *certificate,
                        struct slice answer, int64_t until)
{
    check(answer.size > 0);
    struct staple fresh = {.leaf = certificate->leaf, .size = answer.size, .until = until};
    X509_up_ref(fresh.leaf);
    fresh.answer = memory_alloc(answer.size);
    memcpy(fresh.answer, answer.data, answer.size);
    pthread_mutex_lock(&context->mutex);
    struct staple *place = find(context, certificate->leaf);
    if (place == NULL) {
        place = &context->staples[context->staples_next];
        context->staples_next = (context->staples_next + 1) % TLS_CERTIFICATES_MAX;
    }
    struct staple old = *place;
    *place = fresh;
    pthread_mutex_unlock(&context->mutex);
    forget(&old);
}

int tls_context_on_status(SSL *ssl, void *unused)
{
    (void)unused;
    struct tls_context *context = tls_of(ssl)->context;
    const X509 *shown = SSL_get_certificate(ssl);
    unsigned char *copy = NULL;
    size_t size = 0;
    pthread_mutex_lock(&context->mutex);
    const struct staple *staple = shown == NULL ? NULL : find(context, shown);
    if (staple != NULL && staple->until > clock_wall() / SECONDS(1)) {
        size = staple->size;
        copy = OPENSSL_memdup(staple->answer, size);
    }
    pthread_mutex_unlock(&context->mutex);
    if (copy == NULL)
        return SSL_TLSEXT_ERR_NOACK;
    SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)size); /* the library's now */
    return SSL_TLSEXT_ERR_OK;
}
