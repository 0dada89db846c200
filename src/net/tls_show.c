/* SPDX-License-Identifier: Apache-2.0 */
#include "net/tls_show.h"

#include "net/tls_inside.h"

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <pthread.h>
#include <time.h>

static struct slice copy_text(struct arena *arena, const ASN1_STRING *text)
{
    const char *data = (const char *)ASN1_STRING_get0_data(text);
    return arena_copy(arena, slice_of(data, (size_t)ASN1_STRING_length(text)));
}

static struct slice name_of(struct arena *arena, const X509_NAME *name)
{
    static const int PARTS[] = {NID_commonName, NID_organizationName};
    for (size_t i = 0; i < 2; i++) {
        int at = X509_NAME_get_index_by_NID(name, PARTS[i], -1);
        if (at >= 0)
            return copy_text(arena, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
    }
    return SLICE("");
}

static void read_names(const X509 *leaf, struct arena *arena, struct tls_shown *shown)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; names != NULL && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        bool has_place = shown->names_count < sizeof shown->names / sizeof *shown->names;
        if (name->type == GEN_DNS && has_place)
            shown->names[shown->names_count++] = copy_text(arena, name->d.dNSName);
        if (name->type != GEN_IPADD || !has_place)
            continue;
        struct address address = {0};
        int size = ASN1_STRING_length(name->d.iPAddress);
        char memory[ADDRESS_TEXT_MAX];
        if (size != 4 && size != 16)
            continue;
        address.size = size == 4 ? sizeof address.v4 : sizeof address.v6;
        address.any.sa_family = size == 4 ? AF_INET : AF_INET6;
        memcpy(size == 4 ? (void *)&address.v4.sin_addr : (void *)&address.v6.sin6_addr,
               ASN1_STRING_get0_data(name->d.iPAddress), (size_t)size);
        shown->names[shown->names_count++] = arena_copy(arena, address_format_ip(&address, memory));
    }
    GENERAL_NAMES_free(names);
}

static int64_t seconds_of(const ASN1_TIME *time)
{
    struct tm tm = {0};
    return ASN1_TIME_to_tm(time, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

static struct slice key_of(const X509 *leaf, struct arena *arena)
{
    EVP_PKEY *key = X509_get0_pubkey(leaf);
    char group[64] = "";
    size_t size = 0;
    if (key == NULL)
        return SLICE("");
    if (EVP_PKEY_get_group_name(key, group, sizeof group, &size) == 1 && size > 0)
        return arena_format(arena, "%s %s", EVP_PKEY_get0_type_name(key), group);
    return arena_format(arena, "%s %d", EVP_PKEY_get0_type_name(key), EVP_PKEY_get_bits(key));
}

static struct slice fingerprint_of(const X509 *leaf, struct arena *arena)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (X509_digest(leaf, EVP_sha256(), digest, &size) != 1)
        return SLICE("");
    char *text = arena_alloc(arena, 2 * (size_t)size + 1);
    for (unsigned i = 0; i < size; i++) {
        text[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        text[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
    return slice_of(text, 2 * (size_t)size);
}

/* Under the context's mutex. */
static int64_t staple_of(const struct tls_context *context, const X509 *leaf)
{
    for (size_t i = 0; i < TLS_CERTIFICATES_MAX; i++)
        if (context->staples[i].leaf != NULL && X509_cmp(context->staples[i].leaf, leaf) == 0)
            return context->staples[i].until;
    return 0;
}

size_t tls_context_show(struct tls_context *context, struct arena *arena, struct tls_shown *shown,
                        size_t most)
{
    size_t count = 0;
    pthread_mutex_lock(&context->mutex);
    SSL *ssl = SSL_new(context->current); /* has a list of its own to walk */
    for (long which = SSL_CERT_SET_FIRST;
         ssl != NULL && count < most && SSL_set_current_cert(ssl, which) == 1;
         which = SSL_CERT_SET_NEXT) {
        const X509 *leaf = SSL_get_certificate(ssl);
        if (leaf == NULL)
            continue;
        struct tls_shown *one = &shown[count++];
        *one = (struct tls_shown){
            .subject = name_of(arena, X509_get_subject_name(leaf)),
            .issuer = name_of(arena, X509_get_issuer_name(leaf)),
            .key = key_of(leaf, arena),
            .fingerprint = fingerprint_of(leaf, arena),
            .begins = seconds_of(X509_get0_notBefore(leaf)),
            .expires = seconds_of(X509_get0_notAfter(leaf)),
            .stapled_until = staple_of(context, leaf),
            .is_self_signed =
                X509_NAME_cmp(X509_get_subject_name(leaf), X509_get_issuer_name(leaf)) == 0,
        };
        read_names(leaf, arena, one);
    }
    SSL_free(ssl);
    pthread_mutex_unlock(&context->mutex);
    return count;
}
